"""Livestreaming product retrieval: which product is being sold, moment by moment."""

__version__ = "0.1.0"
