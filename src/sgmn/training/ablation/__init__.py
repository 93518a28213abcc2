"""Ablation: the same run with parts added one by one, and with each part left out."""
