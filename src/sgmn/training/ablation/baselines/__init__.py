"""Published methods as rows of an ablation, on the towers and batches of the other rows."""
