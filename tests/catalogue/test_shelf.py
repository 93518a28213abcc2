from __future__ import annotations

import pytest
import torch

from sgmn.catalogue.shelf import Shelf
from sgmn.catalogue.table import ProductTable
from sgmn.catalogue.update import UpdateOptions
from sgmn.errors import IndexingError
from sgmn.model.ranker import Ranker
from sgmn.model.scoring import ClipVectors, ScoreWeights, score
from tests.catalogue.fakes import DIM, FakeEncoder, products_with_title, text_vector

WEIGHTS = ScoreWeights(*map(torch.tensor, (0.3, 0.5, 0.2, 0.1, 20.0)))


def clips_with_text(*texts: bytes) -> ClipVectors:
    """Clips without frames, with these transcripts."""
    count = len(texts)
    return ClipVectors(
        frames=torch.zeros(count, 2, DIM),
        frame_weights=torch.zeros(count, 2),
        image=torch.zeros(count, DIM),
        has_image=torch.zeros(count, dtype=torch.bool),
        text=torch.stack([text_vector(text) for text in texts]),
        has_text=torch.ones(count, dtype=torch.bool),
    )


def test_the_named_product_comes_first(table: ProductTable, encoder: FakeEncoder):
    table.update(products_with_title(20, "s"), encoder)
    shelf = table.shelf("s")
    clips = clips_with_text(b"title 7", b"title 11")
    matches = shelf.top_matches(clips, Ranker(WEIGHTS), 3)
    assert [row[0].product_id for row in matches] == ["p7", "p11"]
    assert all(row[0].score >= row[1].score >= row[2].score for row in matches)


def test_scores_are_those_of_the_score_function(table: ProductTable, encoder: FakeEncoder):
    table.update(products_with_title(9), encoder)
    shelf = table.shelf()
    clips, ranker = clips_with_text(b"a", b"b"), Ranker(WEIGHTS)
    expected_scores = score(clips, shelf.vectors, WEIGHTS)
    torch.testing.assert_close(shelf.scores(clips, ranker), expected_scores, rtol=0, atol=0)
    row = shelf.scores(clips, ranker)[0].tolist()
    order = sorted(range(9), key=lambda s: (-row[s], s))
    matches = shelf.top_matches(clips, ranker, 100)[0]
    assert [match.product_id for match in matches] == [shelf.product_ids[s] for s in order]
    assert [match.score for match in matches] == [row[s] for s in order]
    assert shelf.rank(clips, ranker, 2)[0] == [(s, row[s]) for s in order[:2]]


def test_the_order_of_a_shelf_does_not_depend_on_the_order_of_writing(
    table: ProductTable, encoder: FakeEncoder
):
    table.update(products_with_title(6)[::-1], encoder, UpdateOptions(batch_size=2))
    table.update(products_with_title(3, start=5), encoder)
    assert table.shelf().product_ids == sorted(f"p{n}" for n in range(8))


def test_an_empty_shelf_is_an_error_that_names_the_shops(table: ProductTable, encoder: FakeEncoder):
    with pytest.raises(IndexingError, match=r"no product of shop 'x'.*its shops are: none"):
        table.shelf("x")
    table.update([*products_with_title(1, "one"), *products_with_title(1, "it's")], encoder)
    with pytest.raises(IndexingError, match="its shops are: \"it's\", 'one'"):
        table.shelf("x")
    shelf = table.shelf("one")
    with pytest.raises(IndexingError, match="no product"):
        Shelf([], shelf.vectors)
    with pytest.raises(IndexingError, match="2 products, but 1 vectors"):
        Shelf([shelf.products[0]] * 2, shelf.vectors)
