"""The same jobs on one machine and on a Ray cluster."""
