"""Follow the WebVTT subtitles of a live HLS stream, segment by segment."""

from __future__ import annotations

import re
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit
from urllib.request import urlopen

from sgmn.errors import MediaError, SgmnError
from sgmn.media.address import redact_address
from sgmn.media.container import describe_error
from sgmn.media.live_transcript import LiveTranscript, TranscriptFollower
from sgmn.media.subtitles import parse_subtitles
from sgmn.records import Utterance

__all__ = ["follow_webvtt"]

_HTTP_TIMEOUT_S = 10.0
_MAX_RESPONSE_BYTES = 4 << 20  # of a playlist or segment
_DEFAULT_POLL_S, _MIN_POLL_S, _MAX_POLL_S = 6.0, 0.2, 60.0
_MAX_ATTEMPTS = 3
_TICKS_PER_SECOND = 90_000
_CLOCK_PERIOD_S = 2**33 / _TICKS_PER_SECOND  # the clock of MPEG-TS restarts after 26.5 hours
_FETCH_ERRORS = (OSError, HTTPException, ValueError, SgmnError)
_TIMESTAMP_MAP = re.compile(r"^X-TIMESTAMP-MAP=(.*)$", re.MULTILINE)
_MPEGTS_TICKS = re.compile(r"MPEGTS:([0-9]{1,10})\b")
_LOCAL_TIME = re.compile(r"LOCAL:([0-9]+(?::[0-9]+){1,2}(?:\.[0-9]+)?)")


def follow_webvtt(
    url: str,
    transcript: LiveTranscript,
    damage: list[str] | None = None,
    origin_s: float | Callable[[], float | None] = 0.0,
    fetch: Callable[[str], str] | None = None,
) -> TranscriptFollower:
    """Add the subtitles of an HLS stream to `transcript`.

    The playlist is fetched again after each target duration, until it is complete. A segment
    that cannot be fetched is tried three times. Cues are placed by `origin_s` and the
    X-TIMESTAMP-MAP of their segment (RFC 8216, 3.5). Cues before time 0 are discarded.

    Args:
        url: A playlist of WebVTT segments on a web server.
        transcript: Receives the utterances, with times in seconds of the stream.
        damage: Receives a line per error, see `TranscriptFollower`.
        origin_s: The timestamp of the video, in seconds, at the stream's time 0; or a function
            that returns None until it is known. No segment is fetched before.
        fetch: Returns the text of a URL, or raises SgmnError or OSError. Pass one to decide
            which addresses may be connected to.

    Raises:
        MediaError: Unless `url` is http or https.
    """
    name = redact_address(url)
    if not _is_web(url):
        raise MediaError("is not a web address", name, "pass http:// or https://")
    return TranscriptFollower(
        name, _SubtitleReader(url, transcript, origin_s, fetch or _fetch).run, damage
    )


class _Playlist(NamedTuple):
    target_duration_s: float
    is_complete: bool
    segments: list[tuple[int, str]]  # sequence number, URL


class _TimedText(NamedTuple):
    start_s: float  # by the timestamps of the video
    end_s: float
    text: str


