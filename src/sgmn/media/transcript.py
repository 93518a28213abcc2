"""Read transcripts: SRT, WebVTT, JSON, JSON lines or plain text."""

from __future__ import annotations

import codecs
import json
import math
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from sgmn.errors import MediaError, error_reason
from sgmn.media.subtitles import contains_cues, format_vtt_cue, parse_subtitles
from sgmn.records import Utterance

DEFAULT_DURATION_S = 86_400.0  # of plain text: a day, longer than any video

_TIMES_REMEDY = "use seconds with 0 <= start <= end"
_FORMAT_REMEDY = 'use a list of {"start": 1.5, "end": 4.0, "text": "..."}'
# The units of speech: a word, or a character in scripts that do not separate words.
_UNSPACED = "\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_SPEECH_UNIT = re.compile(rf"[{_UNSPACED}]|[^\s{_UNSPACED}]+")


def read_transcript(
    path: Path,
    duration_s: float | Callable[[], float] = DEFAULT_DURATION_S,
    start_s: float = 0.0,
) -> tuple[Utterance, ...]:
    """Read a transcript, sorted by start; utterances with the same start keep their order.

    Formats are SRT, WebVTT, JSON lines of {"start", "end", "text"}, and JSON: a list of such
    objects, or an object that contains one under "transcript" or "segments" (as Whisper
    writes it). The suffix decides, or the content if the suffix is ambiguous. Anything else is
    plain text without times, which becomes one utterance.

    The encoding is UTF-8, or UTF-16 with a byte order mark. Utterances without text are
    omitted, so an empty file has none.

    Args:
        path: The transcript.
        duration_s: Length of the video in seconds, for plain text; or a function that returns
            it (0.0 if unknown), which is called only for plain text.
        start_s: Start of plain text in seconds.

    Raises:
        MediaError: With the path and, if there is one, the line or entry.
    """
    path = Path(path)
    text = _read_text(path)
    if not text.strip():
        return ()
    suffix = path.suffix.lower()
    if suffix in (".json", ".jsonl", ".ndjson") or (suffix == "" and text.lstrip()[0] in "[{"):
        utterances = _parse_json(text, path)
    elif suffix in (".srt", ".vtt") or contains_cues(text):
        utterances = parse_subtitles(text, path)
    else:
        length_s = duration_s() if callable(duration_s) else duration_s
        utterances = [_parse_plain_text(text, start_s, length_s, path)]
    return tuple(sorted((u for u in utterances if u.text), key=lambda u: u.start))


def select_text(utterances: Iterable[Utterance], start_s: float, end_s: float) -> str:
    """Return the text spoken from `start_s` to before `end_s` (seconds), in the given order.

    Of an utterance that overlaps the edge, only the words inside count. All its words
    (characters in Chinese, Japanese and Thai) are assumed to be equally long: word i of n is
    spoken at start + (i + 0.5) / n * (end - start).
    """
    overlapping = (u for u in utterances if u.start < end_s and u.end >= start_s)
    parts = (_select_words(u, start_s, end_s) for u in overlapping)
    return " ".join(part for part in parts if part)


def format_webvtt(utterances: Iterable[Utterance]) -> str:
    """Format as WebVTT: one cue per utterance, each on one line, times in milliseconds."""
    return "\n".join(["WEBVTT\n", *map(format_vtt_cue, utterances)])


def _parse_plain_text(text: str, start_s: float, duration_s: float, path: Path) -> Utterance:
    if not duration_s > 0:
        message = "is plain text without times, and the length of the video is unknown"
        raise MediaError(message, path, "use SRT, WebVTT or JSON")
    return Utterance(start_s, start_s + duration_s, " ".join(text.split()))


def _select_words(utterance: Utterance, start_s: float, end_s: float) -> str:
    if start_s <= utterance.start and utterance.end < end_s:
        return utterance.text.strip()
    words = list(_SPEECH_UNIT.finditer(utterance.text))
    word_s = (utterance.end - utterance.start) / max(1, len(words))
    times = (utterance.start + (i + 0.5) * word_s for i in range(len(words)))
    inside = [word for word, t in zip(words, times, strict=True) if start_s <= t < end_s]
    return utterance.text[inside[0].start() : inside[-1].end()] if inside else ""


def _read_text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise MediaError("does not exist", path, "check the path of the transcript") from None
    except (OSError, ValueError) as error:  # ValueError: a path with a null byte
        raise MediaError(
            f"cannot be opened ({error_reason(error)})", path, "pass a transcript file"
        ) from error
    is_utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    encoding = "utf-16" if is_utf16 else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        name = "UTF-16" if is_utf16 else "UTF-8"
        message = f"is not {name} (byte {error.start}: {error.reason})"
        raise MediaError(message, path, "save it as UTF-8") from error
    if "\0" in text:
        raise MediaError("contains null characters, so it is not text", path, "save it as UTF-8")
    return text


def _parse_json(text: str, path: Path) -> list[Utterance]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        if not _looks_like_json_lines(text):
            message = f"line {error.lineno} is not valid JSON ({error.msg})"
            raise MediaError(message, path, _FORMAT_REMEDY) from error
        return _parse_json_lines(text, path)
    except (ValueError, RecursionError) as error:  # a number or a nesting beyond the limits
        raise MediaError(f"cannot be read as JSON ({error})", path, _FORMAT_REMEDY) from error
    entries = enumerate(_find_entries(value, path), 1)
    return [parse_utterance(entry, f"entry {number}", path) for number, entry in entries]


def _looks_like_json_lines(text: str) -> bool:
    """Whether the first line is an object of its own."""
    first_line = text.lstrip().split("\n", 1)[0]
    return first_line.startswith("{") and first_line.rstrip().endswith("}")


def _parse_json_lines(text: str, path: Path) -> list[Utterance]:
    utterances = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError) as error:
            message = f"line {number} is not valid JSON ({error})"
            raise MediaError(message, path, _FORMAT_REMEDY) from error
        utterances.append(parse_utterance(entry, f"line {number}", path))
    return utterances


def _find_entries(value: Any, path: Path) -> list[Any]:
    if isinstance(value, dict):
        if "text" in value and "start" in value:
            return [value]
        value = value.get("transcript", value.get("segments"))
    if not isinstance(value, list):
        raise MediaError('has no list of utterances in "transcript"', path, _FORMAT_REMEDY)
    return value


def parse_utterance(entry: Any, where: str, path: Path) -> Utterance:
    """Parse {"start", "end", "text"}, in seconds.

    Raises MediaError with `path` and `where`, such as "line 3".
    """
    if not isinstance(entry, dict) or not isinstance(entry.get("text"), str):
        raise MediaError(f"{where} has no text", path, _FORMAT_REMEDY)
    start, end = entry.get("start", math.nan), entry.get("end", math.nan)
    if not _is_valid_span(start, end):
        raise MediaError(f"{where} has the times {start!r} to {end!r}", path, _TIMES_REMEDY)
    text = " ".join(entry["text"].split())
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        message = f"{where} contains half a character (a lone surrogate)"
        raise MediaError(message, path, "correct the text")
    return Utterance(float(start), float(end), text)


def _is_valid_span(start: Any, end: Any) -> bool:
    if not all(isinstance(t, int | float) and not isinstance(t, bool) for t in (start, end)):
        return False
    try:
        return math.isfinite(start) and math.isfinite(end) and 0 <= start <= end
    except OverflowError:  # an integer too large for a float
        return False
