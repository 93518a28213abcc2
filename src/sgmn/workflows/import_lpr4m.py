"""Imports LPR4M or LPR750K: the annotations, and media wherever they lie, read in place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sgmn.background import run_tasks
from sgmn.data.importers import lpr4m_files
from sgmn.data.importers.lpr4m_files import Lpr4mFiles
from sgmn.data.importers.lpr4m_test import convert_test
from sgmn.data.importers.lpr4m_training import ByteRange, convert_training, split_file
from sgmn.data.importers.media_finder import MEDIA_FOLDERS, MediaFinder
from sgmn.data.importers.media_index import MediaIndex, find_shards, scan_shard
from sgmn.data.importers.parts import PartWriter
from sgmn.data.importers.subset import Subset
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

RANGE_BYTES = 16_000_000  # of a training file in one part: about 6,000 clips of 118 frames


def import_lpr4m(
    source: Path,
    output: Path,
    settings: BenchmarkImportSettings | None = None,
    progress: Progress = lambda step, done, total: None,
) -> BenchmarkImport:
    """Import LPR4M or LPR750K; the same command continues an interrupted import.

    Args:
        source: The folder with the annotations and the media, see docs/how-to/benchmarks.md.
        output: A new folder, or that of the interrupted import.
        settings: What to import.
        progress: Called after each shard and part.

    Raises:
        RecordError: There are no annotations, or a row cannot be parsed.
        MediaError: A tar shard is damaged.
        SettingsError: `output` holds other files or another import.
    """
    settings, output = settings or BenchmarkImportSettings(), Path(output)
    files = lpr4m_files.find_files(Path(source))
    state = claim_folder(output, "lpr4m", files.all, settings)
    if (finished := read_finished(state)) is not None:
        return finished
    _index_media(Path(source), state / "media.sqlite", settings, progress)
    job = _Job(Path(source).absolute(), state, files, settings.max_frames)
    parts = state / "parts"
    names: dict[str, list[str]] = {}
    if files.training:
        tasks = _training_tasks(files)
        show = partial(progress, "converting train")
        names["train"] = run_parts(parts, tasks, job.convert_training, settings, show)
    if files.truths is not None:
        show = partial(progress, "converting test")
        names["test"] = run_parts(parts, {"test": None}, job.convert_test, settings, show)
    counts = {split: write_dataset(parts, own, output / split) for split, own in names.items()}
    return finish(state, counts)


def _training_tasks(files: Lpr4mFiles) -> dict[str, ByteRange]:
    """Ranges do not depend on the number of processes, which may change between runs."""
    ranges = [part for path in files.training for part in split_file(path, RANGE_BYTES)]
    return {f"train-{number:06}": lines for number, lines in enumerate(ranges)}


def _index_media(
    source: Path, path: Path, settings: BenchmarkImportSettings, progress: Progress
) -> None:
    shards = find_shards(source.absolute(), MEDIA_FOLDERS)
    with MediaIndex(path) as index:
        missing = index.missing_shards(shards)
        done = len(shards) - len(missing)
        for shard, images in run_tasks(scan_shard, missing, settings.workers):
            index.add_shard(shard, images)
            done += 1
            progress("indexing shards", done, len(shards))


@dataclass(frozen=True)
class _Job:
    """What the processes of an import need to know."""

    source: Path
    state: Path
    files: Lpr4mFiles
    max_frames: int

    def convert_training(self, name: str, lines: ByteRange, subset: Subset) -> None:
        """Write the part of a range of a training file."""
        convert = partial(convert_training, lines, max_frames=self.max_frames)
        self._write(name, lambda finder, part: convert(finder=finder, subset=subset, part=part))

    def convert_test(self, name: str, _: None, subset: Subset) -> None:
        """Write the part of the test set."""
        self._write(name, lambda finder, part: convert_test(self.files, finder, subset, part))

    def _write(self, name: str, convert: Callable[[MediaFinder, PartWriter], None]) -> None:
        index = MediaIndex(self.state / "media.sqlite")
        with index, PartWriter(self.state / "parts", name) as part:
            convert(MediaFinder(self.source, index), part)
