"""Tests of training from reviews."""
