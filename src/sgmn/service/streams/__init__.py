"""Durable sessions: each stream in a worker process, one encoder process for all of them."""
