"""Tokens of any tokenizer are merged into whole words with the sum of their weights."""

from __future__ import annotations

from typing import Any

import pytest

from sgmn.model.inputs import Preprocessor
from sgmn.model.word_spans import weigh_words

SPECIAL_TOKENS = ["[PAD]", "[BOS]", "[EOS]", "[UNK]"]


def number_tokens(pieces: list[str]) -> dict[str, int]:
    return {piece: number for number, piece in enumerate([*SPECIAL_TOKENS, *pieces])}


def build_wordpiece_model() -> Any:
    """A tokenizer that splits words into pieces with "##"."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    pieces = ["red", "jam", "##my", "jar", "红", "茶", "!"]
    tokenizer = Tokenizer(models.WordPiece(number_tokens(pieces)))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


def build_metaspace_model() -> Any:
    """A tokenizer that marks the start of words with "▁"."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

    pieces = ["▁", "▁red", "▁jam", "my", "▁jar", "红", "茶", "!", "▁Red", "J", "am"]
    scores = [(piece, -1.0) for piece in [*SPECIAL_TOKENS, *pieces]]
    tokenizer = Tokenizer(models.Unigram(scores, unk_id=3))
    tokenizer.normalizer = normalizers.Prepend("▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never", split=False)
    tokenizer.decoder = decoders.Metaspace()
    return tokenizer


def build_byte_model() -> Any:
    """A tokenizer that splits text into bytes."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(number_tokens(alphabet), []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return tokenizer


MODELS = {
    "wordpiece": build_wordpiece_model,
    "metaspace": build_metaspace_model,
    "bytes": build_byte_model,
}


def build_preprocessor(kind: str, max_tokens: int = 64) -> Preprocessor:
    from tokenizers import processors
    from transformers import PreTrainedTokenizerFast

    model = MODELS[kind]()
    model.post_processor = processors.TemplateProcessing(
        single="[BOS] $A [EOS]", special_tokens=[("[BOS]", 1), ("[EOS]", 2)]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=model,
        pad_token="[PAD]",
        bos_token="[BOS]",
        eos_token="[EOS]",
        unk_token="[UNK]",
    )
    return Preprocessor(((32, 32),), (0, 0, 0), tokenizer, max_tokens)


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("max_tokens", [5, 64])
def test_words_are_whole_with_any_tokenizer(kind: str, max_tokens: int) -> None:
    """Also for a long text in several pieces, each of which has special tokens."""
    preprocessor = build_preprocessor(kind, max_tokens)
    text = "Red  jammy jar! 红茶"
    token_count = int(preprocessor.tokenize_texts([text]).mask.sum())
    words = weigh_words(text, preprocessor, [1.0] * token_count)
    assert "".join(word.text for word in words) == "Redjammyjar!红茶"
    assert [word.text for word in words][:2] == ["Red", "jammy"]
    assert [word.text for word in words][-2:] == ["红", "茶"]
    assert sum(word.weight for word in words) == pytest.approx(1.0)


def test_the_weight_of_a_word_is_that_of_its_tokens() -> None:
    preprocessor = build_preprocessor("wordpiece")
    weights = [0.3, 0.1, 0.2, 0.1, 0.1, 0.2]  # BOS red jam ##my jar EOS
    words = weigh_words("Red jammy jar", preprocessor, weights)
    assert [word.text for word in words] == ["Red", "jammy", "jar"]
    assert [word.weight for word in words] == pytest.approx([0.2, 0.6, 0.2])


def test_words_without_weights_are_uniform() -> None:
    words = weigh_words("Red jammy jar", build_preprocessor("wordpiece"))
    assert [word.weight for word in words] == pytest.approx([1 / 3] * 3)
