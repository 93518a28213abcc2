"""Requests of the service to addresses that its users name: streams, subtitles and webhooks.

Nothing that a user names may reach the network of the service itself. Each connection is made to
an IP address that was checked a moment before, see `sgmn.catalogue.fetch.addresses`.
"""
