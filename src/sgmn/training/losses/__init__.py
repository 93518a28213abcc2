"""Losses of a training batch, the mining of negatives, and the objective that combines them."""
