"""Limits of downloads."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import platformdirs


def default_cache_folder() -> Path:
    """The cache folder of the current user."""
    return platformdirs.user_cache_path("sgmn")


@dataclass(frozen=True, slots=True)
class FetchOptions:
    """Options of downloads.

    Attributes:
        cache_folder: Keeps downloaded feeds and images.
        allow_private: Also connect to private, loopback and link-local addresses.
        allow_networks: Also connect to addresses of these networks, such as 10.1.0.0/16.
        for_others: The addresses come from users of a service, see `AddressRules`.
        timeout_s: Maximum duration of one attempt, redirects and body included, in seconds.
        max_image_bytes: Maximum size of an image.
        max_feed_bytes: Maximum size of a feed, before and after decompression.
        max_requests: Maximum number of simultaneous requests.
        max_requests_per_host: Maximum number of simultaneous requests to one host.
        attempts: Maximum number of attempts after temporary failures.
        retry_delay_s: Delay before the second attempt; it doubles with each attempt.
        max_host_failures: Connection failures and timeouts in a row after which the remaining
            requests to a host fail at once.
    """

    cache_folder: Path = field(default_factory=default_cache_folder)
    allow_private: bool = False
    allow_networks: tuple[str, ...] = ()
    for_others: bool = False
    timeout_s: float = 30.0
    max_image_bytes: int = 32_000_000
    max_feed_bytes: int = 1_000_000_000
    max_requests: int = 64
    max_requests_per_host: int = 8
    attempts: int = 3
    retry_delay_s: float = 0.5
    max_host_failures: int = 24
