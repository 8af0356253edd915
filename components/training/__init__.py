"""Training loops and what they need; pure PyTorch, so that a bare GPU machine can run them."""
