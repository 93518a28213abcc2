"""Evaluation: ranks, metrics with confidence intervals, reports and comparisons."""
