"""Pack a training run into one small file, for a machine without an installed sgmn.

The file is a ZIP archive that Python can run. It contains

    __main__.py        `python JOB.zip OUT --minutes LIST` runs the job
    source/sgmn/       the package's source
    config-1.json ...  one config per stage; each stage starts from the result of the previous one
    data/0/ ...        the datasets, which all stages share: small images, a few frames per clip
    start/             the model that the first stage starts from, in half precision
    packages/          MiniLM in 8 bits, if the model uses it
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import sgmn
from sgmn.configs import resolve
from sgmn.data import dataset
from sgmn.errors import SgmnError
from sgmn.model import checkpoint
from sgmn.model.bundle import ModelBundle
from sgmn.records import Product
from sgmn.settings import read_toml
from sgmn.training.config import RunConfig
from sgmn.training.config_file import read_config
from sgmn.training.data import synthetic_transcripts
from sgmn.training.data.phrases import SLOT, load_phrases
from sgmn.workflows.job_data import MediaLimits, Progress, folder_names, write_datasets
from sgmn.workflows.job_minilm import write_minilm

SOURCE = Path(sgmn.__file__).parent
MAIN = """\
\"\"\"Run this training job: python JOB.zip OUT --minutes LIST\"\"\"

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(sys.argv[0]).resolve() / "source"))
    from sgmn.workflows.job_run import main

    main(sys.argv[0])
"""


@dataclass(frozen=True, slots=True)
class PackResult:
    """Compressed bytes of each kind of content, and of the whole file."""

    sizes: Mapping[str, int]
    total: int


def pack_job(
    paths: Sequence[str | Path],
    output: Path,
    limits: MediaLimits | None = None,
    max_bytes: int | None = None,
    progress: Progress = lambda done, total: None,
) -> PackResult:
    """Pack the run of one or more configs into `output`.

    Args:
        paths: configs as for `sgmn train`, one per stage, all of the same data.
        output: the ZIP file; replaced only when it is complete.
        limits: how large and how many the images are.
        max_bytes: refuse a larger file.
        progress: called with the number of packed records and their total.

    Raises:
        SgmnError: stages use different data, or the file is larger than `max_bytes`.
    """
    run = read_config(paths[0])
    require_same_data(paths)
    model = checkpoint.load(run.model.source)
    output.parent.mkdir(parents=True, exist_ok=True)
    draft = output.with_name(f".{output.name}.part")
    try:
        result = _write(draft, paths, run, model, limits or MediaLimits(), progress)
        if max_bytes is not None and result.total > max_bytes:
            size, most = (f"{count / 2**20:.1f} MiB" for count in (result.total, max_bytes))
            remedy = "lower --max-side, --quality or --frames"
            raise SgmnError(f"would have {size}, more than {most}", output, remedy)
        draft.replace(output)
    finally:
        draft.unlink(missing_ok=True)
    return result


def _write(
    draft: Path,
    paths: Sequence[str | Path],
    run: RunConfig,
    model: ModelBundle,
    limits: MediaLimits,
    progress: Progress,
) -> PackResult:
    with zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as archive:
        steps: dict[str, Callable[[], None]] = {
            "datasets": lambda: write_datasets(archive, run.data, limits, progress),
            "model": lambda: _write_model(archive, model),
            "MiniLM": lambda: _write_text_tower(archive, model, run),
            "source": lambda: _write_source(archive),
        }
        sizes = {name: _compressed_bytes(archive, step) for name, step in steps.items()}
        for stage, path in enumerate(paths, start=1):
            archive.writestr(f"config-{stage}.json", _config_json(path, run))
    return PackResult(sizes, draft.stat().st_size)


def _compressed_bytes(archive: zipfile.ZipFile, write: Callable[[], None]) -> int:
    """Write something, and return the bytes that it takes."""
    before = len(archive.infolist())
    write()
    return sum(info.compress_size for info in archive.infolist()[before:])


def require_same_data(paths: Sequence[str | Path]) -> None:
    """Raise SgmnError for stages that use other data than the first one."""
    runs = [read_config(path) for path in paths]
    for path, run in zip(paths, runs, strict=True):
        if _data_files(run) != _data_files(runs[0]):
            remedy = f"use the folders, talking_points and phrases of {paths[0]}"
            raise SgmnError("uses other data than the first stage", path, remedy)


def _data_files(run: RunConfig) -> tuple[object, ...]:
    return run.data.folders, run.data.talking_points, run.data.phrases


def _write_model(archive: zipfile.ZipFile, model: ModelBundle) -> None:
    """Add the starting model, without a text tower that the MiniLM package provides."""
    with TemporaryDirectory() as folder:
        checkpoint.save(model, Path(folder) / "start", half=True)
        for path in sorted(Path(folder).rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder).as_posix())


def _write_text_tower(archive: zipfile.ZipFile, model: ModelBundle, run: RunConfig) -> None:
    if model.network.config.text_source:
        write_minilm(archive, needed_token_ids(model.tokenizer, run))


def _write_source(archive: zipfile.ZipFile) -> None:
    archive.writestr("__main__.py", MAIN)
    for path in sorted(SOURCE.rglob("*.py")):
        archive.write(path, f"source/sgmn/{path.relative_to(SOURCE).as_posix()}")


def needed_token_ids(tokenizer: Any, run: RunConfig) -> set[int]:
    """Ids of all tokens that the texts of a run may need, special tokens included."""
    ids = set(tokenizer.all_special_ids)
    for text in _texts(run):
        ids.update(tokenizer(text, add_special_tokens=False, truncation=False)["input_ids"])
    return ids


def _texts(run: RunConfig) -> Iterator[str]:
    """All transcripts, titles, talking points and phrases of a run."""
    products: dict[tuple[str, str], Product] = {}
    for folder in folder_names(run.data):
        data = dataset.read_dataset(folder)
        products |= {product.key: product for product in data.products}
        yield from (clip.text for clip in data.clips)
    for product in products.values():
        yield f"{product.title} {product.category}"
    points = synthetic_transcripts.load_talking_points(run.data.talking_points, products)
    for sentences in points.values():
        yield from sentences
    yield from (phrase.replace(SLOT, "") for phrase in load_phrases(run.data.phrases).all)
    yield from synthetic_transcripts.HESITATIONS


def _config_json(path: str | Path, run: RunConfig) -> str:
    """A stage's tables as JSON, with paths inside the pack."""
    tables = read_toml(resolve(path))
    names = folder_names(run.data)
    tables["data"]["folders"] = [names[folder] for folder in run.data.folders]
    tables["data"]["talking_points"] = [
        f"talking-points-{place}.jsonl" for place in range(len(run.data.talking_points))
    ]
    if run.data.phrases:
        tables["data"]["phrases"] = "phrases.toml"
    return json.dumps(tables, indent=1)
