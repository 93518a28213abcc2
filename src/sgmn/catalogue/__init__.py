"""Catalogues: feeds, the index on disk, and the shelf of one shop in memory."""
