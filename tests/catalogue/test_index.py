"""The index together with a model: what `sgmn.Index` offers."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sgmn.catalogue.feed import read_feed
from sgmn.catalogue.index import Index, UpdateProgress
from sgmn.catalogue.stamp import ModelStamp
from sgmn.catalogue.table import ProductTable
from sgmn.errors import IndexingError, MediaError, RecordError
from sgmn.model import checkpoint
from sgmn.model.bundle import ModelBundle
from sgmn.model.embedder import Embedder
from sgmn.records import ClipContent, Product

MakeModel = Callable[[], ModelBundle]


@pytest.fixture
def model_folder(tmp_path: Path, tiny: MakeModel) -> Path:
    """A tiny model, saved."""
    checkpoint.save(tiny(), tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def index(tmp_path: Path, model_folder: Path, world: Path) -> Index:
    """The six products of the tiny world, indexed by the saved model."""
    index = Index.create(tmp_path / "shop.index", model_folder)
    index.add(world)
    return index


def catalogue(folder: Path, *rows: dict[str, Any]) -> Path:
    path = folder / "feed.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_an_index_finds_its_model_by_itself(index: Index, model_folder: Path):
    opened = Index.open(str(index.path))
    assert opened.stamp.name == str(model_folder)
    assert opened.model.fingerprint() == opened.stamp.fingerprint
    assert opened.embedder is opened.embedder
    assert opened.search(text="red milk", k=3) == index.search(text="red milk", k=3)


def test_a_relative_model_folder_is_found_from_another_folder(
    tmp_path: Path, model_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(model_folder.parent)
    Index.create("index", "model")
    monkeypatch.chdir("/")
    assert Index.open(tmp_path / "index").model.name == str(model_folder)


@pytest.mark.parametrize("kind", ["folder", "model", "embedder"])
def test_the_model_may_be_passed_in(index: Index, model_folder: Path, kind: str):
    model = checkpoint.load(model_folder)
    models: dict[str, Any] = {"folder": model_folder, "model": model, "embedder": Embedder(model)}
    opened = Index.open(index.path, models[kind])
    assert opened.stamp == index.stamp
    if kind == "embedder":
        assert opened.embedder is models[kind]


def other_model(tiny: MakeModel) -> ModelBundle:
    model = tiny()
    with torch.no_grad():
        next(model.network.parameters()).add_(1)
    return replace(model, name="other")


def test_another_model_is_rejected(index: Index, tiny: MakeModel):
    with pytest.raises(IndexingError, match=r"was built by .*model \(model .*in use is other"):
        Index.open(index.path, other_model(tiny))
    with pytest.raises(IndexingError, match="the model in use is other"):
        Index.open_or_create(index.path, other_model(tiny))


def test_a_model_that_changed_since_is_rejected_when_it_is_needed(
    index: Index, model_folder: Path, tiny: MakeModel
):
    checkpoint.save(other_model(tiny), model_folder)
    opened = Index.open(index.path)
    assert opened.count() == 6
    with pytest.raises(IndexingError, match=r"was built by .*but the model in use is"):
        _ = opened.embedder


def test_a_model_that_is_gone_is_named(index: Index, model_folder: Path, tmp_path: Path):
    model_folder.rename(tmp_path / "moved")
    opened = Index.open(index.path)
    assert len(opened.products()) == 6
    with pytest.raises(IndexingError) as caught:
        _ = opened.model
    assert str(caught.value).startswith(f"{index.path}: was built by {model_folder} (model ")
    assert str(caught.value).endswith("; pass the model that built the index")
    assert Index.open(index.path, tmp_path / "moved").search(text="red milk")


def test_a_stamp_without_a_name_asks_for_the_model(tmp_path: Path):
    ProductTable.create_or_open(tmp_path / "index", ModelStamp("f" * 16, 8))
    with pytest.raises(IndexingError, match="does not name its model; pass the model"):
        _ = Index.open(tmp_path / "index").embedder


def test_create_rejects_an_existing_index(index: Index, model_folder: Path):
    with pytest.raises(IndexingError, match="is already an index; open it"):
        Index.create(index.path, model_folder)
    assert Index.open_or_create(index.path).count() == 6


def test_add_reads_a_catalogue_and_reports_progress(tmp_path: Path, tiny: MakeModel, world: Path):
    index = Index.create(tmp_path / "index", tiny())
    calls: list[UpdateProgress] = []
    report = index.add(str(world), batch_size=4, progress=calls.append)
    assert (report.added, index.count(), index.shops()) == (6, 6, {"": 6})
    assert [(call.done, call.total) for call in calls] == [(4, 6), (6, 6), (6, 6)]
    assert index.add(read_feed(world)).unchanged == 6
    assert index.add(index.products(), shop_id="ignored for products").unchanged == 6
    report = index.add(index.products()[:4], sync=True)
    assert report.removed == 2 and index.remove(["p0", "nobody"]).unknown_ids == ("nobody",)
    assert index.count() == 3 and len(index.thumbnails()) == 3


def test_add_counts_rejected_rows_and_warnings(tmp_path: Path, tiny: MakeModel):
    index = Index.create(tmp_path / "index", tiny())
    path = catalogue(
        tmp_path,
        {"product_id": "a", "title": "red milk", "image": "gone.png"},
        {"product_id": "b", "image": "gone.png"},
        {"title": "no id"},
    )
    report = index.add(path, shop_id="s")
    assert report.added == 1 and index.shops() == {"s": 1}
    assert [issue.where for issue in report.rejected_rows] == [f"{path}:3:1", f"{path}:2:1"]
    assert [issue.where for issue in report.warnings] == [f"{path}:1:1"]
    assert report.warnings[0].message.startswith("product 'a': ")
    strict = Index.create(tmp_path / "strict", tiny()).add(path, strict=True)
    assert strict.added == 0 and len(strict.rejected_rows) == 3 and strict.warnings == ()


def test_add_rejects_catalogues_without_valid_rows(tmp_path: Path, tiny: MakeModel):
    index = Index.create(tmp_path / "index", tiny())
    path = catalogue(tmp_path, {"title": "no id"})
    with pytest.raises(RecordError, match=r"feed.jsonl: has no valid product; the first of 1 er"):
        index.add(path)
    path = catalogue(tmp_path, {"product_id": "a", "title": "t"}, {"title": "no id"})
    with pytest.raises(RecordError, match="1 invalid rows, whose products would be removed"):
        index.add(path, sync=True)
    assert index.count() == 0


def test_search_scores_like_the_shelf(index: Index, world: Path):
    image = np.array(Image.open(world / "p3.png"))
    content = ClipContent((image,), "red apple")
    matches = index.shelf().top_matches(
        index.embedder.encode_clips([content]), index.embedder.ranker, 4
    )[0]
    for shop_id in (None, ""):
        hits = index.search(image=image, text="red apple", k=4, shop_id=shop_id)
        assert [hit.product.product_id for hit in hits] == [m.product_id for m in matches]
        assert [hit.score for hit in hits] == pytest.approx([m.score for m in matches])
    assert index.search(image=world / "p3.png", k=1) == index.search(image=image, k=1)
    assert len(index.search(text="apple", k=100)) == 6


def test_search_across_shops_tells_equal_ids_apart(tmp_path: Path, tiny: MakeModel):
    index = Index.create(tmp_path / "index", tiny())
    assert index.search(text="red milk") == []
    products = [Product("p", title="red milk", shop_id=shop) for shop in ("s", "t")]
    index.add([*products, Product("q", title="blue juice", shop_id="t")])
    hits = index.search(text="red milk", k=2)
    assert sorted(hit.product.key for hit in hits) == [("s", "p"), ("t", "p")]
    assert [hit.product.key for hit in index.search(text="red milk", shop_id="s")] == [("s", "p")]


def test_search_rejects_an_empty_or_unreadable_query(index: Index, tmp_path: Path):
    with pytest.raises(IndexingError, match="the query: has neither image nor text; pass at"):
        index.search(text="  ")
    with pytest.raises(MediaError, match=r"nowhere\.png"):
        index.search(image=tmp_path / "nowhere.png")
    with pytest.raises(IndexingError, match="no product of shop 'x'"):
        index.search(text="milk", shop_id="x")


def test_listing_products_does_not_import_torch(index: Index):
    program = (
        "import sys; from sgmn.catalogue.index import Index; "
        "print(len(Index.open(sys.argv[1]).products()), 'torch' in sys.modules)"
    )
    command = [sys.executable, "-c", program, str(index.path)]
    output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert output.split() == ["6", "False"]
