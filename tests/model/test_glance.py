from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sgmn.model.bundle import ModelBundle
from sgmn.model.embedder import Embedder
from sgmn.model.glance import (
    DETAIL,
    GLANCES,
    MIN_STEPS,
    STEPS,
    FrameImage,
    Region,
    choose_frames,
    choose_region,
    cut_out,
    encode_missing,
    weigh_glances,
)
from sgmn.model.inputs import Preprocessor
from sgmn.model.late_interaction import Glance
from sgmn.model.parts import Parts, PartsConfig
from sgmn.model.scoring import compute_terms, late_score, score
from sgmn.model.tokens import ImageTokens
from sgmn.records import ClipContent, ImageArray, ProductContent
from tests.conftest import noise
from tests.model.part_cases import build_tiny_lite, draw_clips, draw_products, enable_all_parts

CANVASES = ((32, 16), (16, 16))


@pytest.fixture(scope="module", params=["one resolution", "fine patches", "a closer look"])
def full(
    request: pytest.FixtureRequest,
    tiny: Callable[[], ModelBundle],
    backbone: Callable[[str], Path],
) -> Embedder:
    if request.param == "one resolution":
        return Embedder(enable_all_parts(tiny(), randomize=True), "cpu")
    model = enable_all_parts(build_tiny_lite(backbone("bert"), fine_patches=True), randomize=True)
    if request.param == "a closer look":
        model.network.config = replace(model.network.config, fine_canvas=(112, 112))
    return Embedder(model, "cpu")


def test_the_frames_of_highest_weight_are_chosen() -> None:
    weights = torch.tensor([[0.1, 0.4, 0.2, 0.05, 0.25], [0.3, 0.7, 0.0, 0.0, 0.0]])
    mask = weights > 0
    frames, exists = choose_frames(weights, mask)
    assert frames.shape == (2, GLANCES) and exists.sum(1).tolist() == [4, 2]
    assert frames[0].tolist() == [1, 4, 2, 0] and frames[1, :2].tolist() == [1, 0]


