"""Datasets: labelled clips and products, read and checked."""