class _SubtitleReader:
    """Fetches a playlist repeatedly, and each of its segments once."""

    def __init__(
        self,
        url: str,
        transcript: LiveTranscript,
        origin_s: float | Callable[[], float | None],
        fetch: Callable[[str], str],
    ) -> None:
        self._fetch = fetch
        self._url, self._transcript, self._origin_s = url, transcript, origin_s
        self._attempts: dict[tuple[int, str], int] = {}
        self._last_s = 0.0

    def run(self, follower: TranscriptFollower) -> None:
        pause_s = _DEFAULT_POLL_S
        while not follower.stop_event.is_set():
            try:
                playlist = _parse_playlist(self._fetch(self._url), self._url)
            except _FETCH_ERRORS as error:
                follower.report_error(f"{redact_address(self._url)}: {_describe(error)}")
            else:
                pause_s = playlist.target_duration_s
                is_finished = self._read_segments(playlist.segments, follower)
                if is_finished and playlist.is_complete:
                    return
            follower.stop_event.wait(pause_s)

    def _read_segments(self, segments: list[tuple[int, str]], follower: TranscriptFollower) -> bool:
        """Read the new segments; return whether all segments are done."""
        origin_s = self._origin_s() if callable(self._origin_s) else self._origin_s
        if origin_s is None:
            return False
        # The path identifies a segment, because tokens in the URL may change.
        urls = {(number, urlsplit(url).path): url for number, url in segments}
        self._attempts = {key: self._attempts.get(key, 0) for key in urls}
        for key, url in urls.items():
            if self._attempts[key] < _MAX_ATTEMPTS and not follower.stop_event.is_set():
                if self._read_segment(url, PurePosixPath(key[1]).name, origin_s, follower):
                    self._attempts[key] = _MAX_ATTEMPTS
                else:
                    self._attempts[key] += 1
        return all(attempts >= _MAX_ATTEMPTS for attempts in self._attempts.values())

    def _read_segment(
        self, url: str, name: str, origin_s: float, follower: TranscriptFollower
    ) -> bool:
        """Read one segment; return False if it should be fetched again."""
        try:
            text = self._fetch(url)
        except _FETCH_ERRORS as error:
            follower.report_error(f"{redact_address(url)}: {_describe(error)}")
            return False
        try:
            cues = _parse_segment(text, name)
        except MediaError as error:
            follower.report_error(str(error))
        else:
            if not follower.stop_event.is_set():
                self._add_cues(cues, origin_s)
        return True

    def _add_cues(self, cues: list[_TimedText], origin_s: float) -> None:
        for start_s, end_s, text in cues:
            shift_s = -origin_s
            periods = round((self._last_s - start_s - shift_s) / _CLOCK_PERIOD_S)
            shift_s += periods * _CLOCK_PERIOD_S
            if end_s + shift_s <= 0:
                continue
            # Rounded to milliseconds, so that a cue repeated with another map is a duplicate.
            start = round(max(0.0, start_s + shift_s), 3)
            self._transcript.add(Utterance(start, max(start, round(end_s + shift_s, 3)), text))
            self._last_s = start


def _parse_segment(text: str, name: str) -> list[_TimedText]:
    text = text.lstrip("\ufeff")
    if not text.startswith("WEBVTT"):
        raise MediaError("is not WebVTT", name, "pass the playlist of the subtitles")
    offset_s = 0.0  # without a map, cue times start at timestamp 0 (RFC 8216, 3.5)
    if header := _TIMESTAMP_MAP.search(text):
        ticks, local_time = _MPEGTS_TICKS.search(header[1]), _LOCAL_TIME.search(header[1])
        if ticks is None or local_time is None:
            raise MediaError(f"has an invalid time map: {header[0][:60]!r}", name)
        offset_s = int(ticks[1]) / _TICKS_PER_SECOND - _parse_clock(local_time[1])
    cues = parse_subtitles(text, Path(name))
    return [_TimedText(cue.start + offset_s, cue.end + offset_s, cue.text) for cue in cues]


def _parse_clock(clock: str) -> float:
    return sum(float(part) * 60.0**i for i, part in enumerate(reversed(clock.split(":"))))


def _parse_playlist(text: str, url: str) -> _Playlist:
    if not text.lstrip("\ufeff").startswith("#EXTM3U"):
        raise MediaError("is not a playlist")
    if "#EXT-X-STREAM-INF" in text:
        raise MediaError("lists other playlists", remedy="pass the playlist of the subtitles")
    lines = [line.strip() for line in text.splitlines()]
    tags = dict(line.split(":", 1) for line in lines if line.startswith("#EXT-X-") and ":" in line)
    target_duration_s = float(tags.get("#EXT-X-TARGETDURATION", _DEFAULT_POLL_S))
    first_number = int(tags.get("#EXT-X-MEDIA-SEQUENCE", 0))
    urls = [urljoin(url, line) for line in lines if line and not line.startswith("#")]
    return _Playlist(
        min(max(_MIN_POLL_S, target_duration_s), _MAX_POLL_S),
        "#EXT-X-ENDLIST" in lines,
        list(enumerate(urls, first_number)),
    )


def _is_web(url: str) -> bool:
    return url.lower().startswith(("http://", "https://"))


def _fetch(url: str) -> str:
    if not _is_web(url):  # a playlist may name anything, even a local file
        raise MediaError("is not a web address")
    with urlopen(url, timeout=_HTTP_TIMEOUT_S) as response:
        body: bytes = response.read(_MAX_RESPONSE_BYTES)
        if response.length or len(body) == _MAX_RESPONSE_BYTES:
            raise MediaError(f"is cut short, or has {_MAX_RESPONSE_BYTES} bytes or more")
    return body.decode("utf-8")


def _describe(error: BaseException) -> str:
    """Return why fetching failed; the text of other errors may contain the whole URL."""
    is_safe = isinstance(error, OSError | SgmnError)
    return describe_error(error) if is_safe else f"cannot be read ({type(error).__name__})"
