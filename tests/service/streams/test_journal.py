"""The journal: what was appended comes back, whatever a crash or a full disk leaves behind."""

from __future__ import annotations

import resource
import signal
import struct
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgmn.errors import SgmnError
from sgmn.live.presence import UNKNOWN
from sgmn.service.streams.journal import (
    End,
    Gap,
    Header,
    JournalWriter,
    Record,
    WindowRecord,
    read_journal,
)
from sgmn.service.streams.score_terms import EXPLAINED_PRODUCTS, TERM_NAMES, ScoreTerms

HEADER = Header("ses_1", ("a", "b", "ü"), {"hop_s": 2.0}, 6.0)


TERMS = ScoreTerms(("image", "late"), ((7.5, -0.25), (0.5, 2.0)))


def window(number: int, text: str = "", terms: ScoreTerms | None = TERMS) -> WindowRecord:
    logits = np.array([number, -0.5, 1e-30], np.float32)
    saliency = 0.1 * number if terms else UNKNOWN
    return WindowRecord(1.0 + 2 * number, 6.0, 1e9 + number, 5.5, 6, logits, text, terms, saliency)


RECORDS: list[Record] = [
    HEADER,
    window(0, "ein Becher"),
    Gap(5.5, 9.0, 1e9, 1e9 + 3.5, "crash"),
    window(1, terms=None),
    End(12.0, 1e9 + 9),
]


def write(path: Path, records: list[Record]) -> None:
    with JournalWriter(path) as journal:
        for record in records:
            journal.append(record)


def plain(records: Any) -> list[Any]:
    """Records as values that can be compared."""
    names = WindowRecord.__slots__
    return [
        [str(np.asarray(getattr(r, name)).tolist()) for name in names if name != "terms"]
        + [r.terms]
        if isinstance(r, WindowRecord)
        else r
        for r in records
    ]


def test_records_come_back_as_they_were(tmp_path: Path) -> None:
    write(tmp_path / "journal", RECORDS)
    assert plain(read_journal(tmp_path / "journal")) == plain(RECORDS)


def test_a_missing_journal_has_no_records(tmp_path: Path) -> None:
    assert list(read_journal(tmp_path / "journal")) == []


