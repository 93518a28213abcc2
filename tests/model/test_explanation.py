"""Explanations: terms that add up to the score, maps in the picture's own pixels, words whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from sgmn.errors import SgmnError
from sgmn.model.bundle import Model
from sgmn.model.embedder import Embedder
from sgmn.model.explanation import (
    NOT_COMPARABLE,
    Explanation,
    ProductExplanation,
    compute_heatmap,
    explain,
)
from sgmn.model.heatmap import project_to_image
from sgmn.model.inputs import Placement, Preprocessor, compute_placement
from sgmn.model.word_spans import weigh_words
from sgmn.records import ClipContent, ProductContent
from tests.conftest import noise
from tests.model.test_parts import some_clips, some_products, with_all


@pytest.fixture
def opened(tiny: Callable[[], Model]) -> Embedder:
    """A model with every part, each at work: at random, gates may as well stay shut."""
    used = Embedder(with_all(tiny(), opened=True), "cpu")
    with torch.no_grad():
        for guidance in used.network.parts.guidance.values():
            guidance.gate.fill_(0.1)
            guidance.time_gain.fill_(1.0)
    return used


@pytest.fixture(params=["plain", "opened"])
def embedder(
    request: pytest.FixtureRequest, tiny: Callable[[], Model], opened: Embedder
) -> Embedder:
    return opened if request.param == "opened" else Embedder(tiny(), "cpu")


def explained(
    embedder: Embedder, clip: ClipContent, products: list[ProductContent]
) -> tuple[Explanation, list[float]]:
    """A clip with all products explained, and the scores as they are ranked by."""
    shelf = embedder.encode_products(products)
    scores = embedder.ranker.score(embedder.encode_clips([clip]), shelf)[0].tolist()
    return explain(embedder, clip, shelf, dict(enumerate(products))), scores


def summed(compared: ProductExplanation) -> float:
    return sum(term.contribution for term in compared.terms) + sum(compared.adjustments.values())


def test_the_terms_add_up_to_the_score(embedder: Embedder, rng: np.random.Generator) -> None:
    """Also where modalities are missing, and for products that the second look passes by."""
    products = some_products(rng)
    for clip in some_clips(rng)[:3]:
        found, scores = explained(embedder, clip, products)
        assert [one.index for one in found.products] == list(range(len(products)))
        for compared in found.products:
            assert compared.score == pytest.approx(scores[compared.index], abs=1e-5)
            assert summed(compared) == pytest.approx(compared.score, abs=1e-5)


def test_a_term_adds_what_it_is_worth(opened: Embedder, rng: np.random.Generator) -> None:
    clip, products = some_clips(rng)[0], some_products(rng)
    found, _ = explained(opened, clip, products)
    clips, shelf, weights = (
        opened.encode_clips([clip]),
        opened.encode_products(products),
        opened.ranker.weights,
    )
    terms = {term.name: term for term in found.products[0].terms}
    assert set(terms) == {"image", "text", "match", "text-image", "image-text"}
    value = float(clips.text[0] @ shelf.text[0])
    assert terms["text"].value == pytest.approx(value, abs=1e-6)
    weight = float(weights.text * clips.text_reliability)
    assert terms["text"].weight == pytest.approx(weight, abs=1e-6)
    total = sum(float(w) for w in (1 + weights.match + weights.text + weights.cross,))
    scale = total / sum(term.weight for term in terms.values())
    assert terms["text"].contribution == pytest.approx(scale * weight * value, abs=1e-5)


def test_what_is_missing_drops_out(embedder: Embedder, rng: np.random.Generator) -> None:
    silent = ClipContent((noise(rng),))
    found, _ = explained(embedder, silent, [ProductContent((noise(rng),), "red box")])
    spoken = {"text", "text-image"}
    terms = found.products[0].terms
    assert all((term.name in spoken) == (not term.present) for term in terms)
    assert all(term.contribution == 0 for term in terms if not term.present)
    total = sum(term.weight for term in terms)
    there = sum(term.weight for term in terms if term.present)
    picture = terms[0]
    assert picture.contribution == pytest.approx(picture.value * total / there, abs=1e-6)


def test_what_is_not_to_count_adds_nothing(opened: Embedder, rng: np.random.Generator) -> None:
    clip, products = some_clips(rng)[0], some_products(rng)[:2]
    shelf = opened.encode_products(products).select_modalities(("image",))
    assert shelf.text[0].norm() > 0  # it has words, but they are taken for missing
    for compared in explain(opened, clip, shelf, dict(enumerate(products))).products:
        assert {t.name for t in compared.terms if not t.present} == {"text", "image-text"}
        assert summed(compared) == pytest.approx(compared.score, abs=1e-5)


def test_nothing_to_compare_is_said(tiny: Callable[[], Model], rng: np.random.Generator) -> None:
    used = Embedder(tiny(), "cpu")
    silent, untitled = ClipContent((noise(rng),)), ProductContent((), "red box")
    found, scores = explained(used, silent, [untitled])
    assert dict(found.products[0].adjustments) == {NOT_COMPARABLE: pytest.approx(scores[0])}
    assert found.products[0].frame_similarities == () and found.products[0].views == ()


def test_the_second_look_is_told_apart(opened: Embedder, rng: np.random.Generator) -> None:
    clip, products = some_clips(rng)[0], some_products(rng)
    found, scores = explained(opened, clip, products)
    shelf = opened.encode_products(products)
    first = opened.ranker.first_pass.score(opened.encode_clips([clip]), shelf)[0]
    candidates = set(first.topk(3).indices.tolist())
    for compared in found.products:
        again = compared.index in candidates
        assert set(compared.adjustments) == ({"pairwise score", "other candidates"} if again else
                                         {"other candidates"})  # fmt: skip
        change = scores[compared.index] - float(first[compared.index])
        assert sum(compared.adjustments.values()) == pytest.approx(change, abs=1e-5)
    opened.network.parts.fusion.output.weight.data.zero_()  # now pairs say nothing
    del opened.ranker
    again_found, _ = explained(opened, clip, products)
    for compared in again_found.products:
        assert compared.adjustments.get("pairwise score", 0.0) == 0.0


CANVAS, GRID = (160, 96), (10, 6)  # patches of 16 by 16


def planted(row: int, column: int) -> np.ndarray:
    cells = np.zeros(GRID)
    cells[row, column] = 1.0
    return cells


def test_a_map_is_cut_to_the_picture() -> None:
    square = (96, 96, 3)  # 32 pixels of padding above and below
    at = compute_placement(square, CANVAS)
    assert at == Placement(32, 0, 96, 96)
    for row in (0, 1, 8, 9):
        assert not project_to_image(planted(row, 3), CANVAS, at, square).any()
    found = project_to_image(planted(5, 2), CANVAS, at, square)
    expected = np.zeros((96, 96))
    expected[48:64, 32:48] = 1 / 256
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_a_map_is_cut_at_the_sides_too() -> None:
    narrow = (160, 32)  # two columns of patches of padding on either side
    at = compute_placement(narrow, CANVAS)
    for column in (0, 1, 4, 5):
        assert not project_to_image(planted(5, column), CANVAS, at, narrow).any()
    found = project_to_image(planted(5, 2), CANVAS, at, narrow)
    assert found[80:96, :16].sum() == pytest.approx(1.0)


@pytest.mark.parametrize("times", [0.5, 2.0, 3.3])
def test_a_map_has_the_pictures_own_pixels(times: float) -> None:
    side = round(96 * times)
    at = compute_placement((side, side, 3), CANVAS)
    found = project_to_image(planted(5, 2), CANVAS, at, (side, side, 3))
    assert found.shape == (side, side) and found.sum() == pytest.approx(1.0)
    rows, columns = found.sum(1) @ np.arange(side), found.sum(0) @ np.arange(side)
    assert (rows / side, columns / side) == pytest.approx((56 / 96, 40 / 96), abs=0.02)


def test_a_patch_half_on_the_padding_counts_half() -> None:
    shape = (144, 96)  # 8 pixels of padding above: half a patch
    found = project_to_image(planted(0, 0), CANVAS, compute_placement(shape, CANVAS), shape)
    assert found.sum() == pytest.approx(0.5)
    assert found[:8, :16].sum() == pytest.approx(0.5)


def test_each_picture_gets_its_own_patches(
    opened: Embedder, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A weight planted in the last patch of a picture's own grid lands in its last corner."""
    clip = ClipContent((noise(rng, 64, 48), noise(rng, 50, 50)), "red jar")
    look = opened.network.parts.guide

    def planting(tokens: Any, side: Any) -> Any:
        guided = look(tokens, side)
        weights = torch.zeros_like(guided.patch_weights)
        for place, count in enumerate(tokens.patch_mask[0].sum(-1).tolist()):
            weights[:, place, max(count - 1, 0)] = 1.0
        return guided._replace(patch_weights=weights)

    product = ProductContent((noise(rng, 50, 50),), "red jar")
    shelf = opened.encode_products([product])
    monkeypatch.setattr(opened.network.parts, "guide", planting)
    found = explain(opened, clip, shelf, {0: product})
    for gaze, picture in zip(found.frames, clip.frames, strict=True):
        assert gaze.heatmap is not None and gaze.heatmap.shape == picture.shape[:2]
        assert np.unravel_index(gaze.heatmap.argmax(), gaze.heatmap.shape)[0] > picture.shape[0] / 2
        assert gaze.heatmap[-1, -1] == gaze.heatmap.max() and gaze.heatmap.sum() == pytest.approx(
            1.0
        )


