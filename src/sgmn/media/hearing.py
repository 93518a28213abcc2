"""Words that come while a stream is running: a transcript that grows, and what fills it."""

from __future__ import annotations

import json
import logging
import os
import re
import select
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from stat import S_ISREG
from threading import Event, Lock, Thread, current_thread
from types import TracebackType
from typing import IO, Any, NamedTuple, Self, overload
from urllib.parse import urljoin, urlsplit
from urllib.request import urlopen

from sgmn.errors import MediaError
from sgmn.media import cues as subtitles
from sgmn.media.address import redacted
from sgmn.media.container import said
from sgmn.media.transcript import _said as utterance_of
from sgmn.records import Utterance

__all__ = ["Follower", "Hearing", "follow_jsonl", "follow_webvtt"]

_LOG = logging.getLogger("sgmn.media")

_FAREWELL_S = 1.0
_GLANCE_S = 0.1  # how often who waits looks whether it still should
_NAMED = 100  # further errors are only counted: a stream runs for hours
_BLOCK, _LONGEST_LINE = 1 << 16, 1 << 20  # bytes

_WEB_TIMEOUT_S = 10.0
_LARGEST = 4 << 20  # bytes of a playlist or segment
_USUAL_POLL_S, _SHORTEST_POLL_S, _LONGEST_POLL_S = 6.0, 0.2, 60.0
_TRIES = 3
_TICKS_A_SECOND = 90_000
_WRAP_S = 2**33 / _TICKS_A_SECOND  # where the clock of MPEG-TS starts again: 26.5 hours
_WEB_ERRORS = (OSError, HTTPException, ValueError, MediaError)
_MAP = re.compile(r"^X-TIMESTAMP-MAP=(.*)$", re.MULTILINE)
_TICKS = re.compile(r"MPEGTS:([0-9]{1,10})\b")
_LOCAL = re.compile(r"LOCAL:([0-9]+(?::[0-9]+){1,2}(?:\.[0-9]+)?)")


class Hearing(Sequence[Utterance]):
    """What has been said so far, in order of start; any thread may add while others read.

    Iterating goes through what there was when it began. Times are seconds of the stream.
    """

    def __init__(self, utterances: Iterable[Utterance] = ()) -> None:
        self._lock = Lock()
        self._said: list[Utterance] = []
        for utterance in utterances:
            self.add(utterance)

    def add(self, utterance: Utterance) -> None:
        """Put it in its place by start, after what starts together with it.

        What has no words is left out, and so is what is there already: subtitles repeat a
        cue in every segment that shows it, and a program that starts anew repeats itself.
        """
        if not utterance.text.strip():
            return
        with self._lock:
            first = bisect_left(self._said, utterance.start, key=_start)
            after = bisect_right(self._said, utterance.start, lo=first, key=_start)
            if utterance not in self._said[first:after]:
                self._said.insert(after, utterance)

    def forget(self, before_s: float) -> None:
        """Drop what ended before `before_s`; whoever reads from there on misses nothing."""
        with self._lock:
            self._said = [u for u in self._said if u.end >= before_s]

    @overload
    def __getitem__(self, place: int) -> Utterance: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Utterance, ...]: ...
    def __getitem__(self, place: int | slice) -> Utterance | tuple[Utterance, ...]:
        with self._lock:
            return tuple(self._said[place]) if isinstance(place, slice) else self._said[place]

    def __len__(self) -> int:
        with self._lock:
            return len(self._said)

    def __iter__(self) -> Iterator[Utterance]:
        return iter(self[:])

    def __reversed__(self) -> Iterator[Utterance]:
        return reversed(self[:])


