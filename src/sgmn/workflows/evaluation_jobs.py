"""The evaluation of clips and streams as jobs, which run on the machines of a cluster."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from sgmn.batching import batched
from sgmn.catalogue.index import Index
from sgmn.data.dataset import Stream
from sgmn.errors import SgmnError
from sgmn.evaluation.ranking import TOP_K, RankedClip
from sgmn.evaluation.stream_report import StreamResult
from sgmn.live.effort import Effort
from sgmn.live.recognizer import StreamRecognizer
from sgmn.model.scoring import Modality
from sgmn.records import Clip
from sgmn.scale.engine import Engine
from sgmn.workflows import evaluation
from sgmn.workflows.loading import ShelfCache

_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class EvaluationSetup:
    """What each machine loads.

    Attributes:
        dataset: The folder of the dataset, which every machine sees at this path.
        index: The folder or the address of the index.
        model: The model that built the index; None finds it by the name in the index.
        runtime: What runs the towers of the model.
        modalities: Which modalities of clips and products to use.
        without_titles: Whether to ignore the titles of all products when clips are ranked.
        effort: How much of a stream is decoded.
    """

    dataset: Path
    index: str
    model: str | None
    runtime: str
    modalities: tuple[Modality, ...]
    without_titles: bool
    effort: Effort

    def open_index(self) -> Index:
        """Open the index; raises SgmnError on a machine that does not see the dataset."""
        if not self.dataset.is_dir():
            remedy = "mount the dataset at the same path on every node"
            raise SgmnError(f"does not exist on the node {platform.node()}", self.dataset, remedy)
        return Index.open(self.index, self.model, self.runtime)


@dataclass(frozen=True, slots=True)
class RankingJob:
    """Ranks the products of its shop for each clip of a batch; see `evaluation.rank_clips`."""

    setup: EvaluationSetup
    depth: int

    def open(self) -> Callable[[Sequence[Clip]], tuple[list[RankedClip], list[str]]]:
        """Load the model; what is returned gives the answers, and lines about damage."""
        setup, index = self.setup, self.setup.open_index()
        ignored = {"text"} if setup.without_titles else set()
        shelves = ShelfCache(index, [m for m in setup.modalities if m not in ignored])

        def rank(clips: Sequence[Clip]) -> tuple[list[RankedClip], list[str]]:
            damage: list[str] = []
            options = (index.embedder, setup.modalities, damage, self.depth)
            return list(evaluation.rank_on_shelves(clips, shelves, *options)), damage

        return rank


@dataclass(frozen=True, slots=True)
class WatchingJob:
    """Watches a stream with the products of its shop; see `evaluation.recognize_streams`."""

    setup: EvaluationSetup

    def open(self) -> Callable[[Stream], tuple[list[StreamResult], list[str]]]:
        """Load the model; what is returned gives the result, and lines about damage."""
        recognizer_of = recognizers(self.setup.open_index(), self.setup)

        def watch(stream: Stream) -> tuple[list[StreamResult], list[str]]:
            damage: list[str] = []
            return list(evaluation.recognize_streams([stream], recognizer_of, damage)), damage

        return watch


def recognizers(index: Index, setup: EvaluationSetup) -> Callable[[str], StreamRecognizer]:
    """What returns the recognizer of a shop by its shop_id."""
    shelves = ShelfCache(index, setup.modalities)

    def recognizer(shop_id: str) -> StreamRecognizer:
        shelf, modalities = shelves[shop_id], setup.modalities
        return StreamRecognizer(index.embedder, shelf, modalities=modalities, effort=setup.effort)

    return recognizer


def rank_clips(
    clips: Iterable[Clip],
    setup: EvaluationSetup,
    engine: Engine,
    damage: list[str],
    depth: int = TOP_K,
) -> Iterator[RankedClip]:
    """Rank clips with an engine, in the batches of `evaluation.rank_clips`, with its results."""
    batches = batched(clips, evaluation.BATCH_SIZE)
    return _collect(engine.map(RankingJob(setup, depth), batches), damage)


def watch_streams(
    streams: Iterable[Stream], setup: EvaluationSetup, engine: Engine, damage: list[str]
) -> Iterator[StreamResult]:
    """Watch streams with an engine, with the results of `evaluation.recognize_streams`."""
    return _collect(engine.map(WatchingJob(setup), streams), damage)


def _collect(
    results: Iterable[tuple[Sequence[_Answer], Sequence[str]]], damage: list[str]
) -> Iterator[_Answer]:
    for answers, messages in results:
        damage.extend(messages)
        yield from answers
