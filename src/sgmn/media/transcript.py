"""Transcripts: SRT, WebVTT, JSON, JSON lines or plain text to what was said, and when."""

from __future__ import annotations

import codecs
import html
import json
import math
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from sgmn.errors import MediaError
from sgmn.media import subtitles as subtitles
from sgmn.records import Utterance

DEFAULT_DURATION_S = 86_400.0  # a day: longer than any video that plain text may belong to

_TIMES = "give numbers of seconds with 0 <= start <= end"
_SHAPE = 'give a list of {"start": 1.5, "end": 4.0, "text": "..."}'
# What one speaks in one go: a word, or a character of scripts that do not part their words.
_UNSPACED = "\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_SPOKEN = re.compile(rf"[{_UNSPACED}]|[^\s{_UNSPACED}]+")


def read_transcript(
    path: Path, duration_s: float | Callable[[], float] = DEFAULT_DURATION_S, start_s: float = 0.0
) -> tuple[Utterance, ...]:
    """Read a transcript, sorted by start; what starts together keeps its order.

    SRT and WebVTT; JSON: a list of {"start", "end", "text"}, or an object that holds one
    under "transcript" or "segments" (as Whisper writes it); JSON lines of the same. Told
    apart by name, and by content where the name does not tell. Anything else is plain text
    without times: one utterance from `start_s` that lasts `duration_s` seconds, so give the
    video's length, or a function that finds it out (0.0 where it cannot): it is called for
    plain text alone.

    UTF-8, or UTF-16 with a byte order mark. Cues without words are left out: they say
    nothing; an empty file is silence. Raises MediaError with the file's name and, where
    there is one, the line or entry.
    """
    path = Path(path)
    text = _text(path)
    if not text.strip():
        return ()
    suffix = path.suffix.lower()
    if suffix in (".json", ".jsonl", ".ndjson") or (suffix == "" and text.lstrip()[0] in "[{"):
        said = _from_json(text, path)
    elif suffix in (".srt", ".vtt") or subtitles.contains_cues(text):
        said = subtitles.parse_subtitles(text, path)
    else:
        length_s = duration_s() if callable(duration_s) else duration_s
        said = [_spread(" ".join(text.split()), start_s, length_s, path)]
    return tuple(sorted((u for u in said if u.text), key=lambda u: u.start))


def select_text(utterances: Iterable[Utterance], start_s: float, end_s: float) -> str:
    """The words said from `start_s` to before `end_s` (seconds), in the order given.

    Of an utterance that lies only partly inside, the words inside count, all its words
    (characters in Chinese, Japanese and Thai) being taken as equally long: word i of n is
    said at start + (i + 0.5) / n * (end - start).
    """
    parts = (_part(u, start_s, end_s) for u in utterances if u.start < end_s and u.end >= start_s)
    return " ".join(part for part in parts if part)


def format_webvtt(cues: Iterable[Utterance]) -> str:
    """WebVTT with one cue an utterance, each on one line; times to the millisecond."""
    blocks = ["WEBVTT\n"]
    for cue in cues:
        text = html.escape(" ".join(cue.text.split()), quote=False)
        blocks.append(
            f"{subtitles.format_timestamp(cue.start)} --> {subtitles.format_timestamp(cue.end)}\n{text}\n"
        )
    return "\n".join(blocks)


def _spread(words: str, start_s: float, length_s: float, path: Path) -> Utterance:
    if not length_s > 0:
        what = "has words without times, and the length of its video is not known"
        raise MediaError(what, path, "give SRT, WebVTT or JSON")
    return Utterance(start_s, start_s + length_s, words)


def _part(utterance: Utterance, start_s: float, end_s: float) -> str:
    if start_s <= utterance.start and utterance.end < end_s:
        return utterance.text.strip()
    words = list(_SPOKEN.finditer(utterance.text))
    each_s = (utterance.end - utterance.start) / max(1, len(words))
    times = (utterance.start + (i + 0.5) * each_s for i in range(len(words)))
    inside = [word for word, t in zip(words, times, strict=True) if start_s <= t < end_s]
    return utterance.text[inside[0].start() : inside[-1].end()] if inside else ""


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise MediaError("does not exist", path, "check the transcript's path") from None
    except (OSError, ValueError) as error:  # ValueError: a path with a null byte
        raise MediaError(f"cannot be opened ({error})", path, "name a transcript file") from error
    wide = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    encoding = "utf-16" if wide else "utf-8-sig"
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        name = "UTF-16" if wide else "UTF-8"
        what = f"is not {name} (byte {error.start}: {error.reason})"
        raise MediaError(what, path, "save it as UTF-8") from error
    if "\0" in text:
        raise MediaError("holds null characters, so it is no text", path, "save it as UTF-8")
    return text


def _from_json(text: str, path: Path) -> list[Utterance]:
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        if not _is_lines(text):
            what = f"line {error.lineno} is no JSON ({error.msg})"
            raise MediaError(what, path, _SHAPE) from error
        return _from_json_lines(text, path)
    except (ValueError, RecursionError) as error:  # a number or a nesting beyond all measure
        raise MediaError(f"cannot be read as JSON ({error})", path, _SHAPE) from error
    entries = enumerate(_entries(found, path), 1)
    return [parse_utterance(entry, f"entry {number}", path) for number, entry in entries]


def _is_lines(text: str) -> bool:
    """Whether the first line is an object of its own, as in JSON lines."""
    first = text.lstrip().split("\n", 1)[0]
    return first.startswith("{") and first.rstrip().endswith("}")


def _from_json_lines(text: str, path: Path) -> list[Utterance]:
    said = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise MediaError(f"line {number} is no JSON ({error})", path, _SHAPE) from error
        said.append(parse_utterance(entry, f"line {number}", path))
    return said


def _entries(found: Any, path: Path) -> list[Any]:
    if isinstance(found, dict):
        if "text" in found and "start" in found:
            return [found]
        found = found.get("transcript", found.get("segments"))
    if not isinstance(found, list):
        raise MediaError('holds no list of utterances under "transcript"', path, _SHAPE)
    return found


def parse_utterance(entry: Any, where: str, path: Path) -> Utterance:
    """Of {"start", "end", "text"} in seconds. Raises MediaError naming `where` in `path`."""
    if not isinstance(entry, dict) or not isinstance(entry.get("text"), str):
        raise MediaError(f"{where} has no text", path, _SHAPE)
    start, end = entry.get("start", math.nan), entry.get("end", math.nan)
    if not _is_span(start, end):
        raise MediaError(f"{where} runs from {start!r} to {end!r}", path, _TIMES)
    text = " ".join(entry["text"].split())
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise MediaError(f"{where} holds half a character (a lone surrogate)", path, "mend it")
    return Utterance(float(start), float(end), text)


def _is_span(start: Any, end: Any) -> bool:
    if not all(isinstance(t, int | float) and not isinstance(t, bool) for t in (start, end)):
        return False
    try:
        return math.isfinite(start) and math.isfinite(end) and 0 <= start <= end
    except OverflowError:  # a whole number beyond all floats
        return False
