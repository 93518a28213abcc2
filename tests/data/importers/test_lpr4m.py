"""The rows of LPR4M: their layouts, literals and ids."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgmn.data.importers import lpr4m, lpr4m_training
from sgmn.data.importers.lpr4m import parse_training_row, split_image_id
from sgmn.errors import RecordError

LIVE = "7b601b02-2c63-11ee-bb6d-b8cef60c2fd0"
VIDEO = f"{LIVE}-1000-13000"
IMAGE = "fff8b484-2eeb-11ee-b7bb-77cb20e634dc"
FRAMES = [f"{VIDEO}-0001", f"{VIDEO}-0002"]
BOXES = [[10, 20, 300, 400], [0, 0, 0, 0]]
END = ["small", "short", "few"]


def row(layout: int) -> list[str]:
    frames, boxes = json.dumps(FRAMES), json.dumps(BOXES)
    named = {
        11: [VIDEO, frames, boxes, IMAGE, "Red milk", "3", "Food", "fresh milk"],
        12: [VIDEO, frames, boxes, IMAGE, "Red milk", "3", "Food", "s1", "fresh milk"],
        13: [VIDEO, frames, boxes, IMAGE, "i/a.jpg", "Red milk", "3", "Food", "s1", "fresh milk"],
    }
    return named[layout] + END


@pytest.mark.parametrize("layout", [11, 12, 13])
def test_each_layout_is_read_by_its_number_of_columns(layout: int) -> None:
    parsed = parse_training_row("\t".join(row(layout)) + "\n", "a.txt:1")
    assert (parsed.video_id, parsed.image_id, parsed.title) == (VIDEO, IMAGE, "Red milk")
    assert (parsed.category, parsed.transcript) == ("Food", "fresh milk")
    assert parsed.frames == tuple(FRAMES)
    assert parsed.boxes == (((10.0, 20.0, 300.0, 400.0),), ())
    assert parsed.spu == ("" if layout == 11 else "s1")
    assert parsed.image_path == ("i/a.jpg" if layout == 13 else "")
    assert parsed.buckets == {"scale": "small", "visible": "short", "products": "few"}


@pytest.mark.parametrize("count", [1, 10, 14])
def test_an_unknown_number_of_columns_is_refused_with_the_row(count: int) -> None:
    line = "\t".join(["cell"] * count)
    with pytest.raises(RecordError, match=rf"a\.txt:7: has {count} columns: 'cell.*11, 12, 13"):
        parse_training_row(line, "a.txt:7")


def test_python_literals_are_read() -> None:
    cells = row(11)
    cells[1], cells[2] = repr(tuple(FRAMES)), repr([tuple(box) for box in BOXES])
    assert parse_training_row("\t".join(cells), "x") == parse_training_row("\t".join(row(11)), "x")


@pytest.mark.parametrize(
    "text", ["__import__('os').getcwd()", "[1, 2", "[x for x in (1,)]", "1 + 1j * 2 * 3", "("]
)
def test_code_is_not_evaluated(text: str) -> None:
    with pytest.raises(RecordError, match=r"a\.txt:1: is not a literal"):
        lpr4m.parse_literal(text, "a.txt:1")


@pytest.mark.parametrize(
    "column, text, message",
    [
        (0, "no-uuid-1-2", "has the video id 'no-uuid-1-2'"),
        (1, "{}", "no list of frames"),
        (1, "[1, 2]", "no list of frames"),
        (2, "[[1, 2, 3, 4]]", "one box for each of its 2 frames"),
        (2, "[[1, 2, 3], [0, 0, 0, 0]]", r"has the box \[1, 2, 3\]"),
        (2, '[[1, 2, 3, "4"], [0, 0, 0, 0]]', "has the box"),
        (3, "", "no image id"),
    ],
)
def test_an_invalid_cell_is_an_error_with_its_place(column: int, text: str, message: str) -> None:
    cells = row(11)
    cells[column] = text
    with pytest.raises(RecordError, match=rf"a\.txt:1: .*{message}"):
        parse_training_row("\t".join(cells), "a.txt:1")


def test_ids_are_taken_apart() -> None:
    assert lpr4m.live_and_span_of(VIDEO, "x") == (LIVE, 12.0)
    assert split_image_id(IMAGE) == (IMAGE, 0)
    assert split_image_id(f"{IMAGE}-12") == (IMAGE, 12)
    assert split_image_id("other-name") == ("other-name", 0)


@given(
    lines=st.lists(st.text("ab\té", max_size=9), max_size=30),
    size=st.integers(1, 40),
    ends=st.booleans(),
)
def test_ranges_of_any_size_read_every_line_once(
    lines: list[str], size: int, ends: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("ranges") / "a.txt"
    path.write_text("\n".join(lines) + ("\n" if ends else ""), encoding="utf-8")
    read = [
        line.rstrip("\n")
        for part in lpr4m_training.split_file(Path(path), size)
        for _, line in lpr4m_training.read_range(part)
    ]
    assert read == [line for line in lines if line.strip()]


@pytest.mark.parametrize("count, chosen", [(10, range(10)), (11, [0, 1, 2, 3, 4, 5, 6, 7, 8, 10])])
def test_training_frames_are_spaced_evenly_with_both_ends(count: int, chosen: list[int]) -> None:
    assert lpr4m_training.select_with_ends(count, 10) == list(chosen)