def test_a_region_covers_the_box_with_a_margin_in_steps_of_the_image() -> None:
    image = np.zeros((64, 32, 3), np.uint8)  # fills the canvas of 32 x 16
    region = choose_region(image, (0.25, 0.5, 0.5, 0.75), CANVASES)
    assert region == Region(left=3, top=7, right=9, bottom=13)  # 0.2125..0.5375 of 16 steps
    cut = cut_out(image, region)
    assert cut.shape == (6 * 64 // STEPS, 6 * 32 // STEPS, 3)


def test_a_region_of_a_padded_image_is_relative_to_the_image() -> None:
    """An image of 16 x 16 covers the middle of a canvas of 32 x 16 if that is the only one."""
    image = np.zeros((16, 16, 3), np.uint8)
    region = choose_region(image, (0.0, 0.25, 1.0, 0.75), CANVASES[:1])
    assert region == Region(0, 0, STEPS, STEPS)
    tall = np.zeros((64, 16, 3), np.uint8)  # covers a middle column of 8 of 16 pixels
    assert choose_region(tall, (0.25, 0.0, 0.5, 1.0), CANVASES[:1]) == Region(0, 0, 10, STEPS)


@pytest.mark.parametrize("box", [(2.0, 2.0, 3.0, 3.0), (-1.0, -1.0, -0.5, -0.5), (0.5,) * 4])
def test_a_region_lies_within_the_image_and_is_never_empty(box: Sequence[float]) -> None:
    region = choose_region(np.zeros((16, 16, 3), np.uint8), box, CANVASES)
    assert region.left >= 0 and region.right <= STEPS and region.bottom <= STEPS
    assert region.right - region.left >= MIN_STEPS <= region.bottom - region.top


def test_glances_are_encoded_on_the_squarest_canvas(rng: np.random.Generator) -> None:
    preprocessor = Preprocessor(((32, 16), (16, 32), (16, 16)), (0, 0, 0), None, 8)
    [(rows, pixels)] = preprocessor.prepare_regions([noise(rng, 40, 30), noise(rng, 9, 50)]).groups
    assert rows.tolist() == [0, 1] and pixels.shape == (2, 3, 16, 16)


def test_each_glance_is_a_region_of_its_own_frame(full: Embedder, rng: np.random.Generator) -> None:
    frames = full.encode_frames([noise(rng, 40, 30) for _ in range(GLANCES + 1)])
    tokens = full.build_clip_tokens([frames], ["red jar"])
    assert tokens.glance_mask.all() and tokens.glance_frames.unique().numel() == GLANCES
    for glance, frame in zip(tokens.glances[0], tokens.glance_frames[0].tolist(), strict=True):
        [encoded] = frames.images[frame].glances.values()
        assert torch.equal(glance, encoded.pooled[0])


def test_a_region_is_encoded_once(rng: np.random.Generator) -> None:
    image, calls = FrameImage(noise(rng, 32, 32)), []

    def encode(images: Sequence[ImageArray]) -> ImageTokens:
        calls.append([one.shape for one in images])
        count = len(images)
        return ImageTokens(
            torch.ones(count, 2),
            torch.ones(count, 1, 2),
            torch.ones(count, 1) > 0,
            torch.ones(count, 1, 2),
        )

    small, large = Region(0, 0, 8, 8), Region(0, 0, 16, 16)
    encode_missing([(image, small), (image, small), (image, large)], encode)
    encode_missing([(image, large), (image, small)], encode)
    assert calls == [[(16, 16, 3), (32, 32, 3)]]
    assert set(image.glances) == {small, large}


def test_late_interaction_equals_a_loop(full: Embedder, rng: np.random.Generator) -> None:
    clips = full.encode_clips(draw_clips(rng))
    products = full.encode_products(draw_products(rng))
    temperature = torch.tensor(0.1)
    actual = late_score(clips, products, temperature)
    assert clips.glance_patches.shape[1] > 1 and products.patches.shape[1] > 1
    for b in range(3):
        for s in range(len(products)):
            values, weights = [], []
            for k in range(clips.glance_patches.shape[1]):
                if clips.glance_weights[b, k] > 0:
                    best = (products.patches[s] @ clips.glance_patches[b, k].T).max(1).values
                    values.append(float(best.sum()))
                    weights.append(float(clips.glance_weights[b, k]))
            exponents = np.array(values) / 0.1 + np.log(weights)
            attention = np.exp(exponents - exponents.max())
            expected = float((attention / attention.sum()) @ np.array(values))
            assert float(actual[b, s]) == pytest.approx(expected, abs=1e-5)
    assert (actual[3] == 0).all()  # no frames


def test_patches_that_resemble_nothing_do_not_decide(
    full: Embedder, rng: np.random.Generator
) -> None:
    clips, products = full.encode_clips(draw_clips(rng)), full.encode_products(draw_products(rng))
    weights = full.network.head()._replace(late=torch.tensor(1.0))
    plain = compute_terms(clips, products, weights)["late"].value
    floor = float(plain.detach().max()) + 0.5
    for value, expected in ((floor, torch.full_like(plain, floor)), (-2.0, plain)):
        changed = weights._replace(late_score_floor=torch.tensor(value))
        found = compute_terms(clips, products, changed)["late"].value
        torch.testing.assert_close(found, expected, atol=1e-3, rtol=0)


def test_product_patches_have_weights_that_sum_to_one() -> None:
    glance = Glance(8, width=4)
    patches = torch.randn(2, 5, 8)
    patches[1, 2:] = 0
    lengths = glance.project_products(patches).norm(dim=-1)
    torch.testing.assert_close(lengths.sum(1), torch.ones(2), atol=1e-2, rtol=0)
    assert (lengths[1, 2:] == 0).all()


def test_of_many_product_patches_the_most_important_fit_into_an_index() -> None:
    glance = Glance(8, 100)
    assert glance.max_patches == 132 and glance.max_patches * (60 + 2) <= 8192
    torch.nn.init.normal_(glance.importance.weight)
    patches = torch.randn(2, 200, 100)
    patches[1, 140:] = 0
    found = glance.project_products(patches)
    assert found.shape == (2, 132, 60)
    importance = glance.importance(patches).squeeze(-1)
    importance[1, 140:] = -torch.inf
    best = importance.topk(132, dim=1)
    lengths = found.norm(dim=-1)
    torch.testing.assert_close(lengths, best.values.softmax(1), atol=1e-3, rtol=0)
    directions = torch.nn.functional.normalize(found, dim=-1)
    unit = torch.nn.functional.normalize(patches, dim=-1)
    expected = torch.nn.functional.normalize(glance.projection(unit), dim=-1)
    torch.testing.assert_close(directions[0, 0], expected[0, best.indices[0, 0]], atol=1e-2, rtol=0)


def test_a_clip_without_glances_has_no_patches() -> None:
    found = Glance(8, 100).project_glances(torch.zeros(3, 0, 0, 8))
    assert found.shape == (3, 0, 0, 60)


def test_padding_counts_neither_as_a_patch_nor_for_the_reliability() -> None:
    glance = Glance(8, width=4)
    torch.nn.init.ones_(glance.projection.bias)
    torch.nn.init.ones_(glance.reliability.weight)
    patches = torch.randn(1, 2, 3, 8)
    patches[0, 1, 2] = 0
    lengths = glance.project_glances(patches).norm(dim=-1)
    assert (lengths > 0).tolist() == [[[True, True, True], [True, True, False]]]
    glances, weights = torch.randn(1, 2, 8), torch.tensor([[1.0, 0.0]])
    expected = glance.compute_reliability(glances[:, :1], weights[:, :1])
    torch.testing.assert_close(glance.compute_reliability(glances, weights), expected)
    assert abs(float(expected.detach()) - 1) > 1e-3


def test_the_first_image_of_a_product_is_compared_with_glances(
    full: Embedder, rng: np.random.Generator
) -> None:
    views = [noise(rng, 40, 30), noise(rng, 30, 30)]
    other = noise(rng, 30, 30)
    contents = [ProductContent((), "box"), ProductContent(tuple(views), "jar")]
    contents.append(ProductContent((other,), "can"))
    inputs = full.preprocessor.prepare_products(contents)
    with torch.inference_mode():
        tokens = full.network.encode_product_tokens(inputs)
        [vectors] = full.network.parts.encode_products(tokens[1:2]).patches
    image = full.encode_images(views[:1], compares_patches=True)
    assert tokens.glance_mask.tolist() == [[False], [True], [True]]
    torch.testing.assert_close(tokens.glances[1], image.pooled)
    count, channels = image.fine_patches.shape[1:]
    assert channels == full.network.towers.fine_dim
    torch.testing.assert_close(tokens.glance_patches[1, 0, :count], image.fine_patches[0])
    last = full.encode_images([other], compares_patches=True).fine_patches[0]
    torch.testing.assert_close(tokens.glance_patches[2, 0, : len(last)], last)
    alone = full.encode_products([ProductContent(tuple(views[:1]), "jar")]).patches[0]
    torch.testing.assert_close(vectors[: len(alone)], alone)
    assert (tokens.glance_patches[0] == 0).all()


def test_frames_keep_no_fine_patches_and_glances_only_these(
    full: Embedder, rng: np.random.Generator
) -> None:
    frames = full.encode_frames([noise(rng, 40, 30)])
    full.encode_windows([frames], ["a jar"])
    [glance] = frames.images[0].glances.values()
    assert frames.tokens.patches.shape[1] > 0 and frames.tokens.fine_patches.shape[1] == 0
    assert glance.patches.shape[1] == 0 and glance.fine_patches.shape[1] > 0


def test_the_second_glance_alone_needs_a_second_pass() -> None:
    assert Parts(8, PartsConfig(("guidance", "glance"))).has_reranker
    assert not Parts(8, PartsConfig(("guidance", "instances"))).has_reranker


def test_frames_are_decoded_large_enough_for_the_second_glance(
    full: Embedder,
) -> None:
    assert full.max_side == DETAIL * max(map(max, full.network.config.canvases))


def test_windows_share_glances_and_are_the_same_as_alone(
    full: Embedder, rng: np.random.Generator
) -> None:
    images = [noise(rng, 40, 30) for _ in range(6)]
    frames = full.encode_frames(images)
    texts = ["red jar", "", "blue box"]
    spans = [slice(0, 4), slice(1, 5), slice(2, 6)]
    together = full.encode_windows([frames[span] for span in spans], texts)
    for row, (span, text) in enumerate(zip(spans, texts, strict=True)):
        alone = full.encode_clips([ClipContent(tuple(images[span]), text)])
        torch.testing.assert_close(together.glances[row], alone.glances[0], atol=1e-5, rtol=0)
        torch.testing.assert_close(together.glance_weights[row], alone.glance_weights[0])
    assert sum(len(image.glances) for image in frames.images) <= 3 * GLANCES


def test_glances_of_dropped_frames_do_not_count(full: Embedder, rng: np.random.Generator) -> None:
    frames = [full.encode_frames(content.frames) for content in draw_clips(rng)]
    tokens = full.build_clip_tokens(frames, [""] * 4)
    omega = torch.rand(tokens.image_mask.shape)
    weights = weigh_glances(tokens, omega)
    assert weights.sum(1).tolist() == pytest.approx([1, 1, 1, 0])
    fewer = replace(tokens, glance_mask=tokens.glance_mask & (tokens.glance_frames > 0))
    assert (weigh_glances(fewer, omega)[tokens.glance_frames == 0] == 0).all()


def test_only_the_second_pass_compares_patches(full: Embedder, rng: np.random.Generator) -> None:
    """With all candidates scored again, a score is the sum of all terms."""
    with torch.no_grad():
        full.network.head.late.fill_(0.5)
    clips, products = full.encode_clips(draw_clips(rng)), full.encode_products(draw_products(rng))
    weights = full.network.head()
    assert float(weights.late.detach()) == 0.5
    ranker = replace(full.ranker, weights=type(weights)(*(w.detach() for w in weights)))
    first_pass = ranker.first_pass.score(clips, products)
    without_late = ranker.weights._replace(late=torch.tensor(0.0))
    assert torch.equal(first_pass, score(clips, products, without_late))
    assert not torch.allclose(first_pass[:3], score(clips, products, ranker.weights)[:3], atol=1e-3)
    assert not torch.allclose(ranker.score(clips, products)[:3], first_pass[:3], atol=1e-3)


def test_text_alone_is_scored_as_in_a_batch_with_frames(
    full: Embedder, rng: np.random.Generator
) -> None:
    """A clip without frames has no glance, and a shelf may have no image."""
    with torch.no_grad():
        full.network.head.late.fill_(0.5)
    ranker = Embedder(full.model, "cpu").ranker
    clips, products = draw_clips(rng), draw_products(rng)
    shelf = full.encode_products(products)
    together = ranker.score(full.encode_clips(clips), shelf)[3]
    alone = ranker.score(full.encode_clips(clips[3:]), shelf)[0]
    torch.testing.assert_close(alone, together, atol=1e-5, rtol=0)
    untitled = full.encode_products([ProductContent((), "red jar"), ProductContent((), "blue")])
    assert ranker.score(full.encode_clips(clips[:1]), untitled).isfinite().all()
