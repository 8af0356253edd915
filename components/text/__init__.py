"""Text models over Hugging Face's libraries: tokenisers, encoders, and how they are fine-tuned."""
