"""Versioned data: the only package that runs DVC (and, for remotes, boto3)."""
