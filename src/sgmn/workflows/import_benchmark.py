"""What the imports of benchmarks share: a folder, tasks in parallel, and finished datasets.

OUT/train/, OUT/test/     datasets; test/missing.jsonl has the clips whose media are missing
OUT/issues.jsonl          every problem with its kind and place
OUT/.import/              settings, finished parts and the index of media
"""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from sgmn import outputs
from sgmn.background import run_tasks
from sgmn.data.importers.parts import KINDS, count_issues, merge_rows, read_counts
from sgmn.data.importers.subset import Subset
from sgmn.errors import SettingsError

Progress = Callable[[str, int, int], None]  # step, done, total
STATE_FOLDER, _FINISHED = ".import", "finished.json"
REPEATED_CLIPS, MISSING = "repeated clips", "clips in missing.jsonl"
Job = TypeVar("Job")


@dataclass(frozen=True, slots=True)
class BenchmarkImportSettings:
    """What to import, and with how many processes; 0 processes for one per core.

    `max_frames` limits the frames of a training clip that consists of images; 0 keeps all.
    """

    subset: Subset = field(default_factory=Subset)
    max_frames: int = 10
    processes: int = 0

    @property
    def workers(self) -> int:
        """The number of processes. A limited number of clips is taken in order, by one."""
        return 1 if self.subset.count else self.processes or os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class BenchmarkImport:
    """What an import has counted, by split."""

    counts: Mapping[str, Counter[str]]

    def lines(self) -> list[str]:
        """One line per split and figure, in alphabetical order; zeros are left out."""
        return [
            f"{split}: {name}: {count}"
            for split, counts in self.counts.items()
            for name, count in sorted(counts.items())
            if count
        ]


def claim_folder(
    output: Path, kind: str, sources: Iterable[Path], settings: BenchmarkImportSettings
) -> Path:
    """Return the state folder of an import after writing its settings to it.

    Raises SettingsError if the folder holds other files or another import.
    """
    path = output / STATE_FOLDER / "settings.json"
    values: dict[str, Any] = {"format": f"sgmn.{kind}/1"}
    values["files"] = [[str(p.absolute()), p.stat().st_size] for p in sources]
    subset = settings.subset
    values["subset"] = [list(subset.lives), list(subset.categories), subset.count]
    values["max_frames"] = settings.max_frames
    if path.exists():
        old = json.loads(path.read_text(encoding="utf-8"))
        changed = [name for name in values if old.get(name) != values[name]]
        if changed:
            message = f"was imported with other settings ({', '.join(changed)})"
            remedy = "repeat the command of that import, or choose another folder"
            raise SettingsError(message, output, remedy)
    elif output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise SettingsError("is not an empty folder", output, "choose another folder")
    outputs.write_text(path, json.dumps(values) + "\n")
    return path.parent


def imported_kind(output: Path) -> str | None:
    """Return which import wrote a folder, such as "lpr4m"; None if its state is not there."""
    path = output / STATE_FOLDER / "settings.json"
    if not path.is_file():
        return None
    stored = json.loads(path.read_text(encoding="utf-8"))
    return str(stored["format"]).removeprefix("sgmn.").partition("/")[0]


def run_parts(
    folder: Path,
    tasks: Mapping[str, Job],
    convert: Callable[[str, Job, Subset], None],
    settings: BenchmarkImportSettings,
    progress: Callable[[int, int], None],
) -> list[str]:
    """Run the tasks whose parts are not finished; return the names of the parts, in order.

    Args:
        folder: The folder of the parts.
        tasks: By the name of their part.
        convert: Writes the part of a task; picklable. Receives the subset with the number of
            clips that are still to be converted.
        settings: With a limit on the clips, tasks run in order until it is reached.
        progress: Receives the number of finished parts and of all.
    """
    if settings.subset.count:
        return _run_until_full(folder, tasks, convert, settings.subset, progress)
    missing = [name for name in tasks if read_counts(folder, name) is None]
    done = len(tasks) - len(missing)
    progress(done, len(tasks))
    jobs = [(name, tasks[name], settings.subset) for name in missing]
    for _ in run_tasks(partial(_unpack, convert), jobs, settings.workers):
        done += 1
        progress(done, len(tasks))
    return list(tasks)


def _unpack(
    convert: Callable[[str, Job, Subset], None], arguments: tuple[str, Job, Subset]
) -> None:
    convert(*arguments)


def _run_until_full(
    folder: Path,
    tasks: Mapping[str, Job],
    convert: Callable[[str, Job, Subset], None],
    subset: Subset,
    progress: Callable[[int, int], None],
) -> list[str]:
    names: list[str] = []
    room = subset.count
    for name, task in tasks.items():
        if room <= 0:
            break
        if read_counts(folder, name) is None:
            convert(name, task, replace(subset, count=room))
        room -= (read_counts(folder, name) or Counter())["clips"]
        names.append(name)
        progress(len(names), len(tasks))
    return names


def write_dataset(parts: Path, names: Sequence[str], dataset: Path) -> Counter[str]:
    """Merge parts to a dataset and the list of its issues, and return the counts of both."""
    counts: Counter[str] = Counter()
    for name in names:
        counts.update(read_counts(parts, name) or {})
    for kind in KINDS:
        written, repeated = merge_rows(parts, names, kind, dataset / f"{kind}.jsonl")
        counts[kind] = written
        counts[REPEATED_CLIPS] += repeated if kind == "clips" else 0
    counts[MISSING] = counts.pop("missing")
    del counts["issues"]
    return counts + count_issues(dataset / "issues.jsonl")


def finish(state: Path, counts: Mapping[str, Counter[str]]) -> BenchmarkImport:
    """Store the counts of a complete import and remove its parts, which the datasets repeat."""
    outputs.write_text(state / _FINISHED, json.dumps(counts) + "\n")
    shutil.rmtree(state / "parts", ignore_errors=True)
    return BenchmarkImport(counts)


def read_finished(state: Path) -> BenchmarkImport | None:
    """Return what a complete import has counted; None for one that is not complete."""
    path = state / _FINISHED
    if not path.is_file():
        return None
    stored = json.loads(path.read_text(encoding="utf-8"))
    return BenchmarkImport({split: Counter(own) for split, own in stored.items()})