def test_weights_are_those_of_the_model(opened: Embedder, rng: np.random.Generator) -> None:
    clip, product = some_clips(rng)[2], ProductContent((noise(rng, 40, 30), noise(rng)), "box")
    found, _ = explained(opened, clip, [product])
    vectors = opened.encode_clips([clip])
    shares = [gaze.weight for gaze in found.frames]
    np.testing.assert_allclose(shares, vectors.frame_weights[0], atol=1e-6)
    assert len(set(shares)) > 1 and sum(shares) == pytest.approx(1.0, abs=1e-5)
    alone = vectors.frames[0] @ opened.encode_products([product]).image[0]
    np.testing.assert_allclose(found.products[0].frame_similarities, alone, atol=1e-5)

    tokens = opened.network.encode_tokens(opened.preprocessor.prepare_products([product]))
    with torch.inference_mode():
        guided = opened.network.parts.guide(tokens, "products")
    views = found.products[0].views
    np.testing.assert_allclose([v.weight for v in views], guided.frame_weights[0], atol=1e-6)
    assert len(views) == 2 and views[0].weight != views[1].weight
    assert views[1].heatmap is not None  # of a picture that fills its canvas
    np.testing.assert_allclose(views[0].heatmap.sum(), 1.0, atol=1e-5)
    peak = guided.patch_weights[0, 0].max() * guided.patch_weights.shape[-1]
    assert views[0].heatmap.max() * views[0].heatmap.size == pytest.approx(float(peak), rel=0.1)


