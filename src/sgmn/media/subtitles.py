"""The cues of SRT and WebVTT, found line by line, so that errors can name the line."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from sgmn.errors import MediaError
from sgmn.records import Utterance

_CLOCK = r"(?:([0-9]{1,6}):)?([0-9]{1,2}):([0-9]{1,2})(?:[.,]([0-9]{1,9}))?"
_TIMES = re.compile(rf"[ \t]*{_CLOCK}[ \t]*-->[ \t]*{_CLOCK}(?:[ \t].*)?")  # settings may follow
_HEADER = re.compile(r"WEBVTT(?:\s|$)")
_COMMENT = re.compile(r"(?:NOTE|STYLE|REGION)(?:\s|$)")
_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
_TAG = re.compile(r"</?[A-Za-z][^<>]*>|</?[0-9][0-9:.]*>|</>")
_PLACEMENT = re.compile(r"\{\\[^{}]*\}")  # {\an8}, which SRT borrowed from another format
_EXAMPLE = "write it as 00:00:01.500 --> 00:00:04.000"


class _Line(NamedTuple):
    number: int
    text: str


class _Cue(NamedTuple):
    times: _Line
    lines: list[str]


def contains_cues(text: str) -> bool:
    """Whether `text` is WebVTT by its first line or holds a line of cue times."""
    return bool(_HEADER.match(text.lstrip())) or any(map(_TIMES.fullmatch, _lines_of(text)))


def parse_subtitles(text: str, path: Path) -> list[Utterance]:
    """Read the cues of SRT or WebVTT in the order in which they are written.

    Hours are optional, a comma is as good as a dot. Header, comments, styles, identifiers,
    settings and tags are dropped, entities are resolved. Raises MediaError, naming `path`
    and the line, for times that cannot be read or that end before they start, and for text
    before the first cue.
    """
    is_vtt = bool(_HEADER.match(text.lstrip()))
    cues: list[_Cue] = []
    for block in _blocks(text):
        if not (is_vtt and _is_comment(block)):
            _read_block(block, cues, path)
    return [_utterance(cue, is_vtt, path) for cue in cues]


def format_timestamp(seconds: float) -> str:
    """Seconds as WebVTT writes them: hours, minutes, seconds and milliseconds.

    >>> clock(3661.5)
    '01:01:01.500'
    """
    thousandths = round(seconds * 1000)
    minutes, rest = divmod(thousandths, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest // 1000:02d}.{rest % 1000:03d}"


def _lines_of(text: str) -> list[str]:
    # Not splitlines(): it also breaks at rarer characters, and editors do not count those.
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _blocks(text: str) -> Iterator[list[_Line]]:
    block: list[_Line] = []
    for number, line in enumerate(_lines_of(text), start=1):
        if line.strip():
            block.append(_Line(number, line))
        elif block:
            yield block
            block = []
    if block:
        yield block


def _is_comment(block: list[_Line]) -> bool:
    return bool(_COMMENT.match(block[0].text)) and not any("-->" in line.text for line in block)


def _read_block(block: list[_Line], cues: list[_Cue], path: Path) -> None:
    """Add a block's cues to `cues`; several may stand in one where blank lines are missing."""
    at = [i for i, line in enumerate(block) if "-->" in line.text]
    # The line above the times is the cue's own name; more, or no times, is an earlier cue's.
    earlier = block[: max(0, at[0] - 1)] if at else block
    if not cues and _HEADER.match(block[0].text.lstrip()):
        earlier = []
    if earlier and not cues:
        raise _refusal(earlier[0], "is text before the first cue", path)
    if earlier:
        cues[-1].lines.extend(line.text for line in earlier)
    for i, following in zip(at, [*at[1:], None], strict=False):
        inside = block[i + 1 : following]
        if following is not None and inside and inside[-1].text.strip().isdecimal():
            inside = inside[:-1]  # the number of the cue that follows
        cues.append(_Cue(block[i], [line.text for line in inside]))


def _utterance(cue: _Cue, is_vtt: bool, path: Path) -> Utterance:
    match = _TIMES.fullmatch(cue.times.text)
    if match is None:
        raise _refusal(cue.times, "has times that cannot be read", path)
    start, end = (_seconds(match.groups()[i : i + 4], cue.times, path) for i in (0, 4))
    if end < start:
        raise _refusal(cue.times, f"ends at {end} s, before it starts at {start} s", path)
    return Utterance(start, end, _plain(" ".join(cue.lines), is_vtt))


def _seconds(parts: tuple[str | None, ...], line: _Line, path: Path) -> float:
    hours, minutes, seconds = (int(part or 0) for part in parts[:3])
    if minutes >= 60 or seconds >= 60:
        raise _refusal(line, "counts 60 or more minutes or seconds", path)
    # As one number, since adding a fraction to the rest would round twice.
    return float(f"{hours * 3600 + minutes * 60 + seconds}.{parts[3] or 0}")


def _plain(text: str, is_vtt: bool) -> str:
    text = text if is_vtt else _PLACEMENT.sub("", text)
    text = html.unescape(_TAG.sub("", _BREAK.sub(" ", text)))
    return " ".join(text.split())


def _refusal(line: _Line, what: str, path: Path) -> MediaError:
    return MediaError(f"line {line.number} {what}: {line.text.strip()[:60]!r}", path, _EXAMPLE)
