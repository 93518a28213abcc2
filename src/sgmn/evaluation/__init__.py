"""Evaluation: ranks, metrics with confidence, reports and comparisons."""
