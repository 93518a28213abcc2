"""SigLIP 2 gets texts as it was trained: lowercase, and padded on the right with its own token."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from torch.nn.functional import normalize

from sgmn.model import checkpoint
from sgmn.model.embedder import Embedder

SPECIAL = ("<pad>", "<eos>", "<bos>", "<unk>", "<mask>")
LETTERS = "▁abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
LENGTH = 16


def save_gemma_tokenizer(folder: Path) -> None:
    """Files as those of SigLIP 2: a tokenizer of Gemma, which adds <eos> and keeps capitals."""
    vocabulary = {token: number for number, token in enumerate([*SPECIAL, *LETTERS])}
    tokens = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="<unk>"))
    tokens.normalizer = normalizers.Replace(" ", "▁")
    tokens.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokens.add_special_tokens(list(SPECIAL))
    tokens.post_processor = processors.TemplateProcessing(
        single="$A <eos>", special_tokens=[("<eos>", 1)]
    )
    tokens.save(str(folder / "tokenizer.json"))
    names = {"pad_token": "<pad>", "eos_token": "<eos>", "bos_token": "<bos>", "unk_token": "<unk>"}
    config = names | {"tokenizer_class": "GemmaTokenizer", "model_max_length": 10**30}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


@pytest.fixture
def siglip2(backbone: Callable[[str], Path], tmp_path: Path) -> Path:
    """A tiny SigLIP 2, whose config does not state the padding, so that it is that of SigLIP."""
    folder = tmp_path / "siglip2"
    shutil.copytree(backbone("siglip"), folder)
    save_gemma_tokenizer(folder)
    config = json.loads((folder / "config.json").read_text())
    for name in ("pad_token_id", "bos_token_id", "eos_token_id"):
        del config["text_config"][name]
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize("saved", [False, True])
@torch.no_grad()
def test_texts_are_lowercase_and_padded_with_the_token_of_the_tokenizer(
    siglip2: Path, saved: bool, tmp_path: Path
) -> None:
    from transformers import AutoModel

    model = checkpoint.load(siglip2)
    if saved:
        checkpoint.save(model, tmp_path / "checkpoint")
        model = checkpoint.load(tmp_path / "checkpoint")
    letters = [[len(SPECIAL) + LETTERS.index(letter) for letter in word] for word in ("redab", "c")]
    padded = [[*ids, 1] + [0] * (LENGTH - 1 - len(ids)) for ids in letters]
    inputs = model.preprocessor.tokenize_texts(["RedAb", "c"])
    assert inputs.ids.tolist() == [row[:6] for row in padded]
    expected = AutoModel.from_pretrained(siglip2).eval()
    vectors = expected.get_text_features(input_ids=torch.tensor(padded)).pooler_output
    computed = Embedder(model).encode_texts(["RedAb", "c"]).pooled
    torch.testing.assert_close(computed, normalize(vectors, dim=-1), atol=1e-5, rtol=0)
