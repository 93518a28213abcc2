"""Losses, mining, and the objective that weighs them."""
