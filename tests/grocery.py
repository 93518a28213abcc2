"""A tiny checkout in the format of the Grocery Store Dataset: four classes of drawn photos."""

from __future__ import annotations

from pathlib import Path

from tests.world import make_image

CLASSES = {  # name: coarse class, color
    "Red-Apple": ("Apple", (200, 30, 30)),
    "Green-Apple": ("Apple", (30, 200, 30)),
    "Blue-Oat-Milk": ("Oat-Milk", (30, 30, 200)),
    "Plum": ("Plum", (120, 30, 120)),
}
DESCRIPTIONS = {
    "Red-Apple": "Red Apple, sweet and firm. It is good for baking a pie.",
    "Green-Apple": "The green apple is sour, and keeps for weeks.",
    "Blue-Oat-Milk": "Made of oats from the north of the country.",
}
PHOTOS_PER_CLASS = 3
COARSE_NAMES = tuple(dict.fromkeys(coarse for coarse, _ in CLASSES.values()))
HEADER = (
    "Class Name (str),Class ID (int),Coarse Class Name (str),Coarse Class ID (int),"
    "Iconic Image Path (str),Product Description Path (str)"
)


def make_checkout(folder: Path, with_class_ids: bool = True) -> Path:
    """Write a checkout and return its folder.

    The description of Plum is missing, and the path of that of Green-Apple lacks its suffix.
    train.txt lists a photo that does not exist.
    """
    root = folder / "dataset"
    rows = [HEADER]
    lists: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    for class_id, name in enumerate(CLASSES):
        rows.append(_write_class(root, class_id, name))
        for number, split in enumerate(lists):
            for view in range(PHOTOS_PER_CLASS):
                line = _write_photo(root, split, class_id, 10 * number + view)
                lists[split].append(line if with_class_ids else line.split(",")[0])
    missing = "train/Plum/Plum/Plum_099.jpg"
    lists["train"].append(f"{missing}, 3, 2" if with_class_ids else missing)
    (root / "classes.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    for split, lines in lists.items():
        (root / f"{split}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def _write_class(root: Path, class_id: int, name: str) -> str:
    """Write the iconic image and the description, and return the line of classes.csv."""
    coarse, color = CLASSES[name]
    stem = f"iconic-images-and-descriptions/{coarse}/{name}/{name}"
    (root / stem).parent.mkdir(parents=True)
    make_image(color, class_id).save(root / f"{stem}_Iconic.jpg")
    if name in DESCRIPTIONS:
        text = DESCRIPTIONS[name]
        (root / f"{stem}_Description.txt").write_text(text, encoding="utf-8")
    (root / f"{stem}_Description_Swedish.txt").write_text("På svenska.", encoding="utf-8")
    suffix = "" if name == "Green-Apple" else ".txt"
    coarse_id = COARSE_NAMES.index(coarse)
    return f"{name},{class_id},{coarse},{coarse_id},/{stem}_Iconic.jpg,/{stem}_Description{suffix}"


def _write_photo(root: Path, split: str, class_id: int, number: int) -> str:
    """Write a photo and return its line in the list of its split."""
    name = list(CLASSES)[class_id]
    coarse, color = CLASSES[name]
    path = f"{split}/{coarse}/{name}/{name}_{number:03}.jpg"
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    make_image(color, 100 * class_id + number, 40).save(root / path)
    return f"{path}, {class_id}, {COARSE_NAMES.index(coarse)}"
