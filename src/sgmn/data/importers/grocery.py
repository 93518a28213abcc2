"""Reads a checkout of the Grocery Store Dataset (Klasson et al., WACV 2019).

    classes.csv                     the classes: name, id, coarse class, iconic image, description
    train.txt, val.txt, test.txt    one photo per line: `path, class id, coarse class id`

Older versions list the path alone; the class is then named by the folder of the photo.
Paths are relative to the folder `dataset` of the checkout.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from sgmn import jsonl
from sgmn.errors import RecordError

SPLITS = ("train", "val", "test")
CLASSES_FILE = "classes.csv"
NAME, CLASS_ID = "Class Name (str)", "Class ID (int)"
COARSE_NAME = "Coarse Class Name (str)"
IMAGE, DESCRIPTION = "Iconic Image Path (str)", "Product Description Path (str)"
COLUMNS = (NAME, CLASS_ID, COARSE_NAME, IMAGE, DESCRIPTION)

MISSING_IMAGES, MISSING_PHOTOS = "missing iconic images", "missing photos"
MISSING_DESCRIPTIONS = "missing descriptions"
CORRECTED_DESCRIPTIONS = "corrected description paths"
UNKNOWN_CLASSES = "photos of unknown classes"


@dataclass(frozen=True, slots=True)
class FileIssue:
    """A file that is skipped, or used although the checkout names it wrongly.

    Attributes:
        kind: What is wrong, as a plural that can be counted, such as "missing photos".
        where: The line that names the file, as `file:line`.
        message: What is wrong with this file.
    """

    kind: str
    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


@dataclass(frozen=True, slots=True)
class GroceryClass:
    """A class of products: its iconic image, if the file exists, and its description, or ""."""

    class_id: int
    name: str
    coarse_name: str
    image: Path | None = None
    description: str = ""


@dataclass(frozen=True, slots=True)
class GroceryPhoto:
    """A photo of one product, and the line that lists it, as `file:line`."""

    path: Path
    class_id: int
    where: str


@dataclass(frozen=True, slots=True)
class GroceryCheckout:
    """The contents of a checkout whose files exist.

    Attributes:
        root: The folder with classes.csv.
        classes: By class id, in ascending order.
        photos: By split, in the order of the lists.
        issues: Files that are missing, or that the checkout names wrongly.
    """

    root: Path
    classes: Mapping[int, GroceryClass]
    photos: Mapping[str, tuple[GroceryPhoto, ...]]
    issues: tuple[FileIssue, ...]


def read_checkout(folder: Path) -> GroceryCheckout:
    """Read the classes and photo lists of a checkout. Photos are not opened.

    Args:
        folder: The folder of the repository, or its folder `dataset`.

    Raises:
        RecordError: `folder` is not a checkout, or a list cannot be parsed.
    """
    root = _find_root(Path(folder))
    issues: list[FileIssue] = []
    classes = _read_classes(root, issues)
    ids = {one.name: one.class_id for one in classes.values()}
    photos = {split: tuple(_read_photos(root, split, ids, issues)) for split in SPLITS}
    return GroceryCheckout(root, classes, photos, tuple(issues))


def _find_root(folder: Path) -> Path:
    root = folder / "dataset" if (folder / "dataset").is_dir() else folder
    names = (CLASSES_FILE, *(f"{split}.txt" for split in SPLITS))
    missing = [name for name in names if not (root / name).is_file()]
    if missing:
        raise RecordError(
            f"is not a checkout of the Grocery Store Dataset: {', '.join(missing)} missing",
            where=root,
            remedy="clone github.com/marcusklasson/GroceryStoreDataset and pass its folder",
        )
    return root


def _read_classes(root: Path, issues: list[FileIssue]) -> dict[int, GroceryClass]:
    path = root / CLASSES_FILE
    rows = csv.DictReader(StringIO(_decode(path.read_bytes()), newline=""))
    absent = [column for column in COLUMNS if column not in (rows.fieldnames or ())]
    if absent:
        remedy = "restore the header line of the original file"
        raise RecordError(f"has no column {absent[0]!r}", where=path, remedy=remedy)
    classes: dict[int, GroceryClass] = {}
    for row in rows:
        where = f"{path}:{rows.line_num}"
        parsed = _parse_class(row, root, where, issues)
        if parsed.class_id in classes:
            remedy = "give each class a unique id"
            raise RecordError(f"repeats class id {parsed.class_id}", where=where, remedy=remedy)
        classes[parsed.class_id] = parsed
    return dict(sorted(classes.items()))


def _parse_class(
    row: Mapping[str, str | None], root: Path, where: str, issues: list[FileIssue]
) -> GroceryClass:
    # DictReader sets None where a line is too short.
    cells = {column: (row[column] or "").strip() for column in COLUMNS}
    image = root / cells[IMAGE].lstrip("/")
    if not image.is_file():
        issues.append(FileIssue(MISSING_IMAGES, where, f"iconic image {image} does not exist"))
    if not cells[NAME]:
        raise RecordError(f"{NAME!r} is empty", where=where, remedy="name the class")
    return GroceryClass(
        class_id=_parse_id(cells[CLASS_ID], where),
        name=cells[NAME],
        coarse_name=cells[COARSE_NAME],
        image=image if image.is_file() else None,
        description=_read_description(root / cells[DESCRIPTION].lstrip("/"), image, where, issues),
    )


def _parse_id(text: str, where: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise RecordError(f"class id is {text!r}", where=where, remedy="use a number, such as 12")
    return int(text)


def _read_description(path: Path, image: Path, where: str, issues: list[FileIssue]) -> str:
    """Read a description. Some paths are misspelt or lack their suffix: look beside them too."""
    if path.is_file():
        return _decode(path.read_bytes())
    candidates = [
        candidate
        for folder in dict.fromkeys((path.parent, image.parent))
        for candidate in sorted(folder.glob("*_Description*.txt"))
        if "Swedish" not in candidate.name
    ]
    if not candidates:
        issues.append(FileIssue(MISSING_DESCRIPTIONS, where, f"description {path} does not exist"))
        return ""
    message = f"description {path} does not exist; {candidates[0].name} is used"
    issues.append(FileIssue(CORRECTED_DESCRIPTIONS, where, message))
    return _decode(candidates[0].read_bytes())


def _read_photos(
    root: Path, split: str, ids: Mapping[str, int], issues: list[FileIssue]
) -> Iterator[GroceryPhoto]:
    for where, line in jsonl.read_lines(root / f"{split}.txt"):
        fields = [field.strip() for field in _decode(line).split(",")]
        path = root / fields[0]
        if len(fields) not in (1, 3):
            remedy = "write `path, class id, coarse class id`, or the path alone"
            raise RecordError(f"has {len(fields)} fields", where=where, remedy=remedy)
        class_id = _parse_id(fields[1], where) if len(fields) == 3 else ids.get(path.parent.name)
        if class_id is None or class_id not in ids.values():
            message = f"the class of {path} is not in {CLASSES_FILE}"
            issues.append(FileIssue(UNKNOWN_CLASSES, where, message))
        elif not path.is_file():
            issues.append(FileIssue(MISSING_PHOTOS, where, f"photo {path} does not exist"))
        else:
            yield GroceryPhoto(path, class_id, where)


def _decode(data: bytes) -> str:
    """Decode UTF-8, or Latin text from Windows, which some descriptions are saved as."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")
