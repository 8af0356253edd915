"""Measuring models on held-out data; the reports are what the gate decides on."""
