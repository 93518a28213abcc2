"""The model that built an index. Vectors of two models cannot be compared.

The stamp is stored in the metadata of the table itself. Table and stamp therefore appear in one
commit, and a killed process never leaves a table without a stamp.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sgmn.errors import IndexingError

if TYPE_CHECKING:
    from sgmn.model.embedder import Embedder

FORMAT_VERSION = 3  # 2 adds the re-ranker's tokens, 3 renames the vector columns
_METADATA_KEY = b"sgmn"


@dataclass(frozen=True, slots=True)
class ModelStamp:
    """Identifies a model: sha256 `fingerprint`, vector width `dim`, and `name` to load it by."""

    fingerprint: str
    dim: int
    name: str = ""

    @classmethod
    def from_embedder(cls, embedder: Embedder) -> ModelStamp:
        """The stamp of an embedder's model; the path of a model folder is stored as absolute."""
        name = embedder.model.name
        if name != "builtin" and (Path(name) / "config.json").is_file():
            name = str(Path(name).absolute())
        return cls(embedder.model.fingerprint(), embedder.dim, name)

    def __str__(self) -> str:
        description = f"model {self.fingerprint[:12]} of width {self.dim}"
        return f"{self.name} ({description})" if self.name else description


def to_metadata(stamp: ModelStamp) -> dict[bytes, bytes]:
    """The stamp and the format version, as metadata of a table's schema."""
    content = {"format_version": FORMAT_VERSION, **asdict(stamp)}
    return {_METADATA_KEY: json.dumps(content).encode()}


def from_metadata(metadata: Mapping[bytes, bytes] | None, path: Path) -> ModelStamp:
    """The stamp of the table at `path`.

    Raises IndexingError if the table has no stamp or another format version.
    """
    try:
        content = json.loads((metadata or {})[_METADATA_KEY])
        _require_supported(int(content["format_version"]), path)
        return ModelStamp(content["fingerprint"], int(content["dim"]), content["name"])
    except (KeyError, TypeError, ValueError) as error:
        raise IndexingError(
            "is a table without a model stamp", path, "pass a folder that `sgmn index` created"
        ) from error


def _require_supported(version: int, path: Path) -> None:
    if version == FORMAT_VERSION:
        return
    advice = "index again into a new folder"
    raise IndexingError(
        f"has index format {version}, but this version of sgmn uses format {FORMAT_VERSION}",
        path,
        f"update sgmn, or {advice}" if version > FORMAT_VERSION else advice,
    )


def require_match(index_stamp: ModelStamp, model_stamp: ModelStamp, path: Path) -> None:
    """Raise IndexingError unless both stamps identify the same model; names may differ."""
    expected = (index_stamp.fingerprint, index_stamp.dim)
    if expected != (model_stamp.fingerprint, model_stamp.dim):
        raise IndexingError(
            f"was built by {index_stamp}, but the model in use is {model_stamp}",
            path,
            "load the model that built it, or index again into a new folder",
        )
