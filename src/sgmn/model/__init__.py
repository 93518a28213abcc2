"""The model: frames and words to vectors, and vectors to one score."""
