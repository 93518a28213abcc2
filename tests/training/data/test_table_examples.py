"""A dataset that stays on disk gives the examples and batches of one in memory."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from torch import Tensor

from sgmn.data import tables
from sgmn.data.dataset import read_dataset
from sgmn.data.row_table import hash_key, table_folder
from sgmn.data.tables import open_tables
from sgmn.errors import RecordError
from sgmn.model.inputs import ItemInputs
from sgmn.training.config import DataConfig, TrainConfig
from sgmn.training.data import table_examples
from sgmn.training.data.batches import Batch, Batches, BatchSpec
from sgmn.training.data.examples import Examples
from sgmn.training.data.table_examples import TableExamples
from sgmn.training.run_setup import load_examples

CLIPS, PRODUCTS = 40, 12


def product_row(number: int) -> dict[str, Any]:
    return {
        "product_id": f"ä{number // 2}",
        "shop_id": f"shop{number % 2}",  # both shops have the same ids
        "title": f"Product {number}",
        "image": "image.png",
    }


def clip_row(number: int) -> dict[str, Any]:
    ids = [f"ä{number % 6}", f"ä{number % 4}"] if number % 3 else ["unlisted"] * (number % 2)
    row = {
        "clip_id": f"c{number}",
        "frames": ["image.png"] * 3,
        "product_ids": ids,
        "transcript": [{"start": 0, "end": 1, "text": f"this is {number}"}],
        "boxes": [[[0.1, 0.2, 0.5, 0.75]]] * 3,
        "split": ("train", "test", "")[number % 5 % 3],
    }
    return row if number % 7 == 0 else row | {"shop_id": f"shop{number // 3 % 2}"}


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    lines = [json.dumps(row, ensure_ascii=number % 2 == 0) for number, row in enumerate(rows)]
    path.write_text("\ufeff" + "\n \n".join(lines), encoding="utf-8")  # blank lines between


def text_of(batch: Batch) -> Tensor:
    assert isinstance(batch.clips, ItemInputs)
    return batch.clips.texts.ids


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (24, 24, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "image.png")
    write_rows(tmp_path / "products.jsonl", [product_row(i) for i in range(PRODUCTS)])
    write_rows(tmp_path / "clips.jsonl", [clip_row(i) for i in range(CLIPS)])
    return tmp_path


@pytest.mark.parametrize(("split", "repeats"), [("", 1), ("train", 1), ("test", 3)])
def test_examples_equal_those_in_memory(dataset: Path, split: str, repeats: int) -> None:
    own = Examples([read_dataset(dataset)], split, repeats)
    examples = TableExamples(open_tables(dataset), split, repeats)
    for other in (examples, pickle.loads(pickle.dumps(examples))):
        assert list(other.items) == own.items and list(other.items[-3:]) == own.items[-3:]
        assert dict(other.products) == own.products and list(other.products) == list(own.products)
        assert dict(other.product_index) == own.product_index
        assert other.summary() == own.summary() and own.unlisted_count
        assert other.labeled_mask().equal(own.labeled_mask())
        assert other.item_keys() == own.item_keys() and other.item_shops() == own.item_shops()
        assert [other.key_at(i) for i in range(PRODUCTS)] == list(own.products)
        for shop in ("shop0", "shop1"):
            assert list(other.items_by_shop[shop]) == own.items_by_shop[shop]
            assert list(other.keys_by_shop[shop]) == own.keys_by_shop[shop]
        assert ("shop0", "unlisted") not in other.products and not other.keys_by_shop["none"]


@pytest.mark.parametrize("single_shop", [False, True])
def test_batches_equal_those_in_memory_in_any_number_of_shares(
    dataset: Path, tiny: Callable[[], Any], single_shop: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = DataConfig(
        (dataset,), frames_per_clip=2, extra_negatives=2, single_shop_batches=single_shop
    )
    own = load_examples(data, read_dataset)
    monkeypatch.setattr(tables, "LARGE_BYTES", 0)
    examples = load_examples(data, read_dataset)
    assert isinstance(examples, TableExamples) and not isinstance(own, TableExamples)
    train = TrainConfig(steps=9, batch_size=6, wrong_transcript_prob=0.5)
    preprocessor = tiny().preprocessor
    expected = Batches(own, preprocessor, data, train)
    batches = pickle.loads(pickle.dumps(Batches(examples, preprocessor, data, train)))
    for number in (0, 3, 8):  # the last two begin in the second and third epoch
        positions = expected.positions(number, expected.order)
        assert batches.positions(number, batches.order) == positions
        for share in (positions, positions[1::2], positions[3::4]):
            spec = BatchSpec(number, share)
            first, second = expected[spec], batches[spec]
            assert first.candidates.equal(second.candidates)
            assert first.targets.equal(second.targets)
            assert text_of(first).equal(text_of(second))
    assert batches.signature() == expected.signature()


def test_a_changed_file_is_read_anew(dataset: Path) -> None:
    assert len(open_tables(dataset).clips) == CLIPS
    built = (table_folder(dataset / "clips.jsonl") / "meta.json").stat().st_ino
    open_tables(dataset)
    assert (table_folder(dataset / "clips.jsonl") / "meta.json").stat().st_ino == built
    write_rows(dataset / "clips.jsonl", [clip_row(i) for i in range(5)])
    assert [clip.clip_id for clip in open_tables(dataset).clips] == [f"c{i}" for i in range(5)]
    (table_folder(dataset / "clips.jsonl") / "meta.json").write_text("{")  # damaged
    assert len(open_tables(dataset).clips) == 5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"clip_id": "c0"}, "1 rows repeat the id of an earlier row, first row 3"),
        ({"clip_id": 7}, "'clip_id' is 7"),
        ({"product_ids": "p"}, "'product_ids' is 'p'"),
        ({"shop_id": []}, r"'shop_id' is \[\]"),
    ],
)
def test_invalid_keys_are_refused_while_the_table_is_built(
    dataset: Path, change: dict[str, Any], message: str
) -> None:
    rows = [clip_row(i) for i in range(4)]
    write_rows(dataset / "clips.jsonl", [*rows[:2], rows[2] | change, rows[3]])
    with pytest.raises(RecordError, match=message):
        open_tables(dataset)
    assert not [path for path in dataset.iterdir() if path.name.startswith(".clips")]


def test_other_invalid_fields_are_refused_when_read_or_left_out(dataset: Path) -> None:
    rows = [clip_row(i) for i in range(4)]
    rows[2] |= {"start": "soon"}
    write_rows(dataset / "clips.jsonl", rows)
    clips = open_tables(dataset).clips
    assert clips[1].clip_id == "c1" and len(clips) == 4
    with pytest.raises(RecordError, match="row 3: 'start' is 'soon'"):
        clips[2]
    skipped = open_tables(dataset, skip_invalid=True)
    assert [clip.clip_id for clip in skipped.clips] == ["c0", "c1", "c3"]
    assert [issue.where for issue in skipped.rejected_rows] == [f"{dataset / 'clips.jsonl'}:5"]
    again = open_tables(dataset, skip_invalid=True)
    assert again.rejected_rows == skipped.rejected_rows


def test_only_large_datasets_of_clips_stay_on_disk(
    dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not tables.is_large(dataset)
    monkeypatch.setattr(tables, "LARGE_BYTES", 0)
    assert tables.is_large(dataset)
    data = DataConfig((dataset,), product_images_as_photos=True)
    assert not isinstance(load_examples(data, read_dataset), TableExamples)
    data = replace(data, product_images_as_photos=False, folders=(dataset, dataset))
    assert not isinstance(load_examples(data, read_dataset), TableExamples)
    (dataset / "photos.jsonl").touch()
    assert not tables.is_large(dataset)


def test_keys_of_equal_hash_are_told_apart(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = hash_key("shop0", "ä0")
    monkeypatch.setattr(table_examples, "hash_key", lambda shop, product: listed)
    products = TableExamples(open_tables(dataset)).products
    assert ("shop0", "ä0") in products and ("shop0", "ä9") not in products
