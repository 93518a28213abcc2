"""A stream over as many connections as it takes: what breaks is connected anew."""

from __future__ import annotations

import gc
import logging
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, fields
from random import Random
from threading import Event

from av.container import InputContainer

from sgmn.errors import MediaError, SettingsError
from sgmn.media.address import Address
from sgmn.media.connection import (
    AudioCallback,
    ConnectionWatchdog,
    decode_connection,
    describe_failure,
    open_connection,
)
from sgmn.media.container import LIBAV_ERRORS, REEXPORT_REMEDY, find_video_stream
from sgmn.media.sampling import SamplingSchedule
from sgmn.media.stream_clock import StreamClock
from sgmn.media.video_decoding import DecodedFrame

_LOG = logging.getLogger("sgmn.media")
HLS_TIMEOUT_S = 25.0


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """How patient a live source is, in seconds.

    `max_attempts` connections in a row without a frame are the end of it, None for never.
    `queue_frames` frames wait for a slow reader, older ones are dropped. HLS brings its
    pictures in pieces: give `stall_timeout_s` and `read_timeout_s` more than twice a piece's length.
    """

    open_timeout_s: float = 10.0
    read_timeout_s: float = 10.0
    initial_backoff_s: float = 0.5
    max_backoff_s: float = 30.0
    max_attempts: int | None = 10
    stall_timeout_s: float = 5.0
    max_jump_s: float = 10.0
    queue_frames: int = 32

    @classmethod
    def for_address(cls, address: Address, max_attempts: int | None = 10) -> SourceSettings:
        """The usual patience; more for HLS, whose pieces of up to 10 s come each at once."""
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
                raise SettingsError(f"{field.name!r} is {value!r}", remedy="give a number above 0")


def backoff_delays(first_s: float, longest_s: float, rng: Random) -> Iterator[float]:
    """Seconds to wait before each new attempt: doubling up to `longest_s`, half of it by chance.

    Chance keeps many readers of one server from all coming back at the same moment.
    """
    pause_s = min(first_s, longest_s)
    while True:
        yield pause_s * rng.uniform(0.5, 1.0)
        pause_s = min(2 * pause_s, longest_s)


def _is_recording(address: Address, container: InputContainer) -> bool:
    """Whether a web server gives something of known length.

    FLV and RTMP state the length of what their sender plays, and still are live.
    """
    is_web = address.url.lower().startswith("http") and container.format.name != "flv"
    return is_web and bool(container.duration)


class ReconnectingStream:
    """Decodes an address, connection after connection, until it ends for good.

    A file, a recording on a web server and standard input have an end for good; any other is
    connected anew until `max_attempts` in a row gave no frame. `on_loss` is called before each
    pause, `stopped` ends everything. What could not be decoded is counted in `faults`.
    `on_sound` hears the sound, see `connection.decoded`.
    """

    def __init__(
        self,
        address: Address,
        settings: SourceSettings,
        rng: Random,
        stopped: Event,
        on_loss: Callable[[], None],
        on_sound: AudioCallback | None = None,
    ) -> None:
        self._on_sound = on_sound
        self.faults: Counter[str] = Counter()
        self._address, self._settings, self._rng = address, settings, rng
        self._stopped, self._on_loss = stopped, on_loss
        self._time = StreamClock(settings.max_jump_s)
        self._watch = self._new_watch()
        self._connections = 0  # that gave frames

    @property
    def reconnects(self) -> int:
        """How often it came back with frames."""
        return max(0, self._connections - 1)

    @property
    def origin_s(self) -> float | None:
        """See `StreamTime.origin_s`."""
        return self._time.origin_s

    def silent_s(self) -> float:
        """Seconds without a frame while connected."""
        return self._watch.silent_s()

    def frames(self, due: SamplingSchedule) -> Generator[DecodedFrame, None, None]:
        """Every frame that is due, and others, in order of time.

        Raises MediaError if no frame ever came.
        """
        failures, waits = 0, self._pauses()
        while not self._stopped.is_set():
            before = self._connections
            is_last, why = yield from self._connection(due)
            # What libav held is in cycles, and small enough in Python for it never to be found.
            gc.collect()
            if self._stopped.is_set():
                return
            if is_last:
                return self._finish(why)
            failures += 1
            if self._connections > before:
                failures, waits = 0, self._pauses()
            if failures == self._settings.max_attempts:
                return self._give_up(f"gave no frame in {failures} attempts, at last: {why}")
            self._rest(next(waits), why or "it ended")

    def _connection(
        self, due: SamplingSchedule
    ) -> Generator[DecodedFrame, None, tuple[bool, str | None]]:
        """Read one connection; whether nothing can come after it, and why it broke if it did."""
        watch = self._watch = self._new_watch()
        is_live = self._address.is_live
        with ExitStack() as stack:
            stack.callback(watch.disconnect)
            try:
                container = stack.enter_context(open_connection(self._address, watch))
                stream = find_video_stream(container, self._address.name)
            except MediaError as error:
                if not is_live:
                    raise
                return False, watch.why or error.message
            except LIBAV_ERRORS as error:
                return False, watch.why or describe_failure(error)
            if self._connections and _is_recording(self._address, container):
                return True, None  # the list of a live stream that has ended: it is all past
            is_new = True
            faults, heard = self.faults, self._on_sound
            for timed in decode_connection(
                container, stream, self._time, due, faults, watch, heard
            ):
                self._connections += is_new
                is_new = False
                yield timed
            is_recorded = not is_live or _is_recording(self._address, container)
            is_closed = self._address.kind == "pipe" and watch.why is None
            return is_recorded or is_closed, watch.why

    def _finish(self, why: str | None) -> None:
        if not self._connections:
            raise self._refusal(why or "holds no frame that can be read")
        if why is not None:
            self.faults[f"reading stops early ({why})"] += 1

    def _give_up(self, why: str) -> None:
        if not self._connections:
            raise self._refusal(why)
        _LOG.warning(f"{self._address.name}: {why}; this is taken for its end")

    def _refusal(self, why: str) -> MediaError:
        if not self._address.is_live:
            return MediaError(why, self._address.name, REEXPORT_REMEDY)
        remedy = "start the sender" if self._address.listens else "check the address and its sender"
        return MediaError(why, self._address.name, remedy)

    def _rest(self, pause_s: float, why: str) -> None:
        _LOG.warning(f"{self._address.name}: {why}; connecting again in {pause_s:.1f} s")
        self._on_loss()
        self._stopped.wait(pause_s)

    def _pauses(self) -> Iterator[float]:
        first_s, longest_s = self._settings.initial_backoff_s, self._settings.max_backoff_s
        # A sender that comes to us finds us only while we listen.
        return backoff_delays(first_s, first_s if self._address.listens else longest_s, self._rng)

    def _new_watch(self) -> ConnectionWatchdog:
        return ConnectionWatchdog(
            self._stopped, self._settings.open_timeout_s, self._settings.read_timeout_s
        )