class Follower:
    """A thread that fills a Hearing until its source ends or it is closed.

    `errors` counts what could not be used. The first of them have a line each in `damage`,
    or in the log where there is none.
    """

    def __init__(
        self, name: str, work: Callable[[Follower], None], damage: list[str] | None
    ) -> None:
        self.errors = 0
        self.stopped = Event()
        self._damage = damage
        self._thread = Thread(target=work, args=(self,), name=f"follower of {name}", daemon=True)
        self._thread.start()

    @property
    def is_running(self) -> bool:
        """Whether more may come."""
        return self._thread.is_alive()

    def refuse(self, line: str) -> None:
        """Count an error, and tell it unless there were many."""
        self.errors += 1
        if self.errors > _NAMED:
            return
        if self._damage is None:
            _LOG.warning(line)
        else:
            self._damage.append(line)

    def close(self) -> None:
        """End it, within about a second; a web server that stays silent ends at its time-out."""
        self.stopped.set()
        if self._thread is not current_thread():
            self._thread.join(_FAREWELL_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def follow_jsonl(
    source: Path | str | IO[Any], hearing: Hearing, damage: list[str] | None = None
) -> Follower:
    """Hear the JSON lines {"start", "end", "text"} that another program is still writing.

    `source` is a file, a named pipe, or an open pipe or file with a descriptor (standard
    input, what another process prints), which stays the caller's to close. A line counts
    once its end is written. One that cannot be read is named with its number and left out.
    An open pipe ends with its writer; a file and a named pipe are followed until closed,
    and a file that is written anew is read anew. Raises MediaError if it cannot be opened.
    """
    is_path = isinstance(source, Path | str)
    name = str(source) if is_path else str(getattr(source, "name", "pipe"))
    try:
        # Without O_NONBLOCK, opening a named pipe would wait for its writer.
        descriptor = (
            os.open(source, os.O_RDONLY | os.O_NONBLOCK)
            if isinstance(source, Path | str)
            else os.dup(source.fileno())
        )
    except (OSError, ValueError) as error:
        remedy = "start the program that writes it, or check the path"
        raise MediaError(f"cannot be opened ({said(error)})", name, remedy) from error
    tail = _Tail(descriptor, name, hearing, returns=is_path)
    return Follower(name, tail.run, damage)


def follow_webvtt(
    url: str,
    hearing: Hearing,
    damage: list[str] | None = None,
    zero_s: float | Callable[[], float | None] = 0.0,
) -> Follower:
    """Hear the subtitles of an HLS stream: a playlist of WebVTT segments on a web server.

    `zero_s` is the time stamp, in seconds, that the pictures have at the stream's time 0: a
    number, or a function that gives None as long as it is not known (nothing is read until
    then). Cues are placed by it and the segments' X-TIMESTAMP-MAP (RFC 8216, 3.5); what was
    said before time 0 is left out. The playlist is read again after each target duration,
    until it says that it is whole. A segment that cannot be fetched is tried three times.
    Raises MediaError unless `url` is http or https.
    """
    name = redacted(url)
    if not _is_web(url):
        raise MediaError("is no address on a web server", name, "give http:// or https://")
    return Follower(name, _Subtitles(url, hearing, zero_s).run, damage)


def _start(utterance: Utterance) -> float:
    return utterance.start


class _Tail:
    """Reads a descriptor, which it closes at the end, line by line.

    `returns`: another writer may come after the end of a pipe.
    """

    def __init__(self, descriptor: int, name: str, hearing: Hearing, *, returns: bool) -> None:
        self._descriptor, self._name, self._hearing = descriptor, name, hearing
        self._returns = returns
        self._is_file = S_ISREG(os.fstat(descriptor).st_mode)
        self._number, self._rest = 0, b""

    def run(self, follower: Follower) -> None:
        try:
            self._read(follower)
        except OSError as error:
            follower.refuse(f"{self._name}: reading stops early ({said(error)})")
        finally:
            os.close(self._descriptor)

    def _read(self, follower: Follower) -> None:
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        while not follower.stopped.is_set():
            if not poll.poll(1000 * _GLANCE_S):
                continue
            block = os.read(self._descriptor, _BLOCK)
            if block:
                self._take(block, follower)
                continue
            if self._is_file:
                self._start_anew_if_cut()
            elif self._rest:
                self._take(b"\n", follower)  # its writer is gone, so nothing completes it
            if not (self._is_file or self._returns):
                return
            follower.stopped.wait(_GLANCE_S)

    def _start_anew_if_cut(self) -> None:
        if os.fstat(self._descriptor).st_size < os.lseek(self._descriptor, 0, os.SEEK_CUR):
            os.lseek(self._descriptor, 0, os.SEEK_SET)
            self._number, self._rest = 0, b""

    def _take(self, block: bytes, follower: Follower) -> None:
        *lines, self._rest = (self._rest + block).split(b"\n")
        for line in lines:
            self._number += 1
            if line.strip():
                self._hear(line, follower)
        if len(self._rest) > _LONGEST_LINE:
            follower.refuse(f"{self._name}: line {self._number + 1} has no end")
            self._rest = b""

    def _hear(self, line: bytes, follower: Follower) -> None:
        where = f"line {self._number}"
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError) as error:
            follower.refuse(f"{self._name}: {where} is no JSON ({error})")
            return
        try:
            self._hearing.add(utterance_of(entry, where, Path(self._name)))
        except MediaError as error:
            follower.refuse(str(error))


class _Playlist(NamedTuple):
    target_s: float
    is_whole: bool
    segments: list[tuple[int, str]]  # number in the stream, address


