"""The subtitles of an HLS stream that is still running: WebVTT, a segment after another."""

from __future__ import annotations

import re
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit
from urllib.request import urlopen

from sgmn.errors import MediaError
from sgmn.media import subtitles
from sgmn.media.address import redact_address
from sgmn.media.container import describe_error
from sgmn.media.live_transcript import LiveTranscript, TranscriptFollower
from sgmn.records import Utterance

__all__ = ["follow_webvtt"]

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


def follow_webvtt(
    url: str,
    hearing: LiveTranscript,
    damage: list[str] | None = None,
    origin_s: float | Callable[[], float | None] = 0.0,
) -> TranscriptFollower:
    """Hear the subtitles of an HLS stream: a playlist of WebVTT segments on a web server.

    `origin_s` is the time stamp, in seconds, that the pictures have at the stream's time 0: a
    number, or a function that gives None as long as it is not known (nothing is read until
    then). Cues are placed by it and the segments' X-TIMESTAMP-MAP (RFC 8216, 3.5); what was
    said before time 0 is left out. The playlist is read again after each target duration,
    until it says that it is whole. A segment that cannot be fetched is tried three times.
    Raises MediaError unless `url` is http or https.
    """
    name = redact_address(url)
    if not _is_web(url):
        raise MediaError("is no address on a web server", name, "give http:// or https://")
    return TranscriptFollower(name, _Subtitles(url, hearing, origin_s).run, damage)


class _Playlist(NamedTuple):
    target_s: float
    is_whole: bool
    segments: list[tuple[int, str]]  # number in the stream, address


class _Subtitles:
    """Reads a playlist again and again, and each of its segments once."""

    def __init__(
        self, url: str, hearing: LiveTranscript, origin_s: float | Callable[[], float | None]
    ) -> None:
        self._url, self._hearing, self._origin_s = url, hearing, origin_s
        self._tries: dict[tuple[int, str], int] = {}
        self._last_s = 0.0

    def run(self, follower: TranscriptFollower) -> None:
        pause_s = _USUAL_POLL_S
        while not follower.stop_event.is_set():
            try:
                playlist = _playlist(_fetched(self._url), self._url)
            except _WEB_ERRORS as error:
                follower.report_error(f"{redact_address(self._url)}: {_reason(error)}")
            else:
                pause_s = playlist.target_s
                is_read = self._read(playlist.segments, follower)
                if is_read and playlist.is_whole:
                    return
            follower.stop_event.wait(pause_s)

    def _read(self, segments: list[tuple[int, str]], follower: TranscriptFollower) -> bool:
        """Read what is new; whether nothing is left to be read."""
        origin_s = self._origin_s() if callable(self._origin_s) else self._origin_s
        if origin_s is None:
            return False
        # Not the whole address: the tokens in it may be new each time.
        keyed = {(number, urlsplit(url).path): url for number, url in segments}
        self._tries = {key: self._tries.get(key, 0) for key in keyed}
        for key, url in keyed.items():
            if self._tries[key] < _TRIES and not follower.stop_event.is_set():
                self._tries[key] = self._try(key, url, origin_s, follower)
        return all(tries >= _TRIES for tries in self._tries.values())

    def _try(
        self, key: tuple[int, str], url: str, origin_s: float, follower: TranscriptFollower
    ) -> int:
        """Hear one segment; how often it has been tried, all tries where it is done with."""
        try:
            text = _fetched(url)
        except _WEB_ERRORS as error:
            follower.report_error(f"{redact_address(url)}: {_reason(error)}")
            return self._tries[key] + 1
        try:
            found = _cues(text, PurePosixPath(key[1]).name)
        except MediaError as error:
            follower.report_error(str(error))
        else:
            if not follower.stop_event.is_set():
                self._hear(found, origin_s)
        return _TRIES

    def _hear(self, found: list[tuple[float, float, str]], origin_s: float) -> None:
        for start_s, end_s, text in found:
            shift_s = -origin_s
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
    found = subtitles.parse_subtitles(text.lstrip("\ufeff"), Path(name))
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
    return describe_error(error) if told else f"cannot be read ({type(error).__name__})"
