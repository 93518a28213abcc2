"""Imports MovingFashion: train.json, test.json, videos and shop images, read in place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sgmn.batching import batched
from sgmn.data.importers import movingfashion
from sgmn.data.importers.movingfashion import MovingFashionSplit, ProductVideo, ShopImage
from sgmn.data.importers.movingfashion_clips import convert_images, convert_videos
from sgmn.data.importers.parts import PartWriter
from sgmn.data.importers.subset import Subset
from sgmn.errors import RecordError, SettingsError
from sgmn.workflows.import_benchmark import (
    BenchmarkImport,
    BenchmarkImportSettings,
    Progress,
    claim_folder,
    finish,
    read_finished,
    run_parts,
    write_dataset,
)

VIDEOS_PER_PART = 256


def import_movingfashion(
    source: Path,
    output: Path,
    settings: BenchmarkImportSettings | None = None,
    progress: Progress = lambda step, done, total: None,
) -> BenchmarkImport:
    """Import MovingFashion; the same command continues an interrupted import.

    Args:
        source: The folder with train.json, test.json, or both, and the media.
        output: A new folder, or that of the interrupted import.
        settings: What to import. Only a subset by count is possible; it keeps all shop images.
        progress: Called after each part.

    Raises:
        RecordError: There are no annotations, or a product cannot be parsed.
        SettingsError: `output` holds other files or another import, or the subset names lives or
            categories.
    """
    settings, output, source = settings or BenchmarkImportSettings(), Path(output), Path(source)
    if settings.subset.lives or settings.subset.categories:
        message = "MovingFashion has neither lives nor categories"
        raise SettingsError(message, "--subset", "pass count=N, or leave the option out")
    files = {s: source / f"{s}.json" for s in movingfashion.SPLITS}
    files = {split: path for split, path in files.items() if path.is_file()}
    if not files:
        remedy = "pass the folder of MovingFashion"
        raise RecordError("holds neither train.json nor test.json", where=source, remedy=remedy)
    state = claim_folder(output, "movingfashion", files.values(), settings)
    if (finished := read_finished(state)) is not None:
        return finished
    counts = {}
    for split, path in files.items():
        annotations = movingfashion.read_split(path)
        show = partial(progress, f"converting {split}")
        names = _convert(annotations, source.absolute(), split, state / "parts", settings, show)
        counts[split] = write_dataset(state / "parts", names, output / split)
        counts[split].update(_count_listed(annotations))
    return finish(state, counts)


def _count_listed(annotations: MovingFashionSplit) -> dict[str, int]:
    return {
        "listed products": annotations.products,
        "listed videos": annotations.listed_videos,
        "products that share the image of another": annotations.products - len(annotations.images),
        "videos of several shop images": sum(len(v.product_ids) > 1 for v in annotations.videos),
    }


def _convert(
    annotations: MovingFashionSplit,
    root: Path,
    split: str,
    parts: Path,
    settings: BenchmarkImportSettings,
    progress: Callable[[int, int], None],
) -> list[str]:
    """Convert a split and return the names of its parts."""
    available = _convert_images(annotations.images, root, split, parts)
    batches = enumerate(batched(annotations.videos, VIDEOS_PER_PART))
    tasks = {f"{split}-{number:05}": batch for number, batch in batches}
    convert = _Job(root, parts, split, available).convert_videos
    return [f"{split}-images", *run_parts(parts, tasks, convert, settings, progress)]


def _convert_images(
    images: Sequence[ShopImage], root: Path, split: str, parts: Path
) -> frozenset[str]:
    """Write the part of all shop images and return the ids of those that exist.

    It is fast enough to repeat after an interruption.
    """
    with PartWriter(parts, f"{split}-images") as part:
        convert_images(images, root, split, part)
        return frozenset(item.product_id for item in images if part.has_product(item.product_id))


@dataclass(frozen=True)
class _Job:
    """What the processes of an import need to know; `available` are the gallery items on disk."""

    source: Path
    parts: Path
    split: str
    available: frozenset[str]

    def convert_videos(self, name: str, videos: Sequence[ProductVideo], subset: Subset) -> None:
        """Write the part of some videos."""
        with PartWriter(self.parts, name) as part:
            chosen = videos[: subset.count] if subset.count else videos
            convert_videos(chosen, self.available, self.source, self.split, part)
