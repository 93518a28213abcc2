"""The protocols of published benchmarks: their galleries, queries and figures."""
