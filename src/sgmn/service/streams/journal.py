"""The journal of a session: the evidence of each window, on disk before anything follows from it.

A file of records that only grows. The decoder of events has no clock and no randomness, so its
records give the same events with the same ids after any crash. Each record is on the disk
(`fdatasync`) before its events are reported, so an event in the log can always be derived again,
even after a loss of power.

A record is its length and the CRC-32 of its bytes, each as little-endian unsigned 32-bit integer,
and the bytes: one letter for the kind, then the content. A crash may cut the last record short;
it is cut off when the journal is opened for writing.

| letter | content |
|---|---|
| H | JSON: session, product ids, timeline settings, lag; the first record |
| S | a window: numbers, logits as float32, saliency, terms of the best products, what was said |
| T | a window of a journal of version 2: the same without saliency |
| W | a window of a journal of version 1: without terms either |
| G | JSON: a gap, see `Gap` |
| E | JSON: the end of the stream, `{"end_s", "wall_s"}`; the last record |
"""

from __future__ import annotations

import fcntl
import json
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from math import isnan
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from sgmn.errors import SgmnError
from sgmn.live.presence import UNKNOWN
from sgmn.service.streams.score_terms import ScoreTerms

JOURNAL_VERSION = 3
_READ_VERSIONS = (1, 2, 3)  # 1: before the terms of scores were kept; 2: before the saliency was
FILE_NAME = "journal"
_RECORD = struct.Struct("<II")  # length, CRC-32
_WINDOW = struct.Struct("<ddddQI")  # center_s, end_s, wall_s, frame_s, frame count, product count
_SALIENCY = struct.Struct("<d")
_MAX_RECORD_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Header:
    """What the windows of a journal belong to.

    Attributes:
        session_id: The session.
        product_ids: The products of the shelf, in the order of the logits.
        timeline: The fields of `TimelineSettings`.
        lag_s: Seconds for which an event may be corrected.
    """

    session_id: str
    product_ids: tuple[str, ...]
    timeline: dict[str, Any]
    lag_s: float


@dataclass(frozen=True, slots=True, eq=False)
class WindowRecord:
    """The evidence of one window.

    Attributes:
        center_s: The moment that the window represents, in seconds of the stream.
        end_s: End of the window, in seconds of the stream.
        wall_s: Wall clock of the newest frame, in seconds since 1970.
        frame_s: Time of the newest frame, in seconds of the stream.
        frame_count: Frames of the stream so far.
        logits: (S,) float32.
        text: What was said in the window.
        terms: What the scores of the best products consist of; None in a journal of version 1.
        saliency: How salient the frames are; nan if that is not known, as before version 3.
    """

    center_s: float
    end_s: float
    wall_s: float
    frame_s: float
    frame_count: int
    logits: NDArray[np.float32]
    text: str = ""
    terms: ScoreTerms | None = None
    saliency: float = UNKNOWN


@dataclass(frozen=True, slots=True)
class Gap:
    """A part of a stream that nobody has watched.

    Attributes:
        from_s: Its start, in seconds of the stream: the newest frame before it.
        to_s: Its end: the first frame after it.
        from_wall_s: Wall clock at its start, in seconds since 1970.
        to_wall_s: Wall clock at its end.
        reason: Why nobody watched.
    """

    from_s: float
    to_s: float
    from_wall_s: float
    to_wall_s: float
    reason: str


@dataclass(frozen=True, slots=True)
class End:
    """The end of a stream: seconds of the stream, and the wall clock."""

    end_s: float
    wall_s: float


Record = Header | WindowRecord | Gap | End


def read_journal(path: Path) -> Iterator[Record]:
    """Yield the records of a journal up to the first that is incomplete or damaged."""
    for kind, content, _ in _read_raw(path):
        yield _decode(kind, content, path)


class JournalLockedError(SgmnError):
    """Another process writes the journal, such as a worker of a node that is cut off."""


