"""Checkouts of the Grocery Store Dataset: both forms of its lists, and what is missing."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from sgmn.data.importers import grocery
from sgmn.data.importers.grocery import read_checkout
from sgmn.errors import RecordError
from tests.grocery import CLASSES, DESCRIPTIONS, PHOTOS_PER_CLASS, make_checkout


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return make_checkout(tmp_path)


def test_classes_have_their_images_and_descriptions(checkout: Path) -> None:
    classes = read_checkout(checkout).classes
    assert [(one.name, one.class_id) for one in classes.values()] == [
        (name, class_id) for class_id, name in enumerate(CLASSES)
    ]
    assert [one.description for one in classes.values()] == [*DESCRIPTIONS.values(), ""]
    assert classes[2].coarse_name == "Oat-Milk"
    assert all(one.image is not None and one.image.is_file() for one in classes.values())


@pytest.mark.parametrize("with_class_ids", [True, False])
@pytest.mark.parametrize("subfolder", ["", "dataset"])
def test_both_forms_of_the_lists_and_both_folders_are_read(
    tmp_path: Path, with_class_ids: bool, subfolder: str
) -> None:
    checkout = read_checkout(make_checkout(tmp_path, with_class_ids) / subfolder)
    assert checkout.root == tmp_path / "dataset"
    for split in grocery.SPLITS:
        photos = checkout.photos[split]
        assert len(photos) == len(CLASSES) * PHOTOS_PER_CLASS
        names = [checkout.classes[photo.class_id].name for photo in photos]
        assert names == [photo.path.parent.name for photo in photos]


def test_each_missing_or_misspelt_file_is_named(checkout: Path) -> None:
    (checkout / "dataset/iconic-images-and-descriptions/Plum/Plum/Plum_Iconic.jpg").unlink()
    result = read_checkout(checkout)
    issues = {issue.kind: str(issue) for issue in result.issues}
    assert len(result.issues) == len(issues) == 4
    assert "classes.csv:5: iconic image " in issues[grocery.MISSING_IMAGES]
    assert "classes.csv:5: description " in issues[grocery.MISSING_DESCRIPTIONS]
    corrected = issues[grocery.CORRECTED_DESCRIPTIONS]
    assert "classes.csv:3: " in corrected and "Green-Apple_Description.txt is used" in corrected
    assert "train.txt:13: " in issues[grocery.MISSING_PHOTOS]
    assert "Plum_099.jpg" in issues[grocery.MISSING_PHOTOS]
    assert result.classes[3].image is None


def test_photos_of_unknown_classes_are_left_out(checkout: Path) -> None:
    photo = "train/Plum/Plum/Plum_000.jpg"
    (checkout / "dataset" / "val.txt").write_text(f"{photo}, 9, 2\nval/Quince/1.jpg\n\n{photo}\n")
    result = read_checkout(checkout)
    assert [photo.class_id for photo in result.photos["val"]] == [3]
    assert Counter(issue.kind for issue in result.issues)[grocery.UNKNOWN_CLASSES] == 2


def test_descriptions_in_a_windows_encoding_are_read(checkout: Path) -> None:
    folder = checkout / "dataset/iconic-images-and-descriptions/Apple/Red-Apple"
    (folder / "Red-Apple_Description.txt").write_bytes("Äpple från Skåne".encode("cp1252"))
    assert read_checkout(checkout).classes[0].description == "Äpple från Skåne"


def test_another_folder_is_refused_with_the_files_it_lacks(checkout: Path) -> None:
    (checkout / "dataset" / "val.txt").unlink()
    with pytest.raises(RecordError, match=r"dataset: is not a checkout .*: val\.txt missing;"):
        read_checkout(checkout)
    with pytest.raises(RecordError, match=r"classes\.csv, train\.txt, val\.txt, test\.txt miss"):
        read_checkout(checkout / "nowhere")


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("classes.csv", "Coarse Class Name", "Group", r"classes\.csv: has no column 'Coarse Class"),
        ("classes.csv", "Plum,3", "Plum,three", r"classes\.csv:5: class id is 'three'; use a num"),
        ("classes.csv", "Plum,3", "Plum,0", r"classes\.csv:5: repeats class id 0"),
        ("classes.csv", "Plum,3", ",3", r"classes\.csv:5: 'Class Name \(str\)' is empty"),
        ("val.txt", "010.jpg, 0, 0", "010.jpg, 0", r"val\.txt:1: has 2 fields; write `path, class"),
        ("val.txt", "010.jpg, 0, 0", "010.jpg, x, 0", r"val\.txt:1: class id is 'x'"),
    ],
)
def test_invalid_lines_are_named(
    checkout: Path, file: str, old: str, new: str, message: str
) -> None:
    path = checkout / "dataset" / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(RecordError, match=message):
        read_checkout(checkout)
