"""Hardness over the modalities, near-duplicates, and products that are never negatives."""

from __future__ import annotations

from math import inf

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize, one_hot

from sgmn.model.scoring import ClipVectors, ProductVectors
from sgmn.training.losses.contrastive import info_nce, pair_loss
from sgmn.training.losses.mining import (
    Duplicates,
    Key,
    count_without_negative,
    hardness,
    negative_mask,
    product_similarity,
    select_hardest,
)

D = 8


def clips(images: list[int | None], words: list[int | None]) -> ClipVectors:
    image, has_image = axes(images)
    text, has_text = axes(words)
    shares = has_image.float()[:, None]
    return ClipVectors(image[:, None], shares, image, has_image, text, has_text)


def products(images: list[int | None], words: list[int | None]) -> ProductVectors:
    return ProductVectors(*axes(images), *axes(words))


def axes(of_rows: list[int | None]) -> tuple[Tensor, Tensor]:
    """Unit vectors along an axis each; NaN where there is None, which nothing may read."""
    present = torch.tensor([axis is not None for axis in of_rows])
    vectors = one_hot(torch.tensor([axis or 0 for axis in of_rows]), D).float()
    vectors[~present] = torch.nan
    return vectors, present


def keys(count: int) -> list[Key]:
    return [("shop", str(place)) for place in range(count)]


@pytest.mark.parametrize(
    ("clip", "product"),
    [
        (clips([0], [1]), products([0], [2])),  # seen and shown
        (clips([0], [1]), products([2], [1])),  # transcript and title
        (clips([0], [1]), products([1], [2])),  # transcript and image
        (clips([0], [1]), products([2], [0])),  # seen and titled
    ],
)
def test_a_pair_close_in_one_modality_only_is_hard(
    clip: ClipVectors, product: ProductVectors
) -> None:
    easy = products([3], [4])
    both = ProductVectors.cat([easy, product])
    assert hardness(clip, both).tolist() == [[0, 1]]


def test_hardness_ignores_missing_modalities() -> None:
    clip = clips([0, None, None], [None, 1, None])
    found = hardness(clip, products([0, None], [None, 1]))
    assert found.tolist() == [[1, 0], [0, 1], [-inf, -inf]]


def test_hardness_is_the_greatest_cosine() -> None:
    torch.manual_seed(0)
    v, a, i, h = normalize(torch.randn(4, 3, D), dim=-1)
    present = torch.ones(3, dtype=torch.bool)
    clip = ClipVectors(v[:, None], torch.ones(3, 1), v, present, a, present)
    found = hardness(clip, ProductVectors(i, present, h, present))
    expected = [
        [max(v[b] @ i[s], v[b] @ h[s], a[b] @ i[s], a[b] @ h[s]) for s in range(3)]
        for b in range(3)
    ]
    torch.testing.assert_close(found, torch.tensor(expected))


def test_products_are_similar_in_any_modality_but_not_across() -> None:
    one = products([0], [1])
    others = products([0, 5, 1, None], [5, 1, 0, None])
    assert product_similarity(one, others).tolist() == [[1, 1, 0, -inf]]


def test_duplicates_are_similar_in_every_shared_modality() -> None:
    listings = products(
        [0, 0, 0, 1, None, None, None],
        [1, 1, 2, 1, None, 3, 3],
    )
    found = Duplicates(keys(7), listings)
    assert found.count == 4
    assert same(found.classes) == {(0, 1), (5, 6)}


def test_duplicates_are_transitive_and_share_image_files() -> None:
    angle = torch.tensor([0.0, 0.08, 0.16, 1.5])
    turning = torch.stack([angle.cos(), angle.sin()], dim=1)
    present, none = torch.ones(4, dtype=torch.bool), torch.zeros(4, dtype=torch.bool)
    listings = ProductVectors(turning, present, turning, none)
    assert turning[0] @ turning[2] < 0.995 < turning[0] @ turning[1]
    assert same(Duplicates(keys(4), listings).classes) == {(0, 1), (0, 2), (1, 2)}
    assert Duplicates(keys(4), listings, image_cosine=0.999).count == 0
    by_file = Duplicates(keys(4), listings, image_cosine=0.999, image_hashes=["a", "", "", "a"])
    assert same(by_file.classes) == {(0, 3)} and by_file.count == 2


