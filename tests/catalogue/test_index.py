from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import lancedb
import numpy as np
import pyarrow as pa
import pytest
import torch

from sgmn.catalogue import lance
from sgmn.catalogue.index import Index, ModelStamp
from sgmn.errors import IndexingError
from sgmn.records import Product
from tests.catalogue.fakes import DIM, STAMP, FakeEmbed, titled, vector

NASTY = [
    "it's",
    "' OR '1'='1",
    "x'; DROP TABLE products; --",
    '"',
    "\\'",
    "\\",
    "%",
    "商品",
    "a\x1fb",
]


def test_update_adds_replaces_and_leaves_unchanged(index: Index, embed: FakeEmbed, pictured):
    first = [pictured("a", (1, 2, 3)), pictured("b", (4, 5, 6)), *titled(3)]
    report = index.update(first, embed, batch=2)
    assert (report.added, report.replaced, report.unchanged, report.refused) == (5, 0, 0, ())
    embed.titles.clear()
    pictured("b", (7, 8, 9))  # the same record, other pixels
    second = [*first[:3], replace(first[3], title="new words"), first[4]]
    report = index.update(second, embed)
    assert (report.added, report.replaced, report.unchanged) == (0, 2, 3)
    assert sorted(embed.titles) == ["b", "new words"]
    assert index.count() == 5


def test_a_second_run_encodes_nothing(index: Index, embed: FakeEmbed, pictured):
    products = [pictured(f"q{n}") for n in range(5)] + titled(5)
    index.update(products, embed, batch=3)
    again = FakeEmbed()
    report = index.update(products, again, batch=3)
    assert again.titles == [] and report.unchanged == 10 and report.added == 0


def test_rows_come_back_as_they_went(index: Index, embed: FakeEmbed, pictured):
    full = pictured("a", shop_id="s", category="c", attributes={"x": [1, "é"]}, extra={"y": None})
    full = replace(full, images=(full.image,))
    index.update([full, Product("b", title="words", shop_id="s")], embed)
    assert index.products("s") == [full, Product("b", title="words", shop_id="s")]
    assert index.products("other") == []
    jpeg = index.thumbnails("s")
    assert list(jpeg) == ["a"] and jpeg["a"].startswith(b"\xff\xd8")


def test_tokens_of_the_reranker_come_back_compressed(index: Index, embed: FakeEmbed):
    drawn = torch.randn(3, 4, DIM, generator=torch.Generator().manual_seed(0))

    def with_latents(contents):
        return replace(embed(contents), latents=drawn[: len(contents)])

    index.update(titled(3), with_latents)
    found = index.shelf().vectors.latents
    step = drawn.abs().amax(-1, keepdim=True) / 127
    assert found.shape == drawn.shape and bool(((found - drawn).abs() <= 0.51 * step).all())
    [cell] = {len(row) for row in index._rows(["latents"], None)["latents"].to_pylist()}
    assert cell == 4 * (DIM + 2)


def test_a_missing_modality_is_null_and_never_zeros(index: Index, embed: FakeEmbed, pictured):
    shown = replace(pictured("shown"), title="")
    index.update([shown, Product("said", title="only words")], embed)
    table = lancedb.connect(index.path).open_table("products")
    columns = table.search().select(["product_id", "picture", "words"]).to_arrow().to_pylist()
    found = {row["product_id"]: row for row in columns}
    assert found["said"]["picture"] is None and found["shown"]["words"] is None
    assert len(found["said"]["words"]) == DIM
    vectors = index.shelf().vectors  # ordered by id: said, shown
    assert vectors.has_picture.tolist() == [False, True]
    assert vectors.has_words.tolist() == [True, False]
    torch.testing.assert_close(vectors.words[0], vector(b"words" + b"only words"))


