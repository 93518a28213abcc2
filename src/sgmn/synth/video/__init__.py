"""Rendering a planned video: room, presenter, moving products, frames and the encoded file."""
