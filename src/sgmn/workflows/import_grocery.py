"""Imports a checkout of the Grocery Store Dataset: a catalogue, photos and composed clips.

    OUT/catalogue/products.jsonl, images/    the shop: one product for each class
    OUT/photos.jsonl, photos/                the training photos
    OUT/val/clips.jsonl, videos/, streams/   clips and streams, composed of the other photos
    OUT/.import/                             the settings of the import

What is on sale in clips is shown by photos of the split `test`, the scene around it by photos of
the split `val`. An interrupted import continues where it stopped: finished videos stay.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from sgmn import outputs
from sgmn.data.dataset import product_to_row, write_jsonl
from sgmn.data.importers import grocery
from sgmn.data.importers.grocery import FileIssue, GroceryCheckout, GroceryClass, GroceryPhoto
from sgmn.errors import MediaError, SettingsError
from sgmn.media.image import read_image
from sgmn.records import Product
from sgmn.workflows.composed_clips import PhotoStock
from sgmn.workflows.composed_dataset import Progress, write_clips, write_streams
from sgmn.workflows.composed_speech import spoken_sentences

FORMAT = "sgmn.grocery/1"
CHECKED_SIDE_PX = 64  # to which photos are decoded to see whether they can be read
UNREADABLE_PHOTOS = "unreadable photos"


@dataclass(frozen=True, slots=True)
class GroceryImportSettings:
    """How many clips and streams to compose, and the seed of all random choices."""

    clips: int = 118
    streams: int = 1
    seed: int = 0


@dataclass(frozen=True, slots=True)
class GroceryImport:
    """What an import has written, and the files that are missing, unreadable or misnamed."""

    products: int
    photos: int
    clips: int
    streams: int
    issues: tuple[FileIssue, ...]


def import_grocery(
    source: Path,
    output: Path,
    settings: GroceryImportSettings | None = None,
    progress: Progress = lambda step, done, total: None,
) -> GroceryImport:
    """Import a checkout of the Grocery Store Dataset. The same seed gives the same files.

    Args:
        source: The checkout, or its folder `dataset`.
        output: A new folder, or the one of an earlier import with the same seed and at most as
            many clips and streams.
        settings: What to compose.
        progress: Called after each file.

    Raises:
        RecordError: `source` is not a checkout.
        SettingsError: `output` holds other files or another import, or there are too few photos
            to compose clips.
    """
    settings, output = settings or GroceryImportSettings(), Path(output)
    checkout = grocery.read_checkout(source)
    issues = list(checkout.issues)
    photos = {
        split: [*_readable_photos(split, checkout.photos[split], issues, progress)]
        for split in grocery.SPLITS
    }
    _claim_folder(output, settings, _fingerprint(checkout, photos))
    products = _import_catalogue(checkout, output / "catalogue", issues)
    _import_photos(photos["train"], output, progress)
    if settings.clips or settings.streams:
        stock = _build_stock(checkout, products, photos)
        write_clips(stock, output / "val", settings.clips, settings.seed, progress)
        write_streams(stock, output / "val" / "streams", settings.streams, settings.seed, progress)
    counts = (len(products), len(photos["train"]), settings.clips, settings.streams)
    return GroceryImport(*counts, tuple(issues))


def product_id_of(class_id: int) -> str:
    """Return the product id of a class.

    >>> product_id_of(7)
    'p007'
    """
    return f"p{class_id:03}"


def _readable_photos(
    split: str, photos: Iterable[GroceryPhoto], issues: list[FileIssue], progress: Progress
) -> Iterator[GroceryPhoto]:
    photos = tuple(photos)
    for done, photo in enumerate(photos, start=1):
        if _is_readable(photo.path, photo.where, issues):
            yield photo
        progress(f"checking {split} photos", done, len(photos))


def _is_readable(path: Path, where: str, issues: list[FileIssue]) -> bool:
    try:
        read_image(path, CHECKED_SIDE_PX)
    except MediaError as error:
        issues.append(FileIssue(UNREADABLE_PHOTOS, where, f"{path}: {error.message}"))
        return False
    return True


def _fingerprint(checkout: GroceryCheckout, photos: Mapping[str, list[GroceryPhoto]]) -> str:
    """Identify everything that the composed clips depend on, except for the pixels."""
    classes = [
        (c.class_id, c.name, c.coarse_name, c.description) for c in checkout.classes.values()
    ]
    paths = {
        split: [(photo.path.relative_to(checkout.root).as_posix(), photo.class_id) for photo in own]
        for split, own in photos.items()
    }
    return sha256(json.dumps([classes, paths]).encode()).hexdigest()


def _claim_folder(output: Path, settings: GroceryImportSettings, fingerprint: str) -> None:
    """Refuse a folder with other files or another import; else write the settings to it."""
    path = output / ".import" / "settings.json"
    values = {"format": FORMAT, "source": fingerprint} | asdict(settings)
    if path.exists():
        _check_same_import(output, json.loads(path.read_text(encoding="utf-8")), values)
    elif output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise SettingsError("is not an empty folder", output, "choose another folder")
    outputs.write_text(path, json.dumps(values) + "\n")


def _check_same_import(output: Path, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    remedy = "choose another folder"
    if old.get("format") != FORMAT:
        raise SettingsError("was imported by another version of sgmn", output, remedy)
    if old["source"] != new["source"]:
        raise SettingsError("was imported from a checkout with other files", output, remedy)
    for name in ("seed", "clips", "streams"):
        is_growth = name != "seed" and old[name] <= new[name]
        if old[name] != new[name] and not is_growth:
            message = f"was imported with {name} {old[name]}, not {new[name]}"
            raise SettingsError(message, output, f"use --{name} {old[name]} or {remedy}")


def _import_catalogue(
    checkout: GroceryCheckout, folder: Path, issues: list[FileIssue]
) -> dict[str, Product]:
    """Write the catalogue; a class without a readable iconic image has its title only."""
    products = {}
    for one in checkout.classes.values():
        product_id, image = product_id_of(one.class_id), None
        where = str(checkout.root / grocery.CLASSES_FILE)
        if one.image is not None and _is_readable(one.image, where, issues):
            image = folder / "images" / f"{product_id}{one.image.suffix.lower()}"
            _copy(one.image, image)
        products[product_id] = _to_product(one, product_id, image)
    rows = [product_to_row(product, folder) for product in products.values()]
    write_jsonl(folder / "products.jsonl", rows)
    return products


def _to_product(one: GroceryClass, product_id: str, image: Path | None) -> Product:
    title, category = one.name.replace("-", " "), one.coarse_name.replace("-", " ")
    return Product(product_id, title, image, category=category)


def _import_photos(photos: list[GroceryPhoto], output: Path, progress: Progress) -> None:
    counts: dict[str, int] = {}
    rows = []
    for done, photo in enumerate(photos, start=1):
        product_id = product_id_of(photo.class_id)
        number = counts.get(product_id, 0)
        counts[product_id] = number + 1
        path = f"photos/{product_id}/{number:03}{photo.path.suffix.lower()}"
        _copy(photo.path, output / path)
        rows.append({"path": path, "product_id": product_id})
        progress("copying photos", done, len(photos))
    write_jsonl(output / "photos.jsonl", rows)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _build_stock(
    checkout: GroceryCheckout,
    products: Mapping[str, Product],
    photos: Mapping[str, list[GroceryPhoto]],
) -> PhotoStock:
    stock = PhotoStock(
        products=products,
        product_photos=_group(photos["test"]),
        clutter_photos=_group(photos["val"]),
        sentences={
            product_id_of(one.class_id): spoken_sentences(
                one.description, products[product_id_of(one.class_id)]
            )
            for one in checkout.classes.values()
        },
    )
    for split, group in (("test", stock.product_photos), ("val", stock.clutter_photos)):
        if len(group) < 2:
            raise SettingsError(
                f"lists photos of {len(group)} products, which is too few to compose clips",
                checkout.root / f"{split}.txt",
                "restore the photos, or pass --clips 0 --streams 0",
            )
    return stock


def _group(photos: Iterable[GroceryPhoto]) -> dict[str, list[Path]]:
    groups: dict[str, list[Path]] = {}
    for photo in photos:
        groups.setdefault(product_id_of(photo.class_id), []).append(photo.path)
    return dict(sorted(groups.items()))
