"""Webhooks: every row of a session's log is posted to the addresses that its shop has named."""
