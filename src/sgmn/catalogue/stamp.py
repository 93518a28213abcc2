"""Which checkpoint made an index. Vectors of two checkpoints cannot be compared.

The stamp is the metadata of the table itself, so both appear in one commit: there is no
moment in which a killed process leaves a table without its stamp.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from sgmn.errors import IndexingError

FORMAT_VERSION = 2  # 2: with the tokens of the re-ranker
_KEY = b"sgmn"


@dataclass(frozen=True, slots=True)
class ModelStamp:
    """A checkpoint: sha256 `fingerprint`, width `dim` of its vectors, `name` for people."""

    fingerprint: str
    dim: int
    name: str = ""

    def __str__(self) -> str:
        shown = f"model {self.fingerprint[:12]} of width {self.dim}"
        return f"{self.name} ({shown})" if self.name else shown


def to_metadata(stamp: ModelStamp) -> dict[bytes, bytes]:
    """The stamp and the version of the format as metadata of a table's schema."""
    return {_KEY: json.dumps({"format_version": FORMAT_VERSION, **asdict(stamp)}).encode()}


def from_metadata(metadata: Mapping[bytes, bytes] | None, where: Path) -> ModelStamp:
    """The stamp of a table; IndexingError when it has none or a newer format."""
    try:
        written = json.loads((metadata or {})[_KEY])
        _require_known(int(written["format_version"]), where)
        return ModelStamp(written["fingerprint"], int(written["dim"]), written["name"])
    except (KeyError, TypeError, ValueError) as error:
        raise IndexingError(
            "is a table without the stamp of a model", where, "give a folder that sgmn indexed"
        ) from error


def _require_known(version: int, where: Path) -> None:
    if version > FORMAT_VERSION:
        raise IndexingError(
            f"has format {version}, and this sgmn reads up to {FORMAT_VERSION}",
            where,
            "update sgmn, or index again into a new folder",
        )
    if version < FORMAT_VERSION:
        raise IndexingError(
            f"has format {version}, and this sgmn writes {FORMAT_VERSION}",
            where,
            "index again into a new folder",
        )


def require_same(made_with: ModelStamp, given: ModelStamp, where: Path) -> None:
    """IndexingError unless both stamps are of one checkpoint; names may differ."""
    if (made_with.fingerprint, made_with.dim) != (given.fingerprint, given.dim):
        raise IndexingError(
            f"was made by {made_with}, and given is {given}",
            where,
            "load the model that made it, or index again into a new folder",
        )
