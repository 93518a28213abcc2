"""Imports of catalogues: uploads, archives and addresses become an index."""
