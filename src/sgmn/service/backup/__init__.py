"""Backups of a data folder, taken while the service runs, and restoring them."""
