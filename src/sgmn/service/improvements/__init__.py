"""Better models from reviews: training, the comparison with the old one, and the change."""