def test_unreadable_pictures_are_refused_and_the_rest_goes_on(
    index: Index, embed: FakeEmbed, pictured, tmp_path: Path
):
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8 no picture")
    bad = [
        Product("gone", title="t", image=tmp_path / "nowhere.jpg"),
        Product("broken", title="t", image=tmp_path / "broken.jpg"),
        Product("nan", title="t", attributes={"price": float("nan")}),
        Product("object", title="t", attributes={"price": object()}),
        Product("half \ud800", title="t"),
    ]
    report = index.update([bad[0], pictured("good"), *bad[1:], pictured("good")], embed, batch=2)
    assert report.added == 1 and index.count() == 1
    assert len(report.refused) == 6
    text = "\n".join(map(str, report.refused))
    for reason in ("nowhere.jpg", "broken.jpg", "'nan'", "'object'", "given before"):
        assert reason in text


def test_replace_missing_touches_only_the_shops_of_the_run(
    index: Index, embed: FakeEmbed, pictured
):
    gone = pictured("p1", shop_id="s")
    index.update([*titled(1, "s"), gone, *titled(2, "t"), *titled(4, "s", start=2)], embed)
    assert gone.image is not None
    gone.image.unlink()  # listed, but refused: its row stays
    report = index.update([*titled(2, "s", start=3), gone], embed, replace_missing=True)
    assert report.removed == 3 and len(report.refused) == 1
    assert index.product_keys("s") and {p for _, p in index.product_keys("s")} == {"p1", "p3", "p4"}
    assert index.shops() == {"s": 3, "t": 2}


def test_progress_hears_only_what_is_on_disk(index: Index, embed: FakeEmbed):
    heard = []

    def progress(keys):
        assert set(keys) <= set(Index.open(index.path, STAMP).product_keys())
        heard.append(len(keys))

    index.update(titled(7), embed, batch=3, progress=progress)
    assert heard == [3, 3, 1]


@pytest.mark.parametrize("nasty", NASTY)
def test_ids_never_become_sql(index: Index, embed: FakeEmbed, nasty: str):
    index.update([Product(nasty, title="a", shop_id=nasty), *titled(2), *titled(2, "s")], embed)
    assert index.products(nasty)[0].product_id == nasty
    hits = index.search(vector(b"q").numpy(), shop_id=nasty, column="words")
    assert [hit.product.product_id for hit in hits] == [nasty]
    assert index.shelf(nasty).product_ids == [nasty]
    removed = index.remove([nasty, "nobody"], nasty)
    assert (removed.count, removed.unknown) == (1, ("nobody",))
    assert index.count() == 4


def test_a_null_character_in_a_filter_is_refused(index: Index):
    with pytest.raises(IndexingError, match="null character"):
        index.products("a\0b")


def test_keys_of_two_shops_never_meet(index: Index, embed: FakeEmbed):
    pairs = [("a", "b"), ("a\x1f", "b"), ("a", "\x1fb"), ('a", "b', "c"), ("a", 'b", "c')]
    report = index.update([Product(p, title="t", shop_id=s) for s, p in pairs], embed)
    assert report.added == index.count() == len(pairs)
    assert sorted(index.product_keys()) == sorted(pairs)


def test_remove_in_one_shop_or_in_all(index: Index, embed: FakeEmbed):
    index.update([*titled(3, "s"), *titled(3, "t")], embed)
    assert index.remove(["p0", "p0"], "s").count == 1
    assert index.remove(["p1"]).count == 2
    assert index.shops() == {"s": 1, "t": 2}
    assert index.remove(["p0"], "s").unknown == ("p0",)


def test_search_within_a_shop_is_exact_after_every_change(index: Index, embed: FakeEmbed):
    shops = [f"s{n}" for n in range(4)]
    index.update([p for shop in shops for p in titled(60, shop)], embed)
    index.build_vector_index("words")
    index.update(
        [Product(f"p{n}", title=f"other {n}", shop_id="s1") for n in range(0, 60, 2)], embed
    )
    index.update(titled(20, "s1", start=60), embed)
    index.remove(["p3", "p4"], "s1")
    assert_exact(index, "s1")
    index.optimize()
    assert_exact(index, "s1")


def assert_exact(index: Index, shop_id: str) -> None:
    shelf = index.shelf(shop_id)
    for seed in range(5):
        query = vector(bytes([seed]))
        found = index.search(query.numpy(), k=10, shop_id=shop_id, column="words")
        cosines = shelf.vectors.words @ query
        best = cosines.argsort(descending=True)[:10]
        assert [h.product.product_id for h in found] == [shelf.product_ids[n] for n in best]
        np.testing.assert_allclose([h.score for h in found], cosines[best], atol=1e-5)