def test_blocks_do_not_change_the_duplicates() -> None:
    torch.manual_seed(0)
    image = normalize(torch.randn(20, 3), dim=-1).repeat(3, 1)[torch.randperm(60)]
    present = torch.ones(60, dtype=torch.bool)
    listings = ProductVectors(image, present, image, present)
    whole = Duplicates(keys(60), listings)
    assert whole.count == 60
    assert same(Duplicates(keys(60), listings, block=7).classes) == same(whole.classes)


def test_classes_are_found_by_key() -> None:
    found = Duplicates(keys(3), products([0, 1, 0], [None, None, None]))
    a, b = found.classes_of([("shop", "2"), ("shop", "0")]).tolist()
    assert a == b != found.classes_of([("shop", "1")]).item()


def test_no_negative_is_a_positive_or_its_duplicate() -> None:
    positive = torch.tensor([[1, 0, 0, 0, 0], [0, 1, 1, 0, 0]]).bool()
    classes = torch.tensor([7, 1, 2, 7, 2])
    allowed = negative_mask(positive, classes)
    assert allowed.int().tolist() == [[0, 1, 1, 0, 1], [1, 0, 0, 1, 0]]


def test_two_clips_of_one_product_are_never_negatives() -> None:
    """Their product and its duplicate are negatives of neither, however hard they are."""
    positive = torch.tensor([[1, 0, 0], [1, 0, 0]]).bool()
    classes = torch.tensor([0, 1, 0])
    very_hard = torch.tensor([[0.9, 0.1, 0.95], [0.9, 0.2, 0.95]])
    places, valid = select_hardest(very_hard, negative_mask(positive, classes), k=3)
    assert places[valid].tolist() == [1, 1]


def test_the_hardest_come_first_and_the_rest_is_invalid() -> None:
    found = torch.tensor([[0.1, 0.9, 0.5, -inf], [0.3, 0.2, 0.1, 0.0]])
    allowed = torch.tensor([[1, 1, 1, 1], [0, 0, 1, 0]]).bool()
    places, valid = select_hardest(found, allowed, k=5)
    assert valid.int().tolist() == [[1, 1, 1, 0, 0], [1, 0, 0, 0, 0]]
    assert places[0, :3].tolist() == [1, 2, 0] and places[1, 0] == 2
    assert places.shape == (2, 5) and int(places.max()) < 4


def test_a_row_without_a_negative_is_counted() -> None:
    allowed = torch.tensor([[0, 0], [1, 0]]).bool()
    _, valid = select_hardest(torch.zeros(2, 2), allowed, k=2)
    assert valid.int().tolist() == [[0, 0], [1, 0]] and count_without_negative(valid) == 1


def test_losses_of_clips_without_text_or_frames_are_finite() -> None:
    clip = clips([0, 1, None], [None, 2, None])
    listings = products([0, 1, 2, None], [3, None, 4, 5])
    positive = torch.eye(3, 4, dtype=torch.bool)
    allowed = negative_mask(positive, torch.arange(4))
    places, valid = select_hardest(hardness(clip, listings), allowed, k=2)
    assert valid.any(1).tolist() == [True, True, False]
    scores = torch.randn(3, 4, requires_grad=True)
    of_rows = torch.cat([scores[positive][:, None], scores.gather(1, places)], dim=1)
    loss = pair_loss(of_rows, valid) + info_nce(scores, positive, ~allowed)
    loss.backward()
    assert loss.isfinite() and scores.grad is not None and scores.grad.isfinite().all()


def same(classes: Tensor) -> set[tuple[int, int]]:
    left, right = (classes[:, None] == classes).triu(1).nonzero(as_tuple=True)
    return set(zip(left.tolist(), right.tolist(), strict=True))
