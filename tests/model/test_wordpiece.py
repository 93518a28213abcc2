"""The tokenizer of BERT gives the same tokens as that of `transformers`, and errors name a file."""

from __future__ import annotations

import json
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sgmn.errors import CheckpointError
from sgmn.model import backbones
from sgmn.model.wordpiece import WordPieceTokenizer, read_tokenizer

MINILM = backbones.find_minilm_folder()
TEXTS = [
    "red milk",
    "  two  spaces\tand a tab ",
    "Café über Ñandú, İstanbul",
    "👩‍👩‍👧 a family 🎉🎉🇫🇷",
    "中文字符 mixed with 日本語 and 한국어",
    "مرحبا हिन्दी ไทย",
    "[MASK] and [CLS] as text",
    "don't stop-me now!!! $5.99 / 50%",
    "a" * 300,
    " ".join(f"word{n}" for n in range(900)),
    "\u200b",
    "\x00\ufffd\u0301",
    "soft\u00adhyphen e\u0301 ﬁ ½",
]
OPTIONS: dict[str, Any] = {
    "truncation": True,
    "padding": True,
    "return_overflowing_tokens": True,
    "return_offsets_mapping": True,
    "return_tensors": "pt",
}


@cache
def load_pair() -> tuple[WordPieceTokenizer, Any]:
    """The tokenizer of MiniLM, and that of `transformers`."""
    from transformers import AutoTokenizer

    tokenizer = backbones.load_tokenizer(MINILM)
    assert isinstance(tokenizer, WordPieceTokenizer)
    return tokenizer, AutoTokenizer.from_pretrained(str(MINILM))


def require_equal(texts: list[str], max_length: int) -> None:
    found, expected = (t(texts, max_length=max_length, **OPTIONS) for t in load_pair())
    assert len(expected["input_ids"]) >= len(texts)
    for name, values in found.items():
        assert torch.equal(values, expected[name]), name


@pytest.mark.parametrize("max_length", [5, 16, 256])
def test_tokens_and_offsets_equal_those_of_transformers(max_length: int) -> None:
    require_equal(TEXTS, max_length)
    for text in TEXTS:
        require_equal([text], max_length)


@given(st.lists(st.text(min_size=1, max_size=80), min_size=1, max_size=4), st.integers(3, 20))
def test_tokens_of_any_text_equal_those_of_transformers(texts: list[str], max_length: int) -> None:
    require_equal(texts, max_length)


@pytest.mark.parametrize("text", ["", *TEXTS])
def test_a_single_text_gives_lists(text: str) -> None:
    tokenizer, reference = load_pair()
    for special in (True, False):
        options = {"truncation": False, "add_special_tokens": special}
        found, expected = tokenizer(text, **options), reference(text, **options)  # type: ignore[arg-type]
        assert found["input_ids"] == expected["input_ids"]


def test_properties_equal_those_of_transformers() -> None:
    tokenizer, reference = load_pair()
    assert tokenizer.model_max_length == reference.model_max_length
    assert tokenizer.pad_token_id == reference.pad_token_id
    assert sorted(tokenizer.all_special_ids) == sorted(reference.all_special_ids)


def test_a_saved_tokenizer_loads_in_both_ways(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer, reference = load_pair()
    tokenizer(TEXTS, max_length=7, truncation=True)  # a stored tokenizer keeps no such length
    tokenizer.save_pretrained(str(tmp_path / "ours"))
    reference.save_pretrained(tmp_path / "theirs")
    for name in ("ours", "theirs"):
        loaded = backbones.load_tokenizer(tmp_path / name)
        assert isinstance(loaded, WordPieceTokenizer)
        again = AutoTokenizer.from_pretrained(tmp_path / name)
        assert loaded(TEXTS)["input_ids"] == again(TEXTS)["input_ids"]
        assert loaded(TEXTS)["input_ids"] == reference(TEXTS)["input_ids"]
        assert loaded.model_max_length == again.model_max_length == 512


def copy_minilm(folder: Path, **config: Any) -> Path:
    """The tokenizer of MiniLM in `folder`, with changes of tokenizer_config.json."""
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(MINILM / name, folder / name)
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | config))
    return folder


@pytest.mark.parametrize(
    "config",
    [{"tokenizer_class": "CLIPTokenizer"}, {"do_lower_case": False}, {"strip_accents": True}],
)
def test_other_tokenizers_are_left_to_transformers(config: dict[str, Any], tmp_path: Path) -> None:
    assert read_tokenizer(copy_minilm(tmp_path)) is not None
    assert read_tokenizer(copy_minilm(tmp_path, **config)) is None


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json"])
@pytest.mark.parametrize("content", ["{", "[]", ""])
def test_an_error_names_a_damaged_file(name: str, content: str, tmp_path: Path) -> None:
    (copy_minilm(tmp_path) / name).write_text(content)
    with pytest.raises(CheckpointError, match="restore the file") as raised:
        read_tokenizer(tmp_path)
    assert str(tmp_path / name) in str(raised.value) and "\n" not in str(raised.value)
