"""`sgmn search`: products of all shops by text and by image, and the index that speeds it up."""

from __future__ import annotations

import json
from pathlib import Path

from sgmn.catalogue.table import ProductTable
from tests.command import RunCommand


def test_search_by_text_and_by_image_in_all_shops(
    run: RunCommand, world: Path, index: Path
) -> None:
    found = run("search", "-i", index, "red milk", "-k", 3)
    assert found.status == 0 and len(found.out.splitlines()) == 3, found.err
    scores = [float(line.split("\t")[0]) for line in found.out.splitlines()]
    assert scores == sorted(scores, reverse=True)
    lines = run("search", "-i", index, "--image", world / "p2.png", "--json").out.splitlines()
    products = [json.loads(line) for line in lines]
    assert len(products) == 6 and products[0]["product_id"] == "p2"
    elsewhere = run("search", "-i", index, "milk", "--shop", "nowhere")
    assert elsewhere.status == 2 and "has no product of shop 'nowhere'" in elsewhere.err
    nothing = run("search", "-i", index, " ")
    assert nothing.status == 2 and "pass TEXT, --image or both" in nothing.err


def test_a_vector_index_changes_no_answer_and_later_updates_keep_it(
    run: RunCommand, world: Path, index: Path
) -> None:
    before = run("search", "-i", index, "green milk").out
    built = run("index", "-o", index, "--vector-index")
    assert built.status == 0 and built.out == "vector index built\n", built.err
    assert run("search", "-i", index, "green milk").out == before
    assert "1 removed" in run("index", "-o", index, "--remove", "p0").out
    assert "1 added" in run("index", world, "-o", index).out
    table = ProductTable.open(index)
    indexed = {column for one in table._table.list_indices() for column in one.columns}
    assert indexed == {"shop_id", "image_vector", "text_vector"}
    assert run("search", "-i", index, "green milk").out == before