def test_search_across_shops_leaves_out_products_without_that_vector(
    index: Index, embed: FakeEmbed, pictured
):
    index.update([*titled(30), pictured("a", (1, 1, 1)), pictured("b", (2, 2, 2))], embed)
    hits = index.search(vector(b"x").numpy(), k=5)
    assert {hit.product.product_id for hit in hits} == {"a", "b"}


@pytest.mark.parametrize(
    "query", [np.zeros(DIM), np.ones(DIM + 1), np.full(DIM, np.nan), np.ones((1, DIM))]
)
def test_search_refuses_what_is_no_vector(index: Index, query):
    with pytest.raises(IndexingError, match="no vector"):
        index.search(query)


def test_another_model_is_refused_by_name(index: Index):
    other = ModelStamp("e" * 64, DIM, "other")
    for opening in (Index.open, Index.create_or_open):
        with pytest.raises(IndexingError, match=r"made by fake.*given is other.*index again"):
            opening(index.path, other)
    with pytest.raises(IndexingError, match="width 8"):
        Index.open(index.path, ModelStamp("f" * 64, 8, "fake"))
    assert Index.open(index.path).model == STAMP
    assert Index.open(index.path, replace(STAMP, name="renamed")).model.name == "fake"


def test_what_is_no_index_is_refused(tmp_path: Path):
    with pytest.raises(IndexingError, match="is no index"):
        Index.open(tmp_path / "nowhere", STAMP)
    (tmp_path / "half" / "products.lance" / "_transactions").mkdir(parents=True)
    with pytest.raises(IndexingError, match="cannot be opened"):
        Index.open(tmp_path / "half", STAMP)
    assert Index.create_or_open(tmp_path / "half", STAMP).count() == 0  # a killed creation
    (tmp_path / "file").write_text("")
    for opening in (Index.create_or_open, Index.open):
        with pytest.raises(IndexingError, match="is a file; give the folder of an index"):
            opening(tmp_path / "file", STAMP)
        with pytest.raises(IndexingError):
            opening(tmp_path / ("x" * 300), STAMP)


def test_whether_an_index_is_somewhere(tmp_path: Path, index: Index):
    assert Index.is_at(index.path)
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "nowhere", tmp_path / "file", tmp_path / ("x" * 300)):
        assert not Index.is_at(path)


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        (None, "without the stamp"),
        ({"sgmn": "no json"}, "without the stamp"),
        (
            {"sgmn": json.dumps({"format_version": 3, "fingerprint": "f", "dim": 3, "name": ""})},
            "update sgmn",
        ),
        ({"sgmn": json.dumps({"format_version": 3, "model": {}})}, "update sgmn"),
        ({"sgmn": json.dumps({"format_version": 1, "model": {}})}, "index again"),
    ],
)
def test_foreign_and_newer_tables_are_refused(tmp_path: Path, metadata, says: str):
    schema = pa.schema([pa.field("id", pa.string())], metadata=metadata)
    lancedb.connect(tmp_path).create_table("products", schema=schema)
    with pytest.raises(IndexingError, match=says):
        Index.open(tmp_path, STAMP)


def test_an_encoder_that_breaks_its_word_is_refused(index: Index, embed: FakeEmbed):
    def too_few(contents):
        return embed(contents)[:1]

    def too_wide(contents):
        vectors = embed(contents)
        return replace(vectors, words=torch.zeros(len(contents), DIM + 1))

    def not_a_number(contents):
        vectors = embed(contents)
        return replace(vectors, words=vectors.words * float("nan"))

    for broken in (too_few, too_wide, not_a_number):
        with pytest.raises(IndexingError, match="the encoder"):
            index.update(titled(2), broken)
    assert index.count() == 0


