"""A cache of encoded clips and products on disk, for runs with frozen towers.

Each example passes through the towers once; a training step on the parts above them then takes a
fraction of the time.

Every example and variant is a file named by a hash of all that determines its content: the
towers' weights, the media files, and how they are sampled and augmented. An entry is therefore
never stale. An interrupted run resumes where it stopped, and several runs may share a cache.
Vectors are float16 and memory-mapped when read.
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
from sgmn.model.tokens import ItemTokens

_VERSION = 2


def hash_towers(model: Model) -> str:
    """Hash the weights and the input format of the towers, not the parts above them."""
    digest = hashlib.sha256()
    config = model.network.config
    inputs = (config.canvases, config.mean, config.std, config.max_tokens)
    digest.update(repr((_VERSION, config.family, config.towers, *inputs)).encode())
    for name, tensor in sorted(model.network.towers.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().float().contiguous().numpy().tobytes())
    return digest.hexdigest()


@lru_cache(maxsize=100_000)
def hash_file(path: Path) -> str:
    """Hash the content of a file, or of all files of a folder; "" if the path does not exist."""
    if path.is_dir():
        inner = sorted(file for file in path.iterdir() if file.is_file())
        return hashlib.sha256("".join(map(hash_file, inner)).encode()).hexdigest()
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class TokenCache:
    """The cache in a folder, for the towers with the hash `towers_hash`."""

    folder: Path
    towers_hash: str

    def entry_name(self, files: Iterable[Path], *facts: Any) -> str:
        """Return the name of an entry: a hash of its files' contents and of `facts`.

        facts: everything else that determines the content; compared by `repr`.
        """
        parts = [self.towers_hash, *map(hash_file, files), *map(repr, facts)]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def entry_path(self, name: str) -> Path:
        """Return the file of an entry."""
        return self.folder / name[:2] / f"{name}.safetensors"

    def write(self, names: Iterable[str], tokens: ItemTokens) -> None:
        """Write the rows of `tokens` as entries; each file is replaced atomically."""
        for row, name in enumerate(names):
            path = self.entry_path(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            draft = path.with_suffix(".part")
            save_file(_compact(tokens[row : row + 1]), draft)
            draft.replace(path)

    def read(self, names: Iterable[str]) -> ItemTokens:
        """Read entries as rows, in float32. Raises CheckpointError for a damaged file."""
        return ItemTokens.cat(self._read_entry(self.entry_path(name)) for name in names)

    def read_or_empty(self, names: Iterable[str], dim: int) -> ItemTokens:
        """Read entries as rows; an entry that does not exist is a row without images and text."""
        paths = [self.entry_path(name) for name in names]
        blank = empty_tokens(dim)
        return ItemTokens.cat(self._read_entry(p) if p.exists() else blank for p in paths)

    def _read_entry(self, path: Path) -> ItemTokens:
        try:
            with safe_open(path, "pt") as file:
                tensors = [file.get_tensor(field.name) for field in fields(ItemTokens)]
        except (OSError, SafetensorError) as error:
            raise CheckpointError(
                f"damaged cache entry ({error})",
                path,
                "delete the file; the next run encodes it again",
            ) from error
        return ItemTokens(*(t.float() if t.is_floating_point() else t for t in tensors))


def _compact(tokens: ItemTokens) -> dict[str, Tensor]:
    """Remove the padding of a single row and convert its vectors to float16."""
    row = trim_padding(tokens)
    tensors = {field.name: getattr(row, field.name) for field in fields(ItemTokens)}
    return {
        name: (tensor.half() if tensor.is_floating_point() else tensor).contiguous()
        for name, tensor in tensors.items()
    }


def empty_tokens(dim: int) -> ItemTokens:
    """Return one row without images and text."""
    rows, no = torch.zeros(1, 0, dim), torch.zeros(1, dtype=torch.bool)
    mask = rows[..., 0] > 0
    patches = rows.unsqueeze(2)
    return ItemTokens(rows, mask, patches, patches[..., 0] > 0, rows, mask, torch.zeros(1, dim), no)


def trim_padding(tokens: ItemTokens) -> ItemTokens:
    """Remove the frames, patches and words that are padding in every row."""
    frames = _used_length(tokens.image_mask)
    patches = _used_length(tokens.patch_mask.flatten(0, 1))
    words = _used_length(tokens.word_mask)
    return ItemTokens(
        tokens.images[:, :frames],
        tokens.image_mask[:, :frames],
        tokens.patches[:, :frames, :patches],
        tokens.patch_mask[:, :frames, :patches],
        tokens.words[:, :words],
        tokens.word_mask[:, :words],
        tokens.text,
        tokens.has_text,
    )


def _used_length(mask: Tensor) -> int:
    """Return the length up to which some row of a mask (M, N) is True."""
    used = mask.any(0).nonzero()
    return int(used.max()) + 1 if len(used) else 0
