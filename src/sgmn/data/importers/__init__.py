"""Readers of public datasets in their own formats."""