class JournalWriter:
    """Appends to a journal. Only one process at a time can hold it.

    Raises:
        JournalLockedError: Another process writes it.
        OSError: It cannot be written, such as on a full disk. What was appended before is kept.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._size = max((end for _, _, end in _read_raw(path)), default=0)
            os.ftruncate(self._descriptor, self._size)
        except BlockingIOError as error:
            os.close(self._descriptor)
            message = "another process is writing the journal of this session"
            raise JournalLockedError(message, path, "wait until it has ended") from error
        except BaseException:
            os.close(self._descriptor)
            raise

    @property
    def is_empty(self) -> bool:
        """Whether nothing has been appended yet."""
        return not self._size

    def append(self, record: Record) -> None:
        """Append a record; it is on the disk when this returns."""
        payload = _encode(record)
        data = _RECORD.pack(len(payload), zlib.crc32(payload)) + payload
        try:
            _write_all(self._descriptor, data, self._size)
            os.fdatasync(self._descriptor)
        except OSError:
            # Part of the record may be there, and must not end up before a later one.
            os.ftruncate(self._descriptor, self._size)
            raise
        self._size += len(data)

    def close(self) -> None:
        """Let other processes write the journal."""
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _write_all(descriptor: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written


def _read_raw(path: Path) -> Iterator[tuple[bytes, bytes, int]]:
    """Yield kind, content and the position after each intact record."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    position = 0
    with file:
        while len(head := file.read(_RECORD.size)) == _RECORD.size:
            length, checksum = _RECORD.unpack(head)
            if not 0 < length <= _MAX_RECORD_BYTES:
                return
            payload = file.read(length)
            if len(payload) < length or zlib.crc32(payload) != checksum:
                return
            position += _RECORD.size + length
            yield payload[:1], payload[1:], position


def _encode(record: Record) -> bytes:
    if isinstance(record, WindowRecord):
        numbers = _WINDOW.pack(
            record.center_s,
            record.end_s,
            record.wall_s,
            record.frame_s,
            record.frame_count,
            len(record.logits),
        )
        logits = np.asarray(record.logits, "<f4").tobytes()
        if record.terms is None:
            if not isnan(record.saliency):
                raise SgmnError("a window with a saliency but without terms", "journal")
            return b"W" + numbers + logits + record.text.encode()
        evidence = logits + _SALIENCY.pack(record.saliency) + record.terms.to_bytes()
        return b"S" + numbers + evidence + record.text.encode()
    kind = {Header: b"H", Gap: b"G", End: b"E"}[type(record)]
    content = asdict(record)
    if isinstance(record, Header):
        content["version"] = JOURNAL_VERSION
    return kind + json.dumps(content).encode()


def _decode(kind: bytes, content: bytes, path: Path) -> Record:
    if kind in (b"W", b"T", b"S"):
        return _decode_window(content, has_terms=kind != b"W", has_saliency=kind == b"S")
    fields = json.loads(content) if kind in (b"G", b"E", b"H") else {}
    if kind == b"G":
        return Gap(**fields)
    if kind == b"E":
        return End(**fields)
    if fields.pop("version", None) not in _READ_VERSIONS:
        message = f"has a record {kind!r} of another version"
        raise SgmnError(message, path, "update sgmn to the version that wrote it")
    return Header(**{**fields, "product_ids": tuple(fields["product_ids"])})


def _decode_window(content: bytes, *, has_terms: bool, has_saliency: bool) -> WindowRecord:
    center_s, end_s, wall_s, frame_s, count, product_count = _WINDOW.unpack_from(content)
    start, end = _WINDOW.size, _WINDOW.size + 4 * product_count
    logits = np.frombuffer(content[start:end], "<f4")
    terms, saliency = None, UNKNOWN
    if has_saliency:
        (saliency,), end = _SALIENCY.unpack_from(content, end), end + _SALIENCY.size
    if has_terms:
        terms, end = ScoreTerms.read(content, end)
    text = content[end:].decode()
    return WindowRecord(center_s, end_s, wall_s, frame_s, count, logits, text, terms, saliency)