def test_a_conflict_with_another_writer_is_tried_again(monkeypatch):
    monkeypatch.setattr(lance, "PAUSES_S", (0.0, 0.0, 0.0))
    outcomes = [RuntimeError("lance error: Retryable commit conflict for version 4"), 5]

    def action():
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    where, fault = Path("shop"), "cannot be written"
    assert lance.retried(action, where, fault) == 5
    outcomes[:] = [RuntimeError("no space left, /rust/io.rs:7")]
    with pytest.raises(IndexingError, match=r"^shop: cannot be written \(no space left\); check"):
        lance.retried(action, where, fault)
    outcomes[:] = [RuntimeError("Retryable commit conflict")] * 3
    with pytest.raises(IndexingError, match=r"^shop: .*written by others"):
        lance.retried(action, where, fault)


class FullDisk:
    """A table of LanceDB on a disk without room."""

    def __getattr__(self, name: str):
        def fails(*_, **__):
            raise OSError(28, "No space left on device")

        return fails


@pytest.mark.parametrize(
    ("act", "says"),
    [
        (lambda index: index.delete_rows("id", ["a"]), "cannot have rows deleted"),
        (lambda index: index.optimize(), "cannot be optimized"),
    ],
)
def test_a_full_disk_is_said_in_one_line(index: Index, act, says: str):
    broken = Index(index.path, FullDisk(), index.model)
    with pytest.raises(IndexingError, match=rf"index: {says} .*No space left.*room on its disk"):
        act(broken)


def test_a_folder_that_cannot_be_written_is_said_in_one_line(index: Index, embed: FakeEmbed):
    data = index.path / "products.lance" / "data"
    data.write_text("a file where LanceDB wants its folder")
    with pytest.raises(IndexingError, match=r"index: cannot be written \(.*; check its rights"):
        index.update(titled(1), embed)


def test_a_failing_encoder_leaves_what_was_written(index: Index, embed: FakeEmbed):
    def fails_at_third(contents):
        if len(embed.titles) >= 4:
            raise ZeroDivisionError
        return embed(contents)

    with pytest.raises(ZeroDivisionError):
        index.update(titled(9), fails_at_third, batch=2)
    assert sorted(index.product_keys()) == [("", f"p{n}") for n in range(4)]
    assert index.update(titled(9), embed).unchanged == 4


def test_optimize_beside_a_writer(index: Index, embed: FakeEmbed):
    other = Index.open(index.path, STAMP)
    with ThreadPoolExecutor(1) as worker:
        writing = worker.submit(index.update, titled(60), embed, batch=3)
        while not writing.done():
            other.optimize()
    assert writing.result().added == other.count() == 60


def test_an_empty_index_answers(index: Index):
    assert index.count() == 0 and index.products() == [] and index.shops() == {}
    assert index.search(vector(b"q").numpy()) == []
    assert index.remove(["p"]).unknown == ("p",)
    index.optimize()
    assert index.update([], FakeEmbed(), replace_missing=True).removed == 0


def test_a_vector_index_needs_vectors(index: Index, embed: FakeEmbed):
    with pytest.raises(IndexingError, match="no product with a picture"):
        index.build_vector_index()
    index.update(titled(3), embed)
    with pytest.raises(IndexingError, match="no product with a picture"):
        index.build_vector_index()
    index.build_vector_index("words")
    assert len(index.search(vector(b"q").numpy(), column="words")) == 3


def test_a_width_that_cannot_be_indexed_is_refused(tmp_path: Path):
    index = Index.create_or_open(tmp_path / "index", ModelStamp("f", 12))
    with pytest.raises(IndexingError, match=r"width 12.*search without it"):
        index.build_vector_index()


def test_a_damaged_index_says_so(index: Index, embed: FakeEmbed):
    index.update(titled(5), embed)
    for path in (index.path / "products.lance" / "data").iterdir():
        path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(IndexingError, match=r"cannot be (read|opened) .*; index again"):
        Index.open(index.path, STAMP).shelf()


def test_the_mark_of_the_primary_key_stays(index: Index, embed: FakeEmbed):
    index.update(titled(3), embed)
    index.optimize()
    table = lancedb.connect(index.path).open_table("products")
    field = table.schema.field("id")
    assert field.metadata == {b"lance-schema:unenforced-primary-key": b"true"}
    assert not field.nullable
    assert all(one.columns != ["id"] for one in table.list_indices())
