from __future__ import annotations

import pytest
import torch

from sgmn.catalogue.index import Index
from sgmn.catalogue.shelf import Shelf
from sgmn.errors import IndexingError
from sgmn.model.ranker import Ranker
from sgmn.model.scoring import ClipVectors, ScoreWeights, score
from tests.catalogue.fakes import DIM, FakeEmbed, titled, vector


def clips_saying(*words: bytes) -> ClipVectors:
    said = torch.stack([vector(b"words" + one) for one in words])
    count = len(words)
    return ClipVectors(
        frames=torch.zeros(count, 2, DIM),
        frame_weights=torch.zeros(count, 2),
        picture=torch.zeros(count, DIM),
        has_picture=torch.zeros(count, dtype=torch.bool),
        words=said,
        has_words=torch.ones(count, dtype=torch.bool),
    )


def weights() -> ScoreWeights:
    return ScoreWeights(*map(torch.tensor, (0.3, 0.5, 0.2, 0.1, 20.0)))


def test_the_product_that_is_named_comes_first(index: Index, embed: FakeEmbed):
    index.update(titled(20, "s"), embed)
    shelf = index.shelf("s")
    found = shelf.best(clips_saying(b"title 7", b"title 11"), Ranker(weights()), 3)
    assert [row[0].product_id for row in found] == ["p7", "p11"]
    assert all(row[0].score >= row[1].score >= row[2].score for row in found)


def test_scores_are_those_of_the_one_scorer(index: Index, embed: FakeEmbed):
    index.update(titled(9), embed)
    shelf = index.shelf()
    clips = clips_saying(b"a", b"b")
    torch.testing.assert_close(
        shelf.scores(clips, Ranker(weights())),
        score(clips, shelf.vectors, weights()),
        rtol=0,
        atol=0,
    )
    row = shelf.scores(clips, Ranker(weights()))[0].tolist()
    expected = sorted(range(9), key=lambda s: (-row[s], s))
    best = shelf.best(clips, Ranker(weights()), 100)[0]
    assert [match.product_id for match in best] == [shelf.product_ids[s] for s in expected]
    assert [match.score for match in best] == [row[s] for s in expected]


def test_the_order_of_a_shelf_does_not_hang_on_the_order_of_writing(index: Index, embed: FakeEmbed):
    index.update(titled(6)[::-1], embed, batch=2)
    index.update(titled(3, start=5), embed)
    assert index.shelf().product_ids == sorted(f"p{n}" for n in range(8))


def test_an_empty_shelf_names_the_shops_there_are(index: Index, embed: FakeEmbed):
    with pytest.raises(IndexingError, match=r"no product of shop 'x'.*shops there: none"):
        index.shelf("x")
    index.update([*titled(1, "one"), *titled(1, "it's")], embed)
    with pytest.raises(IndexingError, match="shops there: \"it's\", 'one'"):
        index.shelf("x")
    shelf = index.shelf("one")
    with pytest.raises(IndexingError, match="no product"):
        Shelf([], shelf.vectors)
    with pytest.raises(IndexingError, match="2 products, 1 vectors"):
        Shelf([shelf.products[0]] * 2, shelf.vectors)
