"""A cache of encoded clips and products on disk, for runs with frozen towers.

Each example passes through the towers once; a training step on the parts above them then takes a
fraction of the time.

Every example and variant is a file named by a hash of all that determines its content: the
towers' weights, the media files, and how they are sampled and augmented. An entry is therefore
never stale. An interrupted run resumes where it stopped, and several runs may share a cache.
Vectors are float16.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import Tensor

from sgmn import tar_member
from sgmn.errors import CheckpointError
from sgmn.model.bundle import ModelBundle
from sgmn.model.tokens import ItemTokens, TensorRows
from sgmn.training.data.examples import Key
from sgmn.training.data.grounding_labels import GroundingLabels

R = TypeVar("R", bound=TensorRows)

_VERSION = 5
LABEL_PREFIX = "label."


def hash_towers(model: ModelBundle) -> str:
    """Hash what entries depend on: the towers, and the guidance if it directs second glances."""
    digest = hashlib.sha256()
    config = model.network.config
    inputs = (config.canvases, config.mean, config.std, config.max_tokens)
    closer = () if config.fine_canvas is None else (config.fine_canvas,)  # others keep their hash
    digest.update(repr((_VERSION, config.family, config.towers, *inputs, *closer)).encode())
    weights = dict(model.network.towers.state_dict())
    if model.network.parts.glance is not None:
        weights |= {
            f"guidance.{n}": t for n, t in model.network.parts.guidance.state_dict().items()
        }
    for name, tensor in sorted(weights.items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().float().contiguous().numpy().tobytes())
    return digest.hexdigest()


@lru_cache(maxsize=100_000)
def hash_file(path: Path) -> str:
    """Hash the content of a file, or of all files of a folder; "" if the path does not exist."""
    member = tar_member.parse_path(path)
    if member is not None:
        return hashlib.sha256(member.read()).hexdigest() if member.exists() else ""
    if path.is_dir():
        inner = sorted(file for file in path.iterdir() if file.is_file())
        return hashlib.sha256("".join(map(hash_file, inner)).encode()).hexdigest()
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class CachedEntry(NamedTuple):
    """One clip or product, and what the cache knows about it.

    Attributes:
        tokens: a single row.
        labels: of the same row; they say nothing for an entry without labels.
        key: the product that a counterfactual is about.
    """

    tokens: ItemTokens
    labels: GroundingLabels
    key: Key | None


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

    def write(
        self,
        name: str,
        tokens: ItemTokens,
        labels: GroundingLabels | None = None,
        key: Key | None = None,
    ) -> None:
        """Write an entry; its file is replaced atomically.

        Args:
            name: see `entry_name`.
            tokens: a single row.
            labels: of the same row, without padding.
            key: the product that a counterfactual is about.
        """
        path = self.entry_path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".part")
        metadata = None if key is None else {"shop_id": key[0], "product_id": key[1]}
        save_file(_compact(tokens, labels), draft, metadata)
        draft.replace(path)

    def read(self, name: str) -> CachedEntry:
        """Read an entry, in float16. Raises CheckpointError for a damaged file."""
        path = self.entry_path(name)
        try:
            content = path.read_bytes()  # a third of the time of `safe_open` for many small tensors
            tensors, metadata = load(content), _read_metadata(content)
            tokens = _read_rows(ItemTokens, tensors, "")
            if LABEL_PREFIX + "visible" in tensors:
                labels = _read_rows(GroundingLabels, tensors, LABEL_PREFIX)
            else:
                labels = no_labels(tokens)
        except (OSError, SafetensorError, KeyError) as error:
            raise CheckpointError(
                f"damaged cache entry ({error})",
                path,
                "delete the file; the next run encodes it again",
            ) from error
        key = (metadata["shop_id"], metadata["product_id"]) if metadata else None
        return CachedEntry(tokens, labels, key)

    def read_tokens(self, names: Iterable[str]) -> ItemTokens:
        """Read the tokens of entries as rows, in float32."""
        return to_float32(ItemTokens.cat(self.read(name).tokens for name in names))

    def read_or_empty(self, names: Iterable[str], dim: int) -> ItemTokens:
        """Read entries as rows; an entry that does not exist is a row without images and text."""
        blank = empty_tokens(dim).map_tensors(_shorten)
        return to_float32(
            ItemTokens.cat(
                self.read(name).tokens if self.entry_path(name).exists() else blank
                for name in names
            )
        )


def to_float32(rows: R) -> R:
    """Convert the vectors of rows."""
    return rows.map_tensors(lambda t: t.float() if t.is_floating_point() else t)


def _shorten(tensor: Tensor) -> Tensor:
    return tensor.half() if tensor.is_floating_point() else tensor


def _read_metadata(content: bytes) -> dict[str, str]:
    """Return the metadata in the header of a file, which `load` leaves out."""
    header = content[8 : 8 + int.from_bytes(content[:8], "little")]
    if b"__metadata__" not in header:
        return {}
    return cast(dict[str, str], json.loads(header)["__metadata__"])


def _read_rows(kind: type[R], tensors: Mapping[str, Tensor], prefix: str) -> R:
    return kind(*(tensors[prefix + field.name] for field in fields(cast(Any, kind))))


def no_labels(tokens: ItemTokens) -> GroundingLabels:
    """Return labels of tokens that say nothing."""
    boxes = torch.zeros(*tokens.image_mask.shape, 4)
    no = torch.zeros_like
    return GroundingLabels(no(tokens.patch_mask), no(tokens.image_mask), boxes)


def _compact(tokens: ItemTokens, labels: GroundingLabels | None) -> dict[str, Tensor]:
    """Remove the padding of a single row and convert its vectors to float16."""
    row = trim_padding(tokens)
    tensors = {name: _shorten(tensor) for name, tensor in _named_tensors(row)}
    if labels is not None:
        tensors |= {LABEL_PREFIX + name: tensor for name, tensor in _named_tensors(labels)}
    return {name: tensor.contiguous() for name, tensor in tensors.items()}


def _named_tensors(rows: TensorRows) -> list[tuple[str, Tensor]]:
    return [(field.name, getattr(rows, field.name)) for field in fields(cast(Any, rows))]


def empty_tokens(dim: int) -> ItemTokens:
    """Return one row without images and text."""
    rows, no = torch.zeros(1, 0, dim), torch.zeros(1, dtype=torch.bool)
    mask = rows[..., 0] > 0
    patches = rows.unsqueeze(2)[:, :, :0]
    images = rows, mask, patches, patches[..., 0] > 0, patches[..., :2]
    return ItemTokens(*images, rows, mask, torch.zeros(1, dim), no)


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
        tokens.patch_positions[:, :frames, :patches],
        tokens.words[:, :words],
        tokens.word_mask[:, :words],
        tokens.text,
        tokens.has_text,
        tokens.glances,
        tokens.glance_patches,
        tokens.glance_frames,
        tokens.glance_mask,
    )


def _used_length(mask: Tensor) -> int:
    """Return the length up to which some row of a mask (M, N) is True."""
    used = mask.any(0).nonzero()
    return int(used.max()) + 1 if len(used) else 0
