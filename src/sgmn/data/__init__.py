"""Datasets of labeled clips, streams and products."""