def test_a_silent_clip_has_maps_and_no_words(embedder: Embedder, rng: np.random.Generator) -> None:
    found, _ = explained(embedder, ClipContent((noise(rng),)), some_products(rng)[:2])
    assert found.words == () and len(found.frames) == 1
    for gaze in found.frames:
        assert gaze.heatmap is None or np.isfinite(gaze.heatmap).all()


def test_a_clip_without_frames_is_refused(embedder: Embedder, rng: np.random.Generator) -> None:
    products = some_products(rng)[:2]
    with pytest.raises(SgmnError, match="no frame to explain"):
        explained(embedder, ClipContent((), "red jar"), products)


def test_a_model_without_guidance_looks_at_everything_alike(
    tiny: Callable[[], Model], rng: np.random.Generator
) -> None:
    found, _ = explained(Embedder(tiny(), "cpu"), some_clips(rng)[0], some_products(rng)[:2])
    assert not found.has_guidance
    assert all(gaze.heatmap is None for gaze in found.frames)
    assert [gaze.weight for gaze in found.frames] == pytest.approx([1 / 3] * 3)
    assert [word.text for word in found.words] == ["red", "jar"]
    assert [word.weight for word in found.words] == pytest.approx([0.5, 0.5])


def tokenizer(kind: str) -> Any:
    """Tokenizers that cut words: into ## pieces, at ▁, or into bytes."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = ["[PAD]", "[BOS]", "[EOS]", "[UNK]"]
    if kind == "wordpiece":
        pieces = ["red", "jam", "##my", "jar", "红", "茶", "!"]
        made = Tokenizer(models.WordPiece({p: n for n, p in enumerate([*special, *pieces])}))
        made.normalizer = normalizers.BertNormalizer(lowercase=True)
        made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    elif kind == "metaspace":
        pieces = ["▁", "▁red", "▁jam", "my", "▁jar", "红", "茶", "!", "▁Red", "J", "am"]
        scores = [(piece, -1.0) for piece in [*special, *pieces]]
        made = Tokenizer(models.Unigram(scores, unk_id=3))
        made.normalizer = normalizers.Prepend("▁")
        made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never", split=False)
        made.decoder = decoders.Metaspace()
    else:
        letters = sorted(pre_tokenizers.ByteLevel.alphabet())
        made = Tokenizer(models.BPE({p: n for n, p in enumerate([*special, *letters])}, []))
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.post_processor = processors.TemplateProcessing(
        single="[BOS] $A [EOS]", special_tokens=[("[BOS]", 1), ("[EOS]", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        pad_token="[PAD]",
        bos_token="[BOS]",
        eos_token="[EOS]",
        unk_token="[UNK]",
    )


@pytest.mark.parametrize("kind", ["wordpiece", "metaspace", "bytes"])
@pytest.mark.parametrize("room", [5, 64])
def test_words_are_whole_whatever_the_tokenizer(kind: str, room: int) -> None:
    """Also where a long text goes on in further pieces, which bring special tokens of their own."""
    prepare = Preprocessor(((32, 32),), (0, 0, 0), tokenizer(kind), room)
    text = "Red  jammy jar! 红茶"
    count = int(prepare.tokenize_texts([text]).mask.sum())
    found = weigh_words(text, prepare, [1.0] * count)
    joined = "".join(word.text for word in found)
    assert joined == "Redjammyjar!红茶"
    assert [word.text for word in found][:2] == ["Red", "jammy"]
    assert [word.text for word in found][-2:] == ["红", "茶"]
    assert sum(word.weight for word in found) == pytest.approx(1.0)


def test_a_words_share_is_that_of_its_tokens() -> None:
    prepare = Preprocessor(((32, 32),), (0, 0, 0), tokenizer("wordpiece"), 64)
    weights = [0.3, 0.1, 0.2, 0.1, 0.1, 0.2]  # BOS red jam ##my jar EOS
    found = weigh_words("Red jammy jar", prepare, weights)
    assert [word.text for word in found] == ["Red", "jammy", "jar"]
    assert [word.weight for word in found] == pytest.approx([0.2, 0.6, 0.2])
    assert [word.weight for word in weigh_words("Red jammy jar", prepare)] == pytest.approx(
        [1 / 3] * 3
    )


def test_words_follow_the_models_own_tokens(opened: Embedder, rng: np.random.Generator) -> None:
    """A text of several pieces: as many weights as the network has words, in its order."""
    text = "red milk today we have for you this is the green apple juice hello blue box zzz"
    clip = ClipContent((noise(rng),), text)
    found, _ = explained(opened, clip, some_products(rng)[:1])
    assert [word.text for word in found.words] == text.split()
    texts = opened.preprocessor.tokenize_texts([text])
    assert len(texts.ids) == 2
    own = torch.isin(texts.ids[texts.mask], torch.tensor([1, 2]))  # begin and end of a piece
    tokens = opened.build_tokens([opened.encode_images(clip.frames)], [text])
    with torch.inference_mode():
        read = opened.network.parts.contextualize(tokens)
        shares = opened.network.parts.text_pooling.compute_weights(read.words, read.word_mask)
    weights = shares[0][~own]
    expected = weights / weights.sum()
    np.testing.assert_allclose([word.weight for word in found.words], expected, atol=1e-6)
    assert len(set(expected.tolist())) > 1


def test_without_emphasis_words_weigh_as_they_point(
    opened: Embedder, rng: np.random.Generator
) -> None:
    opened.network.parts.text_pooling = None
    clip = ClipContent((noise(rng),), "red milk today")
    found, _ = explained(opened, clip, some_products(rng)[:1])
    tokens = opened.build_tokens([opened.encode_images(clip.frames)], [clip.text])
    with torch.inference_mode():
        pointing = opened.network.parts.guide(tokens, "clips").word_weights[0][1:-1]
    expected = pointing / pointing.sum()
    np.testing.assert_allclose([word.weight for word in found.words], expected, atol=1e-6)


def test_the_heat_of_one_frame_follows_what_is_said(
    opened: Embedder, tiny: Callable[[], Model], rng: np.random.Generator
) -> None:
    picture = noise(rng, 40, 30)
    found = [compute_heatmap(opened, picture, said) for said in ("red milk", "blue apple")]
    assert found[0] is not None and found[1] is not None
    assert found[0].shape == (40, 30) and found[0].sum() <= 1 + 1e-6
    assert np.abs(found[0] - found[1]).max() > 0
    assert compute_heatmap(Embedder(tiny(), "cpu"), picture, "red milk") is None
