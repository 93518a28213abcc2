"""The catalogue: feed, index on disk, and the shelf of one shop in memory."""
