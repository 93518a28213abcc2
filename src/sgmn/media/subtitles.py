"""Parse SRT and WebVTT cues; errors name the line."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from sgmn.errors import MediaError
from sgmn.records import Utterance

_CLOCK = r"(?:([0-9]{1,6}):)?([0-9]{1,2}):([0-9]{1,2})(?:[.,]([0-9]{1,9}))?"
_CUE_TIMES = re.compile(
    rf"[ \t]*{_CLOCK}[ \t]*-->[ \t]*{_CLOCK}(?:[ \t].*)?"  # cue settings may follow
)
_VTT_HEADER = re.compile(r"WEBVTT(?:\s|$)")
_VTT_COMMENT = re.compile(r"(?:NOTE|STYLE|REGION)(?:\s|$)")
_LINE_BREAK_TAG = re.compile(r"<br\s*/?>", re.IGNORECASE)
_TAG = re.compile(r"</?[A-Za-z][^<>]*>|</?[0-9][0-9:.]*>|</>")
_POSITION = re.compile(r"\{\\[^{}]*\}")  # {\an8}, which SRT files borrow from the ASS format
_REMEDY = "write it as 00:00:01.500 --> 00:00:04.000"


class _Line(NamedTuple):
    number: int
    text: str


class _Cue(NamedTuple):
    times: _Line
    lines: list[str]


def contains_cues(text: str) -> bool:
    """Whether `text` starts as WebVTT or contains a line of cue times."""
    has_header = bool(_VTT_HEADER.match(text.lstrip()))
    return has_header or any(map(_CUE_TIMES.fullmatch, _split_lines(text)))


def parse_subtitles(text: str, path: Path) -> list[Utterance]:
    """Parse the cues of SRT or WebVTT, in file order.

    Hours are optional, and a comma is accepted instead of a dot. The header, comments, styles,
    identifiers, cue settings and tags are removed, and entities are resolved.

    Raises:
        MediaError: With `path` and the line, for invalid times, for a cue that ends before it
            starts, and for text before the first cue.
    """
    is_vtt = bool(_VTT_HEADER.match(text.lstrip()))
    cues: list[_Cue] = []
    for block in _split_blocks(text):
        if not (is_vtt and _is_comment(block)):
            _parse_block(block, cues, path)
    return [_to_utterance(cue, is_vtt, path) for cue in cues]


def format_timestamp(seconds: float) -> str:
    """Format seconds as WebVTT does: hours, minutes, seconds and milliseconds.

    >>> format_timestamp(3661.5)
    '01:01:01.500'
    """
    minutes, milliseconds = divmod(round(seconds * 1000), 60_000)
    return (
        f"{minutes // 60:02d}:{minutes % 60:02d}:"
        f"{milliseconds // 1000:02d}.{milliseconds % 1000:03d}"
    )


def format_vtt_cue(utterance: Utterance) -> str:
    """Format an utterance as a WebVTT cue on two lines.

    >>> format_vtt_cue(Utterance(1.5, 3.0, "salt & pepper"))
    '00:00:01.500 --> 00:00:03.000\\nsalt &amp; pepper\\n'
    """
    start, end = format_timestamp(utterance.start), format_timestamp(utterance.end)
    text = html.escape(" ".join(utterance.text.split()), quote=False)
    return f"{start} --> {end}\n{text}\n"


def format_srt_cue(utterance: Utterance) -> str:
    """Format an utterance as a SubRip cue on two lines, without its number.

    >>> format_srt_cue(Utterance(1.5, 3.0, "salt & pepper"))
    '00:00:01,500 --> 00:00:03,000\\nsalt & pepper\\n'
    """
    times = (format_timestamp(t).replace(".", ",") for t in (utterance.start, utterance.end))
    return f"{' --> '.join(times)}\n{' '.join(utterance.text.split())}\n"


def _split_lines(text: str) -> list[str]:
    # Not splitlines(), which also splits at rare characters that editors do not count as lines.
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _split_blocks(text: str) -> Iterator[list[_Line]]:
    """Yield the blocks of lines between blank lines."""
    block: list[_Line] = []
    for number, line in enumerate(_split_lines(text), start=1):
        if line.strip():
            block.append(_Line(number, line))
        elif block:
            yield block
            block = []
    if block:
        yield block


def _is_comment(block: list[_Line]) -> bool:
    is_comment = bool(_VTT_COMMENT.match(block[0].text))
    return is_comment and not any("-->" in line.text for line in block)


def _parse_block(block: list[_Line], cues: list[_Cue], path: Path) -> None:
    """Add the cues of a block; it contains several if blank lines are missing."""
    starts = [i for i, line in enumerate(block) if "-->" in line.text]
    # The line above the times is the identifier of the cue. Any lines before it, or a block
    # without times, continue the previous cue.
    continuation = block[: max(0, starts[0] - 1)] if starts else block
    if not cues and _VTT_HEADER.match(block[0].text.lstrip()):
        continuation = []
    if continuation and not cues:
        raise _line_error(continuation[0], "is text before the first cue", path)
    if continuation:
        cues[-1].lines.extend(line.text for line in continuation)
    for start, next_start in zip(starts, [*starts[1:], None], strict=False):
        lines = block[start + 1 : next_start]
        if next_start is not None and lines and lines[-1].text.strip().isdecimal():
            lines = lines[:-1]  # the number of the next cue
        cues.append(_Cue(block[start], [line.text for line in lines]))


def _to_utterance(cue: _Cue, is_vtt: bool, path: Path) -> Utterance:
    match = _CUE_TIMES.fullmatch(cue.times.text)
    if match is None:
        raise _line_error(cue.times, "has invalid cue times", path)
    start, end = (_parse_clock(match.groups()[i : i + 4], cue.times, path) for i in (0, 4))
    if end < start:
        raise _line_error(cue.times, f"ends at {end} s, before it starts at {start} s", path)
    return Utterance(start, end, _strip_markup(" ".join(cue.lines), is_vtt))


def _parse_clock(parts: tuple[str | None, ...], line: _Line, path: Path) -> float:
    hours, minutes, seconds = (int(part or 0) for part in parts[:3])
    if minutes >= 60 or seconds >= 60:
        raise _line_error(line, "has 60 or more minutes or seconds", path)
    # Parsed as one number, because adding the fraction to the rest would round twice.
    return float(f"{hours * 3600 + minutes * 60 + seconds}.{parts[3] or 0}")


def _strip_markup(text: str, is_vtt: bool) -> str:
    text = text if is_vtt else _POSITION.sub("", text)
    text = html.unescape(_TAG.sub("", _LINE_BREAK_TAG.sub(" ", text)))
    return " ".join(text.split())


def _line_error(line: _Line, message: str, path: Path) -> MediaError:
    message = f"line {line.number} {message}: {line.text.strip()[:60]!r}"
    return MediaError(message, path, _REMEDY)
