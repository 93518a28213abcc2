"""Timeouts, retries and queue sizes of a live source."""

from __future__ import annotations

from dataclasses import dataclass, fields

from sgmn.errors import SettingsError
from sgmn.media.address import Address

HLS_TIMEOUT_S = 25.0  # HLS delivers segments of up to 10 s at once


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """Timeouts, retries and queue sizes of a live source.

    HLS delivers whole segments: set `stall_timeout_s` and `read_timeout_s` to more than twice
    the length of a segment.

    Attributes:
        open_timeout_s: Maximum time to open a connection.
        read_timeout_s: Maximum time without a frame before a connection counts as broken.
        initial_backoff_s: Pause before the first new attempt; it doubles with each failure.
        max_backoff_s: Longest pause between attempts.
        max_attempts: Failed attempts in a row that end the stream; None for no limit.
        stall_timeout_s: Time without a frame after which the state becomes "stalled".
        max_jump_s: Largest gap between timestamps that is taken for a real gap.
        queue_frames: Frames that wait for a slow consumer.
        queue_audio_s: Audio that waits for a slow consumer; older audio is dropped.
    """

    open_timeout_s: float = 10.0
    read_timeout_s: float = 10.0
    initial_backoff_s: float = 0.5
    max_backoff_s: float = 30.0
    max_attempts: int | None = 10
    stall_timeout_s: float = 5.0
    max_jump_s: float = 10.0
    queue_frames: int = 32
    queue_audio_s: float = 120.0

    @classmethod
    def for_address(cls, address: Address, max_attempts: int | None = 10) -> SourceSettings:
        """Return the defaults for an address: longer timeouts for HTTP, which serves HLS."""
        if address.url.lower().startswith("http"):
            return cls(
                max_attempts=max_attempts,
                read_timeout_s=HLS_TIMEOUT_S,
                stall_timeout_s=HLS_TIMEOUT_S,
            )
        return cls(max_attempts=max_attempts)

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and not 0 < value < float("inf"):
                raise SettingsError(f"{field.name!r} is {value!r}", remedy="pass a number above 0")
