"""Damaged JSON lines are read, or rejected with file and line; nothing else may happen."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from sgmn.catalogue import feed
from sgmn.data import dataset
from sgmn.errors import RecordError

PRODUCTS = [
    {"product_id": f"p{n}", "title": f"Grön té {n}", "image": f"i/{n}.jpg", "attributes": {"n": n}}
    for n in range(4)
]
CLIPS = [
    {
        "clip_id": f"c{n}",
        "video": f"v/{n}.mp4",
        "transcript": [{"start": 0.5, "end": 2, "text": "schön, 商品"}],
        "product_ids": [f"p{n}"],
        "start": n,
        "end": n + 2.5,
        "boxes": [[[0.1, 0.2, 0.3, 0.4]], []],
        "attributes": {"scale": "large"},
        "visible_span": [1, 2],
    }
    for n in range(4)
]
INVALID_VALUES: list[object] = [
    None,
    True,
    -1,
    1e308,
    "",
    "\u0000",
    "two",
    [],
    [[]],
    {},
    {"a": None},
    [1, "x"],
    10**40,
]
LOCATION = re.compile(r"/(products|clips)\.jsonl:\d+: ")
FEED_LOCATION = re.compile(r"/products\.jsonl:\d+:\d+: ")


def truncate(raw: bytes, rng: random.Random) -> bytes:
    """The file after an interrupted download."""
    return raw[: rng.randrange(len(raw))]


def flip(raw: bytes, rng: random.Random) -> bytes:
    """Between one and eight bits flipped."""
    damaged = bytearray(raw)
    for _ in range(rng.randint(1, 8)):
        damaged[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
    return bytes(damaged)


def mistype(raw: bytes, rng: random.Random) -> bytes:
    """One field of one row with a value of another type, or without the field."""
    rows = [json.loads(line) for line in raw.splitlines()]
    row = rng.choice(rows)
    key = rng.choice(sorted(row))
    row[key] = rng.choice(INVALID_VALUES)
    if rng.random() < 0.2:
        del row[key]
    return to_jsonl(rows)


def splice(raw: bytes, rng: random.Random) -> bytes:
    """A part of the file copied to another position."""
    start, to = sorted((rng.randrange(len(raw)), rng.randrange(len(raw))))
    return raw[:to] + raw[start : start + rng.randrange(1, 60)] + raw[to:]


def to_jsonl(rows: Sequence[Mapping[str, object]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def write_damaged_dataset(folder: Path, seed: int) -> tuple[int, int]:
    """Write a dataset with one damaged file; return its numbers of product and clip lines."""
    rng = random.Random(seed)
    files = {"products.jsonl": to_jsonl(PRODUCTS), "clips.jsonl": to_jsonl(CLIPS)}
    name = ("products.jsonl", "clips.jsonl")[seed % 2]
    files[name] = (truncate, flip, mistype, splice)[seed // 2 % 4](files[name], rng)
    for path, raw in files.items():
        (folder / path).write_bytes(raw)
    products, clips = (
        sum(bool(line.strip()) for line in raw.split(b"\n")) for raw in files.values()
    )
    return products, clips


@pytest.mark.parametrize("seed", range(80))
def test_damaged_lines_are_read_or_rejected_with_file_and_line(tmp_path: Path, seed: int):
    products, clips = write_damaged_dataset(tmp_path, seed)
    partial = dataset.read_dataset(tmp_path, skip_invalid=True)
    assert (
        len(partial.products) + len(partial.clips) + len(partial.rejected_rows) == products + clips
    )
    assert all(LOCATION.search(str(issue)) for issue in partial.rejected_rows)
    assert all("\n" not in str(issue) for issue in partial.rejected_rows)
    try:
        complete = dataset.read_dataset(tmp_path)
    except RecordError as error:
        assert partial.rejected_rows and LOCATION.search(str(error))
    else:
        assert not partial.rejected_rows and complete == partial
    shop = feed.read_feed(tmp_path)
    assert len(shop.products) + len(shop.rejected_rows) == products
    assert all(FEED_LOCATION.search(str(issue)) for issue in shop.rejected_rows)


def test_most_mutations_damage_a_row(tmp_path: Path):
    rejected = 0
    for seed in range(80):
        write_damaged_dataset(tmp_path, seed)
        rejected += bool(dataset.read_dataset(tmp_path, skip_invalid=True).rejected_rows)
    assert 30 <= rejected <= 79
