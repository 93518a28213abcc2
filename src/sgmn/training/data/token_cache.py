"""Clips and products after the towers, on disk: with the towers held still, each goes through
them once, and a step on what stands above them takes a fraction of the time.

A file an item and variant, named by a hash of all that decides its content: the towers' weights,
the media files, how they are sampled and worn. So a cache never goes stale; it is filled where
it lacks something, goes on where it was killed, and may be shared by runs. Vectors are float16
and mapped into memory when read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from sgmn.errors import CheckpointError
from sgmn.model.bundle import Model
from sgmn.model.tokens import Tokens

_VERSION = 1


def towers_hash(model: Model) -> str:
    """Of the weights and the input of the towers; what stands above them does not matter."""
    digest = hashlib.sha256()
    config = model.network.config
    shape = (config.canvases, config.mean, config.std, config.max_tokens)
    digest.update(repr((_VERSION, config.family, config.towers, *shape)).encode())
    for name, tensor in sorted(model.network.towers.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().float().contiguous().numpy().tobytes())
    return digest.hexdigest()


@lru_cache(maxsize=100_000)
def file_hash(path: Path) -> str:
    """Of the content of a file, or of all files of a folder; "" where there is none."""
    if path.is_dir():
        inner = sorted(file for file in path.iterdir() if file.is_file())
        return hashlib.sha256("".join(map(file_hash, inner)).encode()).hexdigest()
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class TokenCache:
    """The cache in a folder for one pair of towers, `towers` their hash."""

    folder: Path
    towers: str

    def name(self, files: Iterable[Path], *facts: Any) -> str:
        """The name of an item: of its files' contents and of all facts that shaped it."""
        told = [self.towers, *map(file_hash, files), *map(repr, facts)]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()

    def path(self, name: str) -> Path:
        """Where an item lies."""
        return self.folder / name[:2] / f"{name}.safetensors"

    def write(self, names: Iterable[str], tokens: Tokens) -> None:
        """Keep the rows of some items; each file appears whole or not at all."""
        for row, name in enumerate(names):
            path = self.path(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            draft = path.with_suffix(".part")
            save_file(_stored(tokens[row : row + 1]), draft)
            draft.replace(path)

    def read(self, names: Iterable[str]) -> Tokens:
        """The rows of some items, in float32. Raises CheckpointError for a damaged file."""
        return Tokens.cat(self._one(self.path(name)) for name in names)

    def read_or_empty(self, names: Iterable[str], dim: int) -> Tokens:
        """The same, and a row that shows and says nothing for what is not in the cache."""
        there = [(name, self.path(name).exists()) for name in names]
        nothing = empty(dim)
        return Tokens.cat(self._one(self.path(n)) if has else nothing for n, has in there)

    def _one(self, path: Path) -> Tokens:
        try:
            with safe_open(path, "pt") as file:
                held = [file.get_tensor(field.name) for field in fields(Tokens)]
        except (OSError, SafetensorError) as error:
            raise CheckpointError(
                f"is damaged ({error})", path, "remove the file; the next run makes it again"
            ) from error
        return Tokens(*(t.float() if t.is_floating_point() else t for t in held))


def _stored(tokens: Tokens) -> dict[str, Tensor]:
    """What is padding in this row alone is cut off, then halved in precision."""
    row = trimmed(tokens)
    return {
        field.name: (t.half() if t.is_floating_point() else t).contiguous()
        for field in fields(Tokens)
        for t in [getattr(row, field.name)]
    }


def empty(dim: int) -> Tokens:
    """One row without pictures and words."""
    rows, no = torch.zeros(1, 0, dim), torch.zeros(1, dtype=torch.bool)
    mask = rows[..., 0] > 0
    patches = rows.unsqueeze(2)
    return Tokens(rows, mask, patches, patches[..., 0] > 0, rows, mask, torch.zeros(1, dim), no)


def trimmed(tokens: Tokens) -> Tokens:
    """The same without the frames, patches and words that are padding in every row."""
    frames = _longest(tokens.present)
    patches = _longest(tokens.patch_mask.flatten(0, 1))
    words = _longest(tokens.word_mask)
    return Tokens(
        tokens.whole[:, :frames],
        tokens.present[:, :frames],
        tokens.patches[:, :frames, :patches],
        tokens.patch_mask[:, :frames, :patches],
        tokens.words[:, :words],
        tokens.word_mask[:, :words],
        tokens.said,
        tokens.has_words,
    )


def _longest(mask: Tensor) -> int:
    """Up to which place some row (M, N) has anything."""
    there = mask.any(0).nonzero()
    return int(there.max()) + 1 if len(there) else 0
