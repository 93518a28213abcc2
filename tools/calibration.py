"""Whether a model's confidence means what it says, and the temperature that makes it so.

    python tools/calibration.py fit DATASET --index INDEX [--model MODEL] [--plot OUT.svg]
    python tools/calibration.py check DATASET --index INDEX --temperature T [--plot OUT.svg]

Of a clip the confidence is the softmax over its shelf. A stream has three: of windows, its moments
each for itself, where something is on sale; of the online decoder's belief at each moment; and that
of `sgmn watch`, the confidence of the segment that a moment lies in, of a recording and as the
events of a running stream tell it. `fit` finds the temperature on the clips, or on the windows of a
dataset without clips. Fit it on other data than it is checked on; to use it, divide the model's
logit scale by it.
"""

from __future__ import annotations

import argparse
from bisect import bisect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from math import log
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from plotting import Axis, Line, figure
from scipy.special import softmax

from sgmn import outputs
from sgmn.catalogue.index import Index
from sgmn.cli import console
from sgmn.data import dataset
from sgmn.data.dataset import Stream
from sgmn.errors import MediaError
from sgmn.evaluation import calibration
from sgmn.evaluation.tables import markdown_table
from sgmn.live.events import segments_of
from sgmn.live.evidence import TimelineSettings
from sgmn.live.recognizer import Recognition, Recognizer
from sgmn.live.session import events_of
from sgmn.live.timeline import OnlineDecoder, segments
from sgmn.media.record_content import clip_content
from sgmn.model.embedder import Embedder
from sgmn.records import Clip, Segment
from sgmn.workflows import evaluation, opening

HEADER = ["confidence of", "T", "n", "right", "mean", "log loss", "ECE", "if calibrated"]
HEADER += ["ECE, equal width", "if calibrated"]
CAPTION = (
    "Shares in %, log loss in nats, ECE over 15 bins of equal mass and of equal width. If"
    " calibrated: the mean ECE, and what 95 % stay below, where every confidence is true and a"
    " segment is right or wrong as a whole; windows and moments of a stream hang together, so there"
    " chance alone does more."
)


class Query(NamedTuple):
    """The logits (S,) of a shelf, and the places on it of what is on sale, maybe none."""

    logits: NDArray[np.float64]
    truths: tuple[int, ...]

    @classmethod
    def of(
        cls, logits: NDArray[np.float64], shelf: Sequence[str], truths: Sequence[str | None]
    ) -> Query:
        return cls(logits, tuple(place for place, name in enumerate(shelf) if name in truths))


class Watched(NamedTuple):
    """What was found in a stream, and what was on sale at each moment that its truth covers."""

    found: Recognition
    truths: dict[int, str | None]

    @property
    def queries(self) -> list[Query]:
        """The windows in which something is on sale."""
        ids, scores = self.found.product_ids, self.found.scores
        sold = ((row, truth) for row, truth in self.truths.items() if truth is not None)
        return [Query.of(scores[row], ids, (truth,)) for row, truth in sold]


class Answers(NamedTuple):
    """Confidences (N,), which answers are right (N,), the log loss of the truths if each has a
    probability, and what is right or wrong as a whole (N,), if anything."""

    sure: list[float]
    right: list[bool]
    loss: float | None
    groups: list[str] | None = None


Kinds = dict[str, Callable[[float], Answers]]  # what each kind of answer is at a temperature


def clip_queries(
    clips: Sequence[Clip], index: Index, used: Embedder, damage: list[str]
) -> Iterator[Query]:
    """Each clip that can be read, against its shop."""
    shelves, scale = opening.Shelves(index), float(used.ranker.weights.logit_scale)
    for clip in clips:
        try:
            shown = clip_content(
                clip, wanted=evaluation.FRAMES, max_side=used.max_side, damage=damage
            )
        except MediaError as error:
            damage.append(str(error))
            continue
        shelf = shelves[clip.shop_id]
        scores = shelf.scores(used.clips([shown]), used.ranker)[0].double().numpy()
        yield Query.of(scale * scores, shelf.product_ids, clip.product_ids)


def watched(
    streams: Sequence[Stream], index: Index, used: Embedder, damage: list[str]
) -> Iterator[Watched]:
    """Each stream that can be read, against its shop."""
    shelves = opening.Shelves(index)
    for stream in streams:
        try:
            found = Recognizer(used, shelves[stream.shop_id]).watch(stream.video, stream.transcript)
        except MediaError as error:
            damage.append(str(error))
            continue
        damage.extend(found.damage)
        yield Watched(found, _truths(stream, found))


def _truths(stream: Stream, found: Recognition) -> dict[int, str | None]:
    return {
        row: segment.product_id
        for row, time_s in enumerate(found.times)
        for segment in stream.timeline
        if segment.start <= time_s < segment.end
    }


def alone(queries: Sequence[Query], temperature: float) -> Answers:
    """The best product of each query and the softmax's share of it."""
    shares = [softmax(query.logits / temperature) for query in queries]
    best = [int(share.argmax()) for share in shares]
    sure = [float(share[place]) for share, place in zip(shares, best, strict=True)]
    right = [place in query.truths for place, query in zip(best, queries, strict=True)]
    return Answers(sure, right, calibration.log_loss(*padded(queries), temperature))


