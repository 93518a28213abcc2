"""What is said about a product must not drown in what is said about everything else."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from sgmn.model.scoring import ScoreHead, score
from sgmn.model.text_pooling import TextPooling
from sgmn.model.tokens import ItemTokens
from tests.model.test_guidance import B, D, moved, tokens
from tests.model.test_scoring import clips, products


def trained() -> TextPooling:
    """As after training."""
    return moved(lambda: TextPooling(D))


def test_fresh_it_changes_nothing() -> None:
    t = tokens()
    said, reliability = TextPooling(D)(t)
    torch.testing.assert_close(said, t.text, atol=1e-6, rtol=0)
    assert torch.equal(reliability, torch.ones(B))


def test_shares_are_of_the_words_there_are() -> None:
    t = tokens()
    shares = trained().compute_weights(t.words, t.word_mask)
    assert torch.equal(shares > 0, t.word_mask)
    torch.testing.assert_close(shares.sum(1), t.has_text.float(), atol=1e-6, rtol=0)


def test_padding_changes_nothing() -> None:
    t, part = tokens(), trained()
    more = replace(
        t,
        words=torch.cat([t.words, 9 * torch.ones(B, 3, D)], 1),
        word_mask=torch.cat([t.word_mask, torch.zeros(B, 3).bool()], 1),
    )
    for found, expected in zip(part(more), part(t), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


def test_a_silent_clip_is_finite_and_says_nothing() -> None:
    t, part = tokens(), trained()
    said, reliability = part(t)
    assert not t.has_text[2] and not said[2].any() and reliability[2] == 1
    (said.sum() + reliability.sum()).backward()
    gradients = [parameter.grad for parameter in part.parameters()]
    assert all(g is not None and g.isfinite().all() for g in gradients)


def test_it_learns_which_word_names_the_product() -> None:
    """One word in twenty names one of eight products; the others are the same chatter for all."""
    torch.manual_seed(0)
    names, chatter = normalize(torch.randn(8, D), dim=1), normalize(torch.randn(40, D), dim=1)
    mark = normalize(torch.randn(D), dim=0)  # what names have in common
    part = TextPooling(D)
    optimizer = torch.optim.Adam(part.parameters(), 1e-2)
    for _ in range(60):
        meant = torch.randint(8, (32,))
        logits = 20 * part(spoken(names + mark, chatter, meant)).text @ names.T
        torch.nn.functional.cross_entropy(logits, meant).backward()
        optimizer.step()
        optimizer.zero_grad()
    meant = torch.arange(8).repeat(8)
    heard = spoken(names + mark, chatter, meant)
    right = [
        float(((said @ names.T).argmax(1) == meant).float().mean())
        for said in (heard.text, part(heard).text)
    ]
    assert right[1] > 0.9 > right[0] + 0.2


def spoken(names: Tensor, chatter: Tensor, meant: Tensor) -> ItemTokens:
    """Clips of twenty words, of which one is the name that is meant."""
    words = chatter[torch.randint(len(chatter), (len(meant), 20))]
    words[torch.arange(len(meant)), torch.randint(20, meant.shape)] = names[meant]
    mask = torch.ones(words.shape[:2]).bool()
    return replace(
        tokens(),
        words=words,
        word_mask=mask,
        text=normalize(words.mean(1), dim=1),
        has_text=mask.any(1),
    )


@pytest.mark.parametrize("reliability", [0.0, 0.5, 1.0, 2.0])
def test_words_count_as_much_as_they_tell(reliability: float) -> None:
    """0 is as if nothing had been said, 1 as if nobody had judged; the scale stays."""
    c, p, weights = clips(), products(), ScoreHead(text=0.7)()
    judged = score(
        replace(c, text_reliability=torch.full_like(c.text_reliability, reliability)), p, weights
    )
    silent = score(c.select_modalities(("image",)), p, weights)
    plain = score(c, p, weights)
    expected = {0.0: silent, 1.0: plain}.get(reliability)
    if expected is not None:
        torch.testing.assert_close(judged, expected, atol=1e-5, rtol=0)
    else:
        seen, said = c.image @ p.image.T, c.text @ p.text.T
        share = 0.7 * reliability
        mixed = (seen + share * said) * 1.7 / (1 + share)
        both = c.has_text[:, None] & p.has_text & c.has_image[:, None] & p.has_image
        torch.testing.assert_close(judged[both], mixed[both], atol=1e-5, rtol=0)