@settings(max_examples=40)
@given(cut=st.integers(min_value=0, max_value=500))
def test_a_journal_that_is_cut_anywhere_keeps_its_whole_records(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    path = tmp_path_factory.mktemp("cut") / "journal"
    write(path, RECORDS)
    data = path.read_bytes()
    path.write_bytes(data[: min(cut, len(data))])
    kept = plain(read_journal(path))
    assert kept == plain(RECORDS)[: len(kept)]
    assert len(kept) == len(RECORDS) or cut < len(data)
    write(path, [window(7)])  # the rest of the record that was cut is gone
    assert plain(read_journal(path)) == [*kept, *plain([window(7)])]
    write(path.with_name("whole"), [*RECORDS[: len(kept)], window(7)])
    assert path.read_bytes() == path.with_name("whole").read_bytes()


@settings(max_examples=40)
@given(position=st.integers(min_value=0, max_value=200), value=st.integers(0, 255))
def test_a_damaged_record_ends_the_journal(
    tmp_path_factory: pytest.TempPathFactory, position: int, value: int
) -> None:
    path = tmp_path_factory.mktemp("damaged") / "journal"
    write(path, RECORDS)
    data = bytearray(path.read_bytes())
    is_changed = data[position] != value
    data[position] = value
    path.write_bytes(data)
    kept = plain(read_journal(path))
    assert kept == plain(RECORDS)[: len(kept)] and (len(kept) < len(RECORDS)) == is_changed


def test_two_processes_cannot_write_one_journal(tmp_path: Path) -> None:
    with (
        JournalWriter(tmp_path / "journal"),
        pytest.raises(SgmnError, match="another process is writing"),
    ):
        JournalWriter(tmp_path / "journal")
    JournalWriter(tmp_path / "journal").close()


@pytest.fixture
def full_disk() -> Iterator[None]:
    """Files cannot grow beyond 400 bytes, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_loses_nothing_of_what_was_appended(tmp_path: Path, full_disk: None) -> None:
    path, count = tmp_path / "journal", 0
    with JournalWriter(path) as journal:
        journal.append(HEADER)
        with pytest.raises(OSError, match="File too large"):
            while count < 100:
                journal.append(window(count, "some words"))
                count += 1
    assert 0 < count < 100
    appended = [HEADER, *(window(number, "some words") for number in range(count))]
    assert plain(read_journal(path)) == plain(appended)


def test_a_journal_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "journal", [HEADER])
    data = (tmp_path / "journal").read_bytes()[8:].replace(b'"version": 3', b'"version": 9')
    (tmp_path / "journal").write_bytes(struct.pack("<II", len(data), zlib.crc32(data)) + data)
    with pytest.raises(SgmnError, match="another version"):
        list(read_journal(tmp_path / "journal"))


def test_a_record_of_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    data = b"X" + b"no JSON"
    (tmp_path / "journal").write_bytes(struct.pack("<II", len(data), zlib.crc32(data)) + data)
    with pytest.raises(SgmnError, match="another version"):
        list(read_journal(tmp_path / "journal"))


def test_a_saliency_is_never_dropped(tmp_path: Path) -> None:
    with pytest.raises(SgmnError, match="without terms"):
        write(tmp_path / "journal", [replace(window(0, terms=None), saliency=1.0)])


# Written by older versions: a header, and a window with what was said.
VERSION_1 = bytes.fromhex(
    "75000000b03bda6c487b2273657373696f6e5f6964223a20227365735f31222c202270726f647563745f6964"
    "73223a205b2261222c202262222c20225c7530306663225d2c202274696d656c696e65223a207b22686f705f"
    "73223a20322e307d2c20226c61675f73223a20362e302c202276657273696f6e223a20317d4300000084072e"
    "a457000000000000f03f00000000000018400000000065cdcd41000000000000164006000000000000000300"
    "000000000000000000bf6042a20d65696e20426563686572"
)
VERSION_2 = bytes.fromhex(  # with terms
    "750000007368f747487b2273657373696f6e5f6964223a20227365735f31222c202270726f647563745f6964"
    "73223a205b2261222c202262222c20225c7530306663225d2c202274696d656c696e65223a207b22686f705f"
    "73223a20322e307d2c20226c61675f73223a20362e302c202276657273696f6e223a20327d4d0000004d9475"
    "e954000000000000f03f00000000000018400000000065cdcd41000000000000164006000000000000000300"
    "000000000000000000bf6042a20d2102804700b40038004065696e20426563686572"
)


@pytest.mark.parametrize("data, terms", [(VERSION_1, None), (VERSION_2, TERMS)], ids=["1", "2"])
def test_a_journal_of_an_older_version_is_read_and_continued(
    data: bytes, terms: ScoreTerms | None, tmp_path: Path
) -> None:
    (tmp_path / "journal").write_bytes(data)
    old = [HEADER, replace(window(0, "ein Becher", terms), saliency=UNKNOWN)]
    assert plain(read_journal(tmp_path / "journal")) == plain(old)
    write(tmp_path / "journal", [window(1)])  # a session that goes on after an update
    assert plain(read_journal(tmp_path / "journal")) == plain([*old, window(1)])
    assert (tmp_path / "journal").read_bytes().startswith(data)


def test_terms_and_saliency_take_little_room(tmp_path: Path) -> None:
    logits, names = np.zeros(500, np.float32), TERM_NAMES[:6]  # as many as the built-in model has
    terms = ScoreTerms(names, ((1.0,) * len(names),) * EXPLAINED_PRODUCTS)
    record = WindowRecord(1.0, 6.0, 1e9, 5.5, 6, logits, "words " * 10)
    write(tmp_path / "without", [record])
    write(tmp_path / "with", [replace(record, terms=terms)])
    sizes = [(tmp_path / name).stat().st_size for name in ("without", "with")]
    assert sizes[1] - sizes[0] == 38 + 8 and sizes[1] < 1.03 * sizes[0]
