"""The model that built an index, and the text of products that it read.

Vectors of two models, or of two kinds of text, cannot be compared.

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
from sgmn.product_text import DEFAULT_TEXT_FIELDS, TextFields, parse_text_fields

if TYPE_CHECKING:
    from sgmn.model.embedder import Embedder

FORMAT_VERSION = 4  # 2 adds the re-ranker's tokens, 3 renames the vectors, 4 adds patches
_METADATA_KEY = b"sgmn"


@dataclass(frozen=True, slots=True)
class ModelStamp:
    """Identifies what built an index.

    Attributes:
        fingerprint: sha256 of the model.
        dim: The width of its vectors.
        name: The name to load it by.
        text_fields: What the text of a product consists of.
    """

    fingerprint: str
    dim: int
    name: str = ""
    text_fields: TextFields = DEFAULT_TEXT_FIELDS

    @classmethod
    def from_embedder(
        cls, embedder: Embedder, text_fields: TextFields = DEFAULT_TEXT_FIELDS
    ) -> ModelStamp:
        """The stamp of an embedder's model; the path of a model folder is stored as absolute."""
        name = embedder.model.name
        if name != "builtin" and (Path(name) / "config.json").is_file():
            name = str(Path(name).absolute())
        return cls(embedder.model.fingerprint(), embedder.dim, name, text_fields)

    def __str__(self) -> str:
        description = f"model {self.fingerprint[:12]} of width {self.dim}"
        return f"{self.name} ({description})" if self.name else description


def to_metadata(stamp: ModelStamp) -> dict[bytes, bytes]:
    """The stamp and the format version, as metadata of a table's schema."""
    content = {"format_version": FORMAT_VERSION, **asdict(stamp)}
    return {_METADATA_KEY: json.dumps(content).encode()}


def from_metadata(metadata: Mapping[bytes, bytes] | None, path: object) -> ModelStamp:
    """The stamp of the table at `path`.

    Raises IndexingError if the table has no stamp or another format version.
    """
    try:
        content = json.loads((metadata or {})[_METADATA_KEY])
        _require_supported(int(content["format_version"]), path)
        text_fields = parse_text_fields(content.get("text_fields", DEFAULT_TEXT_FIELDS), path)
        fingerprint, dim, name = content["fingerprint"], int(content["dim"]), content["name"]
        return ModelStamp(fingerprint, dim, name, text_fields)
    except (KeyError, TypeError, ValueError) as error:
        raise IndexingError(
            "is a table without a model stamp", path, "pass a folder that `sgmn index` created"
        ) from error


def _require_supported(version: int, path: object) -> None:
    if version == FORMAT_VERSION:
        return
    advice = "index again into a new folder"
    raise IndexingError(
        f"has index format {version}, but this version of sgmn uses format {FORMAT_VERSION}",
        path,
        f"update sgmn, or {advice}" if version > FORMAT_VERSION else advice,
    )


def require_match(
    index_stamp: ModelStamp,
    model_stamp: ModelStamp,
    path: object,
    remedy: str = "load the model that built it, or index again into a new folder",
) -> None:
    """Raise IndexingError unless both stamps identify the same model; names may differ."""
    expected = (index_stamp.fingerprint, index_stamp.dim)
    if expected != (model_stamp.fingerprint, model_stamp.dim):
        raise IndexingError(
            f"was built by {index_stamp}, but the model in use is {model_stamp}",
            path,
            remedy,
        )


def require_text_fields(index_stamp: ModelStamp, text_fields: TextFields, path: object) -> None:
    """Raise IndexingError unless the products of an index have the text that is asked for."""
    if index_stamp.text_fields != text_fields:
        raise IndexingError(
            f"was built with the text {index_stamp.text_fields!r}, not {text_fields!r}",
            path,
            "leave out --text (text_fields=None), or index again into a new folder",
        )
