"""Readers of product feeds, one module for each format.

Each reader yields a Listing for every product, or a RecordError for every rejected row. Both name
their place as `file:line:column`.
"""
