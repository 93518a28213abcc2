"""The text context learns that a mention does not mean that a product is on sale."""

from __future__ import annotations

from dataclasses import fields, replace

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from sgmn.model.parts import Parts, PartsConfig
from sgmn.model.text_context import TextContext
from sgmn.model.text_pooling import TextPooling
from sgmn.model.tokens import ItemTokens
from tests.model.guidance_cases import CLIPS, DIM, draw_tokens


def build_text_context(seed: int = 3) -> TextContext:
    """A text context whose parameters all differ from their initial values."""
    torch.manual_seed(seed)
    context = TextContext(DIM).eval()
    with torch.no_grad():
        for parameter in context.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return context


def test_an_untrained_context_changes_nothing() -> None:
    tokens = draw_tokens()
    output = TextContext(DIM)(tokens)
    torch.testing.assert_close(output.words, tokens.words, atol=1e-6, rtol=0)
    torch.testing.assert_close(output.text, tokens.text, atol=1e-6, rtol=0)


def test_a_trained_context_changes_only_words_and_text() -> None:
    tokens = draw_tokens()
    output = build_text_context()(tokens)
    assert (output.words - tokens.words)[tokens.word_mask].abs().max() > 0.1
    assert (output.text - tokens.text)[tokens.has_text].abs().max() > 0.1
    assert torch.equal(output.words[~tokens.word_mask], tokens.words[~tokens.word_mask])
    for field in fields(ItemTokens):
        if field.name not in ("words", "text"):
            assert torch.equal(getattr(output, field.name), getattr(tokens, field.name))


def test_a_word_affects_the_words_around_it() -> None:
    tokens, context = draw_tokens(), build_text_context()
    changed = replace(tokens, words=tokens.words.index_fill(1, torch.tensor([0]), 0.3))
    assert (context(changed).words - context(tokens).words)[0, 1:].abs().max() > 0.01


def test_padding_has_no_effect() -> None:
    tokens, context = draw_tokens(), build_text_context()
    padded = replace(
        tokens,
        words=torch.cat([tokens.words, 9 * torch.ones(CLIPS, 3, DIM)], 1),
        word_mask=torch.cat([tokens.word_mask, torch.zeros(CLIPS, 3).bool()], 1),
    )
    expected = context(tokens)
    for is_inference in (False, True):  # torch uses other kernels for inference
        with torch.inference_mode(is_inference):
            output = context(padded)
        torch.testing.assert_close(output.words[:, :-3], expected.words, atol=1e-5, rtol=0)
        torch.testing.assert_close(output.text, expected.text, atol=1e-5, rtol=0)


def test_a_clip_without_text_has_zero_text_and_finite_gradients() -> None:
    tokens, context = draw_tokens(), build_text_context().train()
    output = context(tokens)
    assert not tokens.has_text[2] and not output.text[2].any() and output.words.isfinite().all()
    (output.words.sum() + output.text.sum()).backward()
    gradients = [parameter.grad for parameter in context.parameters()]
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients)


def test_a_batch_without_words_is_returned_unchanged() -> None:
    tokens = draw_tokens()
    empty = replace(tokens, words=tokens.words[:, :0], word_mask=tokens.word_mask[:, :0])
    assert build_text_context()(empty) is empty


def test_guidance_uses_the_words_without_context() -> None:
    """Training only the text context therefore leaves the image vectors unchanged."""
    torch.manual_seed(0)
    enabled = ("text_context", "text_pooling", "guidance", "graph", "instances")
    parts, tokens = Parts(DIM, PartsConfig(enabled)).eval(), draw_tokens()
    before = parts.encode_clips(tokens)
    parts.text_context = build_text_context()
    after = parts.encode_clips(tokens)
    assert torch.equal(before.image, after.image)
    assert torch.equal(before.instances, after.instances)
    assert (before.text - after.text)[tokens.has_text].abs().max() > 0.1


class Transcripts:
    """Transcripts of four words that mention one of eight products, which form pairs of twins.

    Half of the transcripts contain a denial: then the twin is on sale.
    """

    def __init__(self) -> None:
        vectors = normalize(torch.randn(50, DIM), dim=1)
        self.products, self.chatter, self.denial, mark = vectors.split([8, 40, 1, 1])
        self.names = self.products + mark  # the mark is common to all names
        self.template = draw_tokens()[:1]

    def draw(self, count: int) -> tuple[ItemTokens, Tensor]:
        """Draw transcripts, and the product on sale in each."""
        mentioned, is_denied = torch.randint(8, (count,)), torch.rand(count) < 0.5
        words = self.chatter[torch.randint(len(self.chatter), (count, 4))]
        words[:, 0] = self.names[mentioned]
        words[is_denied, 1] = self.denial
        mask = torch.ones(count, 4).bool()
        text = normalize(words.mean(1), dim=1)
        clips = replace(
            self.template[[0] * count], words=words, word_mask=mask, text=text, has_text=mask.any(1)
        )
        return clips, torch.where(is_denied, mentioned ^ 1, mentioned)


def train_accuracy(transcripts: Transcripts, *modules: nn.Module) -> float:
    """Train modules that end with a text pooling, and return the accuracy on new transcripts."""
    network = nn.Sequential(*modules)
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    for _ in range(150):
        clips, product = transcripts.draw(32)
        logits = 10 * network(clips).text @ transcripts.products.T
        cross_entropy(logits, product).backward()
        optimizer.step()
        optimizer.zero_grad()
    clips, product = transcripts.draw(400)
    scores = network.eval()(clips).text @ transcripts.products.T
    return float((scores.argmax(1) == product).float().mean())


def test_it_learns_the_effect_of_a_denial() -> None:
    torch.manual_seed(0)
    transcripts = Transcripts()
    assert train_accuracy(transcripts, TextPooling(DIM)) < 0.65
    assert train_accuracy(transcripts, TextContext(DIM), TextPooling(DIM)) > 0.9


def test_the_reranker_uses_the_words_with_context() -> None:
    torch.manual_seed(0)
    parts = Parts(DIM, PartsConfig(("text_context", "fusion"))).eval()
    parts.text_context, tokens = build_text_context(), draw_tokens()
    words = parts.encode_clips(tokens).tokens[:, -tokens.words.shape[1] :]
    assert torch.equal(words, parts.contextualize(tokens).words)
    assert (words - tokens.words).abs().max() > 0.1
