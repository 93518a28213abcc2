"""Damaged JSON lines: read whole, or refused by file and line; nothing else may happen."""

from __future__ import annotations

import json
import random
import re
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
WRONG = [None, True, -1, 1e308, "", "\u0000", "two", [], [[]], {}, {"a": None}, [1, "x"], 10**40]
PLACE = re.compile(r"/(products|clips)\.jsonl:\d+: ")


def cut(raw: bytes, chance: random.Random) -> bytes:
    """The file as a broken download leaves it."""
    return raw[: chance.randrange(len(raw))]


def flip(raw: bytes, chance: random.Random) -> bytes:
    """One to eight bits turned round."""
    damaged = bytearray(raw)
    for _ in range(chance.randint(1, 8)):
        damaged[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
    return bytes(damaged)


def mistype(raw: bytes, chance: random.Random) -> bytes:
    """One field of one row with a value of another kind, or one field less."""
    rows = [json.loads(line) for line in raw.splitlines()]
    row = chance.choice(rows)
    key = chance.choice(sorted(row))
    row[key] = chance.choice(WRONG)
    if chance.random() < 0.2:
        del row[key]
    return encoded(rows)


def splice(raw: bytes, chance: random.Random) -> bytes:
    """A piece of the file copied to another place."""
    start, to = sorted((chance.randrange(len(raw)), chance.randrange(len(raw))))
    return raw[:to] + raw[start : start + chance.randrange(1, 60)] + raw[to:]


def encoded(rows: list[dict]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def mutated(folder: Path, seed: int) -> tuple[int, int]:
    """A dataset with one damaged file in `folder`; the numbers of its lines."""
    chance = random.Random(seed)
    files = {"products.jsonl": encoded(PRODUCTS), "clips.jsonl": encoded(CLIPS)}
    name = ("products.jsonl", "clips.jsonl")[seed % 2]
    files[name] = (cut, flip, mistype, splice)[seed // 2 % 4](files[name], chance)
    for path, raw in files.items():
        (folder / path).write_bytes(raw)
    products, clips = (
        sum(bool(line.strip()) for line in raw.split(b"\n")) for raw in files.values()
    )
    return products, clips


@pytest.mark.parametrize("seed", range(80))
def test_a_damaged_dataset_is_read_or_refused_by_file_and_line(tmp_path: Path, seed: int):
    products, clips = mutated(tmp_path, seed)
    kept = dataset.read(tmp_path, skip_bad=True)
    assert len(kept.products) + len(kept.clips) + len(kept.refused) == products + clips
    assert all(PLACE.search(str(refused)) for refused in kept.refused)
    assert all("\n" not in str(refused) for refused in kept.refused)
    try:
        whole = dataset.read(tmp_path)
    except RecordError as error:
        assert kept.refused and PLACE.search(str(error))
    else:
        assert not kept.refused and whole == kept
    shop = feed.read(tmp_path)
    assert len(shop.products) + len(shop.refused) == products
    assert all(PLACE.search(str(refused)) for refused in shop.refused)


def test_most_mutations_do_damage(tmp_path: Path):
    refused = 0
    for seed in range(80):
        mutated(tmp_path, seed)
        refused += bool(dataset.read(tmp_path, skip_bad=True).refused)
    assert 30 <= refused <= 79
