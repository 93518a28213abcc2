"""Text pooling learns which words name a product, and the reliability weights the text terms."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from sgmn.model.score_head import ScoreHead
from sgmn.model.scoring import score
from sgmn.model.text_pooling import TextPooling
from sgmn.model.tokens import ItemTokens
from tests.model import score_cases
from tests.model.guidance_cases import CLIPS, DIM, draw_tokens


def build_text_pooling(seed: int = 3) -> TextPooling:
    """A text pooling whose parameters all differ from their initial values."""
    torch.manual_seed(seed)
    pooling = TextPooling(DIM)
    with torch.no_grad():
        for parameter in pooling.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return pooling


def test_an_untrained_pooling_changes_nothing() -> None:
    tokens = draw_tokens()
    text, reliability = TextPooling(DIM)(tokens)
    torch.testing.assert_close(text, tokens.text, atol=1e-6, rtol=0)
    assert torch.equal(reliability, torch.ones(CLIPS))


def test_weights_sum_to_one_and_are_zero_at_padding() -> None:
    tokens = draw_tokens()
    weights = build_text_pooling().compute_weights(tokens.words, tokens.word_mask)
    assert torch.equal(weights > 0, tokens.word_mask)
    torch.testing.assert_close(weights.sum(1), tokens.has_text.float(), atol=1e-6, rtol=0)


def test_padding_has_no_effect() -> None:
    tokens, pooling = draw_tokens(), build_text_pooling()
    padded = replace(
        tokens,
        words=torch.cat([tokens.words, 9 * torch.ones(CLIPS, 3, DIM)], 1),
        word_mask=torch.cat([tokens.word_mask, torch.zeros(CLIPS, 3).bool()], 1),
    )
    for actual, expected in zip(pooling(padded), pooling(tokens), strict=True):
        torch.testing.assert_close(actual, expected, atol=1e-6, rtol=0)


def test_a_clip_without_text_has_zero_text_and_finite_gradients() -> None:
    tokens, pooling = draw_tokens(), build_text_pooling()
    text, reliability = pooling(tokens)
    assert not tokens.has_text[2] and not text[2].any() and reliability[2] == 1
    (text.sum() + reliability.sum()).backward()
    gradients = [parameter.grad for parameter in pooling.parameters()]
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients)


TEMPLATE = draw_tokens()  # drawing it later would reset the random seed


def draw_transcripts(names: Tensor, chatter: Tensor, product: Tensor) -> ItemTokens:
    """Transcripts of twenty words, one of which is the name of the product."""
    count = len(product)
    words = chatter[torch.randint(len(chatter), (count, 20))]
    words[torch.arange(count), torch.randint(20, (count,))] = names[product]
    mask = torch.ones(count, 20).bool()
    text = normalize(words.mean(1), dim=1)
    return replace(TEMPLATE, words=words, word_mask=mask, text=text, has_text=mask.any(1))


def test_it_learns_which_word_names_the_product() -> None:
    torch.manual_seed(0)
    products, chatter = (
        normalize(torch.randn(8, DIM), dim=1),
        normalize(torch.randn(40, DIM), dim=1),
    )
    names = products + normalize(torch.randn(DIM), dim=0)  # plus what all names have in common
    pooling = TextPooling(DIM)
    optimizer = torch.optim.Adam(pooling.parameters(), 1e-2)
    for _ in range(60):
        product = torch.randint(8, (32,))
        logits = 20 * pooling(draw_transcripts(names, chatter, product)).text @ products.T
        cross_entropy(logits, product).backward()
        optimizer.step()
        optimizer.zero_grad()
    product = torch.arange(8).repeat(8)
    tokens = draw_transcripts(names, chatter, product)
    mean_accuracy, pooled_accuracy = (
        float(((text @ products.T).argmax(1) == product).float().mean())
        for text in (tokens.text, pooling(tokens).text)
    )
    assert pooled_accuracy > 0.9 > mean_accuracy + 0.2


def score_with_reliability(reliability: float) -> Tensor:
    clips = score_cases.draw_clips()
    clips = replace(clips, text_reliability=torch.full_like(clips.text_reliability, reliability))
    return score(clips, score_cases.draw_products(), ScoreHead(text=0.7)())


def test_a_reliability_of_zero_equals_missing_text() -> None:
    clips = score_cases.draw_clips().select_modalities(("image",))
    expected = score(clips, score_cases.draw_products(), ScoreHead(text=0.7)())
    torch.testing.assert_close(score_with_reliability(0.0), expected, atol=1e-5, rtol=0)


def test_a_reliability_of_one_changes_nothing() -> None:
    clips, products = score_cases.draw_clips(), score_cases.draw_products()
    expected = score(clips, products, ScoreHead(text=0.7)())
    torch.testing.assert_close(score_with_reliability(1.0), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("reliability", [0.5, 2.0])
def test_reliability_is_a_factor_of_the_text_weight(reliability: float) -> None:
    clips, products = score_cases.draw_clips(), score_cases.draw_products()
    image, text = clips.image @ products.image.T, clips.text @ products.text.T
    weight = 0.7 * reliability
    expected = (image + weight * text) * 1.7 / (1 + weight)
    has_text = clips.has_text[:, None] & products.has_text
    both = has_text & clips.has_image[:, None] & products.has_image
    actual = score_with_reliability(reliability)
    torch.testing.assert_close(actual[both], expected[both], atol=1e-5, rtol=0)
