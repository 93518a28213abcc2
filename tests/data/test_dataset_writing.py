from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgmn.data.dataset import Dataset, clip_to_row, product_to_row, read_dataset, write_jsonl
from sgmn.errors import RecordError
from sgmn.records import Clip, Product, Utterance

TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
NAME = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
FILE = st.text("ab./ é", min_size=1, max_size=9).map(lambda name: f"m/x{name}x")
SCALAR = st.none() | st.booleans() | st.integers() | TEXT | st.floats(allow_nan=False, width=32)
JSON = st.dictionaries(
    TEXT, SCALAR.filter(lambda x: not isinstance(x, float) or abs(x) < 1e30), max_size=3
)
EXTRA = JSON.map(lambda values: {f"x-{key}": value for key, value in values.items()})
SIDE = st.floats(0, 1)


@st.composite
def spans(draw: st.DrawFn) -> tuple[float, float]:
    start, length = draw(st.floats(0, 1e6)), draw(st.floats(0, 1e6))
    return start, start + length


@st.composite
def boxes(draw: st.DrawFn) -> tuple[float, float, float, float]:
    left, right = sorted((draw(SIDE), draw(SIDE)))
    top, bottom = sorted((draw(SIDE), draw(SIDE)))
    return left, top, right, bottom


@st.composite
def products(draw: st.DrawFn, root: Path) -> Product:
    images = draw(st.lists(FILE, max_size=3))
    return Product(
        product_id=draw(NAME),
        title=draw(TEXT),
        image=root / "m.jpg",
        images=tuple(root / image for image in images),
        shop_id=draw(TEXT),
        category=draw(TEXT),
        attributes=draw(JSON),
        extra=draw(EXTRA),
    )


@st.composite
def clips(draw: st.DrawFn, root: Path) -> Clip:
    media: dict[str, Any] = {"video": root / draw(FILE)}
    if draw(st.booleans()):
        media = {"frames": tuple(root / f for f in draw(st.lists(FILE, min_size=1, max_size=3)))}
    start, end = draw(spans())
    return Clip(
        clip_id=draw(NAME),
        transcript=tuple(Utterance(s, e, draw(TEXT)) for s, e in draw(st.lists(spans()))),
        product_ids=tuple(draw(st.lists(NAME, max_size=3))),
        shop_id=draw(TEXT),
        start=start,
        end=draw(st.sampled_from([None, end])),
        boxes=tuple(tuple(row) for row in draw(st.lists(st.lists(boxes(), max_size=2)))),
        split=draw(TEXT),
        attributes=draw(JSON),
        extra=draw(EXTRA),
        **media,
    )


@given(st.data())
def test_written_records_are_read_back_unchanged(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
):
    root = tmp_path_factory.getbasetemp() / "round"
    product_lists = st.lists(products(root), max_size=3, unique_by=lambda p: p.key)
    written_products = data.draw(product_lists)
    written_clips = data.draw(
        st.lists(clips(root), max_size=3, unique_by=lambda clip: clip.clip_id)
    )
    write_jsonl(
        root / "products.jsonl", (product_to_row(product, root) for product in written_products)
    )
    write_jsonl(root / "clips.jsonl", (clip_to_row(clip, root) for clip in written_clips))
    assert read_dataset(root) == Dataset(root, tuple(written_products), tuple(written_clips))


def test_media_outside_the_folder_is_written_with_its_absolute_path(tmp_path: Path):
    product = Product("p", image=Path("/elsewhere/p.jpg"))
    assert product_to_row(product, tmp_path)["image"] == "/elsewhere/p.jpg"
    inside = Product("p", image=tmp_path / "images" / "p.jpg")
    assert product_to_row(inside, tmp_path)["image"] == "images/p.jpg"


def test_a_failed_write_keeps_the_old_file(tmp_path: Path):
    path = tmp_path / "products.jsonl"
    write_jsonl(path, [{"a": 1}])
    with pytest.raises(RecordError, match=r"products.jsonl:2: is not valid JSON"):
        write_jsonl(path, [{"a": 2}, {"a": float("nan")}])
    with pytest.raises(RecordError, match="'title' among its extra fields"):
        product_to_row(Product("p", "t", extra={"title": "u"}), tmp_path)
    assert path.read_text() == '{"a": 1}\n'
    assert list(tmp_path.iterdir()) == [path]
