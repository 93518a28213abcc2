"""Training: batches, losses, schedule and the loop."""
