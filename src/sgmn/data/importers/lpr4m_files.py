"""Finds and reads the annotation files of LPR4M."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sgmn.data.importers.lpr4m import split_cells
from sgmn.errors import RecordError, error_reason

TRAINING_FILES = ("training_videoinfo_*.txt", "training_videoinfo_full_part_[0-9][0-9]")
_REMEDY = "download the annotations of LPR4M again, or pass another folder"


@dataclass(frozen=True, slots=True)
class Lpr4mFiles:
    """The annotation files of LPR4M in a folder.

    Attributes:
        training: Files of training rows, sorted by name; the test set does not need them.
        truths: JSON of the true images of each test video; None without a test set.
        galleries: JSON of the images of each live.
        boxes: JSON of the boxes of test frames, if there is one.
        transcripts: Transcripts of the test videos, if there are any.
        titles: Titles of the test images, if there are any.
    """

    training: tuple[Path, ...]
    truths: Path | None
    galleries: Path | None
    boxes: Path | None
    transcripts: Path | None
    titles: Path | None

    @property
    def all(self) -> list[Path]:
        """All files that exist."""
        test = (self.truths, self.galleries, self.boxes, self.transcripts, self.titles)
        return [*self.training, *(path for path in test if path is not None)]


def find_files(source: Path) -> Lpr4mFiles:
    """Find the annotations in a folder or in its folder `annotations`.

    Raises RecordError if there are neither training files nor a complete test set.
    """
    folders = [folder for folder in (source, source / "annotations") if folder.is_dir()]
    training = {p for f in folders for pattern in TRAINING_FILES for p in f.glob(pattern)}
    files = Lpr4mFiles(
        training=tuple(sorted(training)),
        truths=_find_one(folders, "test_videoid_to_gtimage_*.json"),
        galleries=_find_one(folders, "test_liveid_to_gallery_*.json"),
        boxes=_find_one(folders, "test_frameid2gtbox_*.json"),
        transcripts=_find_one(folders, "test_videoid_asr_*.txt"),
        titles=_find_one(folders, "test_image_title_*.txt"),
    )
    if not files.training and files.truths is None:
        message = "holds no training_videoinfo_* and no test_videoid_to_gtimage_*.json"
        raise RecordError(message, where=source, remedy=_REMEDY)
    if files.truths is not None and files.galleries is None:
        message = "holds a test set without test_liveid_to_gallery_*.json"
        raise RecordError(message, where=source, remedy=_REMEDY)
    return files


def _find_one(folders: list[Path], pattern: str) -> Path | None:
    found = sorted(path for folder in folders for path in folder.glob(pattern))
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        message = f"holds several files {pattern}: {names}"
        raise RecordError(message, where=folders[0], remedy="keep one of them")
    return found[0] if found else None


def read_mapping(path: Path) -> dict[str, Any]:
    """Read a JSON object. Raises RecordError."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        message = f"cannot be read as JSON ({error_reason(error)})"
        raise RecordError(message, where=path, remedy=_REMEDY) from error
    if not isinstance(value, dict):
        raise RecordError("is not a JSON object", where=path, remedy=_REMEDY)
    return value


def read_id_lists(path: Path) -> dict[str, list[str]]:
    """Read a JSON object of lists of ids. Raises RecordError for anything else."""
    value = read_mapping(path)
    for key, ids in value.items():
        if not isinstance(ids, list) or not all(isinstance(name, str) and name for name in ids):
            raise RecordError(
                f"has no list of ids for {key!r}", where=path, remedy="write a list of strings"
            )
    return value


def read_texts(path: Path | None) -> dict[str, str]:
    """Read lines of an id and a text; empty without a file. Raises RecordError."""
    return {} if path is None else dict(_read_pairs(path))


def _read_pairs(path: Path) -> Iterator[tuple[str, str]]:
    with path.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                name, text = split_cells(line, 2, f"{path}:{number}")
                yield name, text
