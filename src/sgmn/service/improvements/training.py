"""The job that trains a model from reviews, and compares it with the one in use."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sgmn.catalogue.index import Index
from sgmn.errors import SgmnError
from sgmn.service.catalogues import catalogue_folder
from sgmn.service.context import ServiceContext
from sgmn.service.improvements.reviewed import count_reviewed, read_reviewed, write_dataset
from sgmn.service.indexes import load_embedder, open_index
from sgmn.service.operations.heart import Heart
from sgmn.service.operations.outcome import Outcome
from sgmn.service.operations.queue import Job
from sgmn.service.settings import ServiceSettings

if TYPE_CHECKING:
    from sgmn.data.dataset import Dataset
    from sgmn.evaluation.comparison import Comparison
    from sgmn.evaluation.report import Report

KIND = "improve"
CONFIG = "own-pairs"
_WORK = ("dataset", "tokens", "run", "index")  # deleted at the end; the model stays


def model_folder(settings: ServiceSettings, catalogue_id: str, operation_id: str) -> Path:
    """The folder of the model that an operation has trained."""
    return catalogue_folder(settings, catalogue_id) / "models" / operation_id / "model"


def improve(context: ServiceContext, job: Job, heart: Heart) -> Outcome:
    """Train a model from the reviewed segments of a catalogue; the model in use stays in use.

    A training that was interrupted continues from its last state.
    """
    assert job.catalogue_id is not None
    heart.report(phase="collecting")
    folder = model_folder(context.settings, job.catalogue_id, job.id).parent
    index = open_index(context, job.catalogue_id)
    if index is None:
        return Outcome(problem="The catalogue has no products.")
    products = {product.product_id: product for product in index.products(job.shop_id)}
    with context.database.read() as connection:
        found = read_reviewed(connection, job.catalogue_id, products)
    counts = count_reviewed(found)
    if counts.shortage is not None:
        return Outcome(problem=counts.shortage)
    shutil.rmtree(folder / "dataset", ignore_errors=True)
    clips = write_dataset(context, index.table, job.shop_id, found, folder / "dataset")
    if not clips["train"] or not clips["val"]:
        problem = "No frames of the reviewed segments are kept any more; review newer sessions."
        return Outcome(problem=problem)
    _train(folder, index.stamp.name, job.request, heart)
    comparison = _compare(folder, index, job.shop_id, heart)
    for name in _WORK:
        shutil.rmtree(folder / name, ignore_errors=True)
    result: dict[str, Any] = {"segments": asdict(counts), "clips": clips}
    return Outcome(result={**result, "comparison": asdict(comparison.overall)})


def _train(folder: Path, source: str, request: Mapping[str, Any], heart: Heart) -> None:
    """Train with the settings of `sgmn train own-pairs`, starting from the model in use."""
    from sgmn.data.dataset import read_dataset
    from sgmn.training.config_file import read_config
    from sgmn.training.run_setup import load_examples, prepare_run
    from sgmn.training.trainer import Trainer, require_new_run_folder

    run = read_config(CONFIG, [folder / "dataset"])
    steps = request.get("steps") or run.train.steps
    run = replace(
        run,
        model=replace(run.model, source=source),
        train=replace(run.train, steps=steps, device="cpu", threads=1, workers=0),
    )

    def show_encoding(done: int, total: int) -> None:
        heart.report(phase="encoding", done=done, total=total)

    examples = load_examples(run.data, read_dataset)
    model, batches, _ = prepare_run(run, examples, folder / "tokens", show_encoding)
    if not (folder / "run" / "state.json").exists():
        require_new_run_folder(folder / "run")
    trainer = Trainer(model, batches, run.train, folder / "run", run.loss)
    trainer.resume()
    heart.report(phase="training", done=trainer.step, total=steps)
    trainer.run(
        lambda step: heart.report(
            phase="training", done=step.step, total=step.steps, loss=round(step.loss, 4)
        )
    )
    shutil.rmtree(folder / "model", ignore_errors=True)
    shutil.copytree(folder / "run" / "checkpoint", folder / "model")


def _compare(folder: Path, old: Index, shop_id: str, heart: Heart) -> Comparison:
    """Compare the new model with the old one on the segments that are held out."""
    from sgmn.data.dataset import read_dataset
    from sgmn.evaluation.comparison import compare_reports

    data = read_dataset(folder / "dataset")
    shutil.rmtree(folder / "index", ignore_errors=True)
    new = Index.create(
        folder / "index", load_embedder(str(folder / "model")), old.stamp.text_fields
    )
    new.add(data.products, progress=lambda one: heart.report(phase="indexing", done=one.done))
    heart.report(phase="comparing")
    # Both have the products of the dataset; the index in use may have more by now.
    base = Index.create(folder / "index" / "old", old.embedder, old.stamp.text_fields)
    base.add(data.products, progress=lambda one: heart.report(phase="comparing", done=one.done))
    return compare_reports(_evaluate(data, base), _evaluate(data, new))


def _evaluate(data: Dataset, index: Index) -> Report:
    from sgmn.evaluation.report import Report
    from sgmn.workflows.evaluation import rank_clips, select_labeled

    damage: list[str] = []
    clips, _, _ = select_labeled(data, "val")
    report = Report(tuple(rank_clips(clips, index, index.embedder, damage=damage)))
    if damage:
        raise SgmnError(f"cannot be compared ({damage[0]})", "the held-out segments")
    return report