def moments(streams: Sequence[Watched], temperature: float) -> Answers:
    """What the decoder believed at each moment, nothing on sale included."""
    sure, right, losses = [], [], []
    for found, truths in streams:
        decoder, states = OnlineDecoder(found.product_ids), (*found.product_ids, None)
        for row, (time_s, logits) in enumerate(zip(found.times, found.scores, strict=True)):
            belief = decoder.push(time_s, logits / temperature)
            if row in truths:
                sure.append(belief.confidence)
                right.append(belief.product_id == truths[row])
            if row in truths and truths[row] in states:
                losses.append(-log(belief.probabilities[states.index(truths[row])]))
    return Answers(sure, right, fmean(losses) if losses else None)


def told(streams: Sequence[Watched], temperature: float, running: bool = False) -> Answers:
    """The confidence of the segment of each moment."""
    sure, right, groups = [], [], []
    for number, (found, truths) in enumerate(streams):
        timeline = timeline_of(replace(found, scores=found.scores / temperature), running)
        for row, truth in truths.items():
            place = bisect([s.start for s in timeline], found.times[row]) - 1
            sure.append(timeline[place].confidence)
            right.append(timeline[place].product_id == truth)
            groups.append(f"{number}: {place}")
    return Answers(sure, right, None, groups)


def timeline_of(found: Recognition, running: bool) -> tuple[Segment, ...]:
    """As `sgmn watch` has it with its own settings, of a recording or of a running stream."""
    if running:
        return segments_of(events_of(found, TimelineSettings()))
    span = (0.0, found.duration_s)
    return segments(found.times, found.scores, found.product_ids, span_s=span)


def padded(queries: Sequence[Query]) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Logits (N, S) with -inf beyond a shelf's end, and (N,) the truth that is scored best.

    Queries whose truth is not on the shelf have no log loss and are left out.
    """
    kept = [query for query in queries if query.truths]
    widest = max((len(query.logits) for query in kept), default=0)
    logits = np.full((len(kept), widest), -np.inf)
    for row, query in enumerate(kept):
        logits[row, : len(query.logits)] = query.logits
    truths = [max(query.truths, key=lambda place: query.logits[place]) for query in kept]
    return logits, np.array(truths, dtype=np.intp)


def table(kinds: Kinds, temperatures: Sequence[float]) -> str:
    """Every kind of answer at every temperature, as Markdown."""
    rows = [_cells(name, t, kind(t)) for name, kind in kinds.items() for t in temperatures]
    return markdown_table(HEADER, rows, CAPTION)


def _cells(name: str, temperature: float, found: Answers) -> list[str]:
    cells = [name, f"{temperature:.3g}", str(len(found.sure))]
    cells += [f"{100 * np.mean(found.right):.1f}", f"{100 * np.mean(found.sure):.1f}"]
    cells.append("" if found.loss is None else f"{found.loss:.3f}")
    for equal in ("mass", "width"):
        error = calibration.expected_calibration_error(found.sure, found.right, equal=equal)
        mean, high = calibration.error_by_chance(found.sure, equal=equal, groups=found.groups)
        cells += [f"{100 * error:.1f}", f"{100 * mean:.1f} ({100 * high:.1f})"]
    return cells


def diagram(kinds: Kinds, temperatures: Sequence[float]) -> str:
    """The reliability of each kind, 10 bins of equal mass, as SVG; with intervals where each
    answer is right or wrong for itself."""
    lines = []
    for name, kind in kinds.items():
        for t in temperatures:
            found = kind(t)
            bins = calibration.reliability(found.sure, found.right, bins=10)
            ends = [(b.low, b.high) if found.groups is None else (b.right, b.right) for b in bins]
            points = zip(
                *((b.confidence, b.right, *end) for b, end in zip(bins, ends, strict=True)),
                strict=True,
            )
            lines.append(Line(f"{name}, temperature {t:.3g}", *points))
    return figure("Reliability", Axis("confidence"), "share right", lines, diagonal=True)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb in ("fit", "check"):
        options = verbs.add_parser(verb)
        options.add_argument("dataset", type=Path)
        options.add_argument("--index", type=Path, required=True)
        options.add_argument("--model", help="the model that made the index, where it has moved")
        options.add_argument("--plot", type=Path, help="write a reliability diagram here (SVG)")
    verbs.choices["check"].add_argument("--temperature", type=float, required=True)
    return parser.parse_args()


def main() -> None:
    given, damage = parsed(), list[str]()
    outputs.require_writable(given.plot)
    clips, streams, _ = evaluation.labelled(dataset.read(given.dataset), "")
    used = opening.embedder(opening.model_of(given.index, given.model))
    index = opening.opened(given.index, used)
    ranks, shows = clip_queries(clips, index, used, damage), watched(streams, index, used, damage)
    asked = list(console.counted(ranks, "ranking", len(clips)))
    seen = list(console.counted(shows, "watching", len(streams)))
    windows = [query for stream in seen for query in stream.queries]
    if given.verb == "fit":
        logits, truths = padded(asked or windows)
        temperature = calibration.fitted_temperature(logits, truths)
        what = "clips" if asked else "windows"
        print(f"temperature {temperature:.4g}, fitted on {len(truths)} {what}\n")
    else:
        temperature = given.temperature
    kinds: Kinds = {"clips": partial(alone, asked)} if asked else {}
    kinds |= {"windows": partial(alone, windows)} if windows else {}
    kinds |= {"moments": partial(moments, seen), "segments": partial(told, seen)} if seen else {}
    kinds |= {"segments, running": partial(told, seen, running=True)} if seen else {}
    temperatures = tuple(dict.fromkeys((1.0, temperature)))
    print(table(kinds, temperatures))
    if given.plot:
        drawn = {name: kind for name, kind in kinds.items() if name != "windows"}
        outputs.write_text(given.plot, diagram(drawn, temperatures))
    for text in damage:
        print(f"damaged: {text}")


if __name__ == "__main__":
    main()