class _Subtitles:
    """Reads a playlist again and again, and each of its segments once."""

    def __init__(
        self, url: str, hearing: Hearing, zero_s: float | Callable[[], float | None]
    ) -> None:
        self._url, self._hearing, self._zero_s = url, hearing, zero_s
        self._tries: dict[tuple[int, str], int] = {}
        self._last_s = 0.0

    def run(self, follower: Follower) -> None:
        pause_s = _USUAL_POLL_S
        while not follower.stopped.is_set():
            try:
                playlist = _playlist(_fetched(self._url), self._url)
            except _WEB_ERRORS as error:
                follower.refuse(f"{redacted(self._url)}: {_reason(error)}")
            else:
                pause_s = playlist.target_s
                is_read = self._read(playlist.segments, follower)
                if is_read and playlist.is_whole:
                    return
            follower.stopped.wait(pause_s)

    def _read(self, segments: list[tuple[int, str]], follower: Follower) -> bool:
        """Read what is new; whether nothing is left to be read."""
        zero_s = self._zero_s() if callable(self._zero_s) else self._zero_s
        if zero_s is None:
            return False
        # Not the whole address: the tokens in it may be new each time.
        keyed = {(number, urlsplit(url).path): url for number, url in segments}
        self._tries = {key: self._tries.get(key, 0) for key in keyed}
        for key, url in keyed.items():
            if self._tries[key] < _TRIES and not follower.stopped.is_set():
                self._tries[key] = self._try(key, url, zero_s, follower)
        return all(tries >= _TRIES for tries in self._tries.values())

    def _try(self, key: tuple[int, str], url: str, zero_s: float, follower: Follower) -> int:
        """Hear one segment; how often it has been tried, all tries where it is done with."""
        try:
            text = _fetched(url)
        except _WEB_ERRORS as error:
            follower.refuse(f"{redacted(url)}: {_reason(error)}")
            return self._tries[key] + 1
        try:
            found = _cues(text, PurePosixPath(key[1]).name)
        except MediaError as error:
            follower.refuse(str(error))
        else:
            if not follower.stopped.is_set():
                self._hear(found, zero_s)
        return _TRIES

    def _hear(self, found: list[tuple[float, float, str]], zero_s: float) -> None:
        for start_s, end_s, text in found:
            shift_s = -zero_s
            shift_s += round((self._last_s - start_s - shift_s) / _WRAP_S) * _WRAP_S
            if end_s + shift_s <= 0:
                continue
            # Milliseconds, so that a cue repeated with another map is the same one.
            start = round(max(0.0, start_s + shift_s), 3)
            self._hearing.add(Utterance(start, max(start, round(end_s + shift_s, 3)), text))
            self._last_s = start


def _cues(text: str, name: str) -> list[tuple[float, float, str]]:
    """Start and end by the clock of the pictures' time stamps (seconds), and the words."""
    if not text.lstrip("\ufeff").startswith("WEBVTT"):
        raise MediaError("is no WebVTT", name, "give the playlist of the subtitles")
    ahead_s = 0.0  # without a map, cues count from time stamp 0 (RFC 8216, 3.5)
    if header := _MAP.search(text):
        ticks, local = _TICKS.search(header[1]), _LOCAL.search(header[1])
        if ticks is None or local is None:
            raise MediaError(f"has a time map that cannot be read: {header[0][:60]!r}", name)
        ahead_s = int(ticks[1]) / _TICKS_A_SECOND - _clock_s(local[1])
    found = subtitles.parse(text.lstrip("\ufeff"), Path(name))
    return [(cue.start + ahead_s, cue.end + ahead_s, cue.text) for cue in found]


def _clock_s(clock: str) -> float:
    return sum(float(part) * 60.0**i for i, part in enumerate(reversed(clock.split(":"))))


def _playlist(text: str, url: str) -> _Playlist:
    if not text.lstrip("\ufeff").startswith("#EXTM3U"):
        raise MediaError("is no playlist")
    if "#EXT-X-STREAM-INF" in text:
        raise MediaError("lists other playlists", remedy="give the one of the subtitles")
    lines = [line.strip() for line in text.splitlines()]
    tags = dict(line.split(":", 1) for line in lines if line.startswith("#EXT-X-") and ":" in line)
    target_s = float(tags.get("#EXT-X-TARGETDURATION", _USUAL_POLL_S))
    first = int(tags.get("#EXT-X-MEDIA-SEQUENCE", 0))
    addresses = [urljoin(url, line) for line in lines if line and not line.startswith("#")]
    return _Playlist(
        min(max(_SHORTEST_POLL_S, target_s), _LONGEST_POLL_S),
        "#EXT-X-ENDLIST" in lines,
        list(enumerate(addresses, first)),
    )


def _is_web(url: str) -> bool:
    return url.lower().startswith(("http://", "https://"))


def _fetched(url: str) -> str:
    if not _is_web(url):  # a playlist may name anything, even a file of this machine
        raise MediaError("is no address on a web server")
    with urlopen(url, timeout=_WEB_TIMEOUT_S) as response:
        body: bytes = response.read(_LARGEST)
        if response.length or len(body) == _LARGEST:
            raise MediaError(f"is cut short, or is not below {_LARGEST} bytes")
    return body.decode("utf-8")


def _reason(error: BaseException) -> str:
    """Why it failed; the words of other errors may hold the whole address."""
    told = isinstance(error, OSError | MediaError)
    return said(error) if told else f"cannot be read ({type(error).__name__})"
