"""What is named in passing must not be taken for what is sold."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from sgmn.model.parts import Parts, PartsConfig
from sgmn.model.text_context import TextContext
from sgmn.model.text_pooling import TextPooling
from sgmn.model.tokens import ItemTokens
from tests.model.test_guidance import B, D, moved, tokens

ONE = tokens()[:1]


def trained() -> TextContext:
    """As after training."""
    return moved(lambda: TextContext(D).eval())


def test_fresh_it_changes_nothing() -> None:
    t = tokens()
    read = TextContext(D)(t)
    torch.testing.assert_close(read.words, t.words, atol=1e-6, rtol=0)
    torch.testing.assert_close(read.text, t.text, atol=1e-6, rtol=0)


def test_trained_it_changes_words_and_nothing_else() -> None:
    t = tokens()
    read = trained()(t)
    assert (read.words - t.words)[t.word_mask].abs().max() > 0.1
    assert (read.text - t.text)[t.has_text].abs().max() > 0.1
    assert torch.equal(read.words[~t.word_mask], t.words[~t.word_mask])
    same = replace(read, words=t.words, text=t.text)
    assert all(torch.equal(a, b) for a, b in zip(same._tensors(), t._tensors(), strict=True))


def test_a_word_is_read_by_those_around_it() -> None:
    t, part = tokens(), trained()
    other = replace(t, words=t.words.index_fill(1, torch.tensor([0]), 0.3))
    assert (part(other).words - part(t).words)[0, 1:].abs().max() > 0.01


def test_padding_changes_nothing() -> None:
    t, part = tokens(), trained()
    more = replace(
        t,
        words=torch.cat([t.words, 9 * torch.ones(B, 3, D)], 1),
        word_mask=torch.cat([t.word_mask, torch.zeros(B, 3).bool()], 1),
    )
    expected = part(t)
    for inference in (False, True):  # where torch goes another way
        with torch.inference_mode(inference):
            found = part(more)
        torch.testing.assert_close(found.words[:, :-3], expected.words, atol=1e-5, rtol=0)
        torch.testing.assert_close(found.text, expected.text, atol=1e-5, rtol=0)


def test_a_silent_clip_is_finite_and_says_nothing() -> None:
    t, part = tokens(), trained().train()
    read = part(t)
    assert not t.has_text[2] and not read.text[2].any() and read.words.isfinite().all()
    (read.words.sum() + read.text.sum()).backward()
    gradients = [parameter.grad for parameter in part.parameters()]
    assert all(g is not None and g.isfinite().all() for g in gradients)
    none = replace(t, words=t.words[:, :0], word_mask=t.word_mask[:, :0])
    assert part(none) is none


def test_pictures_are_looked_at_by_the_words_as_they_were() -> None:
    """So what was learnt from pictures stays as it is when only the reading learns."""
    torch.manual_seed(0)
    kept = ("text_context", "text_pooling", "guidance", "graph", "instances")
    parts, t = Parts(D, PartsConfig(kept)).eval(), tokens()
    before = parts.encode_clips(t)
    parts.text_context = trained()
    after = parts.encode_clips(t)
    assert torch.equal(before.image, after.image)
    assert torch.equal(before.instances, after.instances)
    assert (before.text - after.text)[t.has_text].abs().max() > 0.1


def test_it_learns_what_a_denial_does() -> None:
    """Of two twins one is named, and in half of the clips denied: then it is the other."""
    torch.manual_seed(0)
    names, chatter, deny, mark = normalize(torch.randn(50, D), dim=1).split([8, 40, 1, 1])
    right = {}
    for name, reading in (("alone", None), ("text_context", TextContext(D))):
        emphasis = TextPooling(D)
        parts = torch.nn.ModuleList([emphasis] if reading is None else [emphasis, reading])
        optimizer = torch.optim.Adam(parts.parameters(), 1e-2)
        for _ in range(150):
            clips, meant = denied(names + mark, chatter, deny, 32)
            read = clips if reading is None else reading(clips)
            cross_entropy(10 * emphasis(read).text @ names.T, meant).backward()
            optimizer.step()
            optimizer.zero_grad()
        clips, meant = denied(names + mark, chatter, deny, 400)
        read = clips if reading is None else reading.eval()(clips)
        right[name] = float(((emphasis(read).text @ names.T).argmax(1) == meant).float().mean())
    assert right["alone"] < 0.65 and right["text_context"] > 0.9


def denied(names: Tensor, chatter: Tensor, deny: Tensor, count: int) -> tuple[ItemTokens, Tensor]:
    """Clips of a name among chatter, half of them with a denial in between; what is meant."""
    named, denies = torch.randint(len(names), (count,)), torch.rand(count) < 0.5
    words = chatter[torch.randint(len(chatter), (count, 4))]
    words[:, 0] = names[named]
    words[denies, 1] = deny
    mask = torch.ones(count, 4).bool()
    said = normalize(words.mean(1), dim=1)
    clips = replace(ONE[[0] * count], words=words, word_mask=mask, text=said, has_text=mask.any(1))
    return clips, torch.where(denies, named ^ 1, named)


def test_the_re_ranker_reads_what_was_read() -> None:
    torch.manual_seed(0)
    parts, t = Parts(D, PartsConfig(("text_context", "fusion"))).eval(), tokens()
    parts.text_context = trained()
    read = parts.encode_clips(t).tokens[:, -t.words.shape[1] :]
    assert torch.equal(read, parts.contextualize(t).words) and (read - t.words).abs().max() > 0.1
