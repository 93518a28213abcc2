"""Choose the timeline's defaults on streams composed from training photographs, and on others.

    python tools/fit_timeline.py MODEL CATALOGUE PHOTOS [--streams 6] [--seed 0] [--world WORLD]
      [--sayings FILE] [--phrases FILE]

WORLD is a dataset with products and streams, such as a split of a generated world that is not used
for measuring; it counts as much as the composed ones. Each composed stream sells eight products for
10 to 40 s each, with pauses in which nothing is on sale, in the manner of training clips: a held
photo over clutter, another product held part of the time, words made from titles and sayings.
Prints for all settings the share of the time that is right, the log loss of each moment's
probabilities given the whole stream, and the expected calibration error of the confidence of its
segment (15 bins of equal mass); chosen are, of those that are right nearly as long as the best, and
of these of nearly the least loss, the ones of least error. Give photos that the model has not
learnt, or what is fitted is the manner of streams alone, not the confidence on new ones.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from itertools import product as grid
from math import log
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

import numpy as np
from PIL import Image

from sgmn.catalogue.shelf import Shelf
from sgmn.data import dataset
from sgmn.evaluation.calibration import expected_calibration_error
from sgmn.evaluation.streams import agreement
from sgmn.live.decoder import smoothed
from sgmn.live.evidence import TimelineSettings, evidence
from sgmn.live.recognizer import Recognition, Recognizer
from sgmn.live.timeline import segments
from sgmn.media import image, record_content
from sgmn.model.embedder import Embedder
from sgmn.records import Picture, Product, Segment, Utterance
from sgmn.training.data import synthetic_transcripts
from sgmn.training.data.composition import Scene
from sgmn.training.data.degradation import lit, some_light
from sgmn.training.data.examples import Examples
from sgmn.training.data.phrases import phrases
from sgmn.workflows import opening

TEMPERATURES = (0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
COSTS = (1.0, 2.0, 3.0, 4.0, 6.0)
THRESHOLDS = (0.0, 0.05, 0.1, 0.2, 0.3)
NEARLY = 0.02  # of the time right
AS_LITTLE = 0.01  # nats of log loss
LEAST = 1e-6  # probability, so that one moment cannot outweigh all others
PAUSE = 0.2  # how often nothing is on sale between two products
Watched = tuple[list[Segment], Recognition]  # the truth, and what was recognised


class Director:
    """Composes streams from the photos of a dataset, `height` pixels high."""

    def __init__(
        self,
        examples: Examples,
        rng: np.random.Generator,
        height: int,
        sayings: Sequence[Path] = (),
        said: Path | None = None,
    ) -> None:
        self.examples, self.rng, self.height = examples, rng, height
        self.told = synthetic_transcripts.sayings(sayings, examples.products)
        self.phrases = phrases(said)
        self.keys = sorted(examples.photos)

    def plan(self) -> list[Segment]:
        """Eight products one after another, with pauses."""
        plan, now = [], 0.0
        for place in self.rng.choice(len(self.keys), 8, replace=False):
            if self.rng.random() < PAUSE:
                plan.append(Segment(now, now + 12, None))
                now += 12
            length = float(self.rng.integers(10, 41))
            plan.append(Segment(now, now + length, self.keys[place][1]))
            now += length
        return plan

    def frames(self, plan: list[Segment]) -> Iterator[Picture]:
        """One frame a second."""
        for segment in plan:
            others = [self.keys[i] for i in self.rng.choice(len(self.keys), 4, replace=False)]
            beside = [self.photo(key) for key in others]
            scene = Scene.of(beside[0], beside[1:], self.height, self.rng)
            light, away = some_light(0.2, self.rng), self.rng.uniform(0, 0.5)
            scale = self.rng.uniform(0.35, 0.95)
            for _ in range(int(segment.end - segment.start)):
                yield lit(self.frame(scene, segment, others[-1], away, scale), light)

    def frame(
        self, scene: Scene, segment: Segment, other: tuple[str, str], away: float, scale: float
    ) -> Picture:
        if segment.product_id is None:
            return scene.ground
        shown = other if self.rng.random() < away else ("", segment.product_id)
        return scene.holding(self.photo(shown), scale, self.rng)

    def photo(self, key: tuple[str, str]) -> Picture:
        photos = self.examples.photos[key]
        return image.read(photos[int(self.rng.integers(len(photos)))].path, self.height)

    def words(self, plan: list[Segment]) -> list[Utterance]:
        """Something said every five seconds."""
        said = []
        for segment in plan:
            for start in np.arange(segment.start, segment.end, 5.0):
                said.append(Utterance(start, min(start + 5, segment.end), self.line(segment)))
        return said

    def line(self, segment: Segment) -> str:
        if segment.product_id is None:
            fillings = self.phrases.fillings
            return fillings[int(self.rng.integers(len(fillings)))]
        sold = self.examples.products["", segment.product_id]
        other = self.examples.products[self.keys[int(self.rng.integers(len(self.keys)))]]
        others = [other] if other is not sold else []
        told = self.told.get(sold.key, ())
        said = synthetic_transcripts.transcript(sold, others, told, self.rng, self.phrases)
        return synthetic_transcripts.worn(said, 0.15, self.rng)


def recognised(director: Director, recognizer: Recognizer) -> Watched:
    """Compose a stream, write its frames, watch it."""
    plan = director.plan()
    with tempfile.TemporaryDirectory() as folder:
        for number, frame in enumerate(director.frames(plan)):
            Image.fromarray(frame).save(Path(folder) / f"{number:05}.png")
        return plan, recognizer.watch(folder, director.words(plan))


def composed(used: Embedder, given: argparse.Namespace) -> Iterator[Watched]:
    """Streams of photographs, with their truth and what was recognised."""
    examples = Examples([dataset.read(given.catalogue), dataset.read(given.photos)])
    shelf = shelf_of(used, list(examples.products.values()))
    sayings = [given.sayings] if given.sayings else []
    rng = np.random.default_rng(given.seed)
    director = Director(examples, rng, used.max_side, sayings, given.phrases)
    for _ in range(given.streams):
        yield recognised(director, Recognizer(used, shelf))


def of_world(used: Embedder, folder: Path) -> Iterator[Watched]:
    """The streams of a dataset."""
    data = dataset.read(folder)
    shelves = {
        shop: shelf_of(used, [p for p in data.products if p.shop_id == shop])
        for shop in {stream.shop_id for stream in data.streams}
    }
    for stream in data.streams:
        recognizer = Recognizer(used, shelves[stream.shop_id])
        yield list(stream.timeline), recognizer.watch(stream.video, stream.transcript)


def shelf_of(used: Embedder, products: list[Product]) -> Shelf:
    contents = [record_content.product_content(p, max_side=used.max_side) for p in products]
    return Shelf(products, used.products(contents))


class Moment(NamedTuple):
    """What is believed of one: -log of the truth; how sure its segment is, and whether right."""

    loss: float
    sure: float
    right: bool


class Fit(NamedTuple):
    """What settings are worth, by kind of streams: the share of time right, the log loss of
    moments (of all together), their calibration errors."""

    settings: TimelineSettings
    shares: list[float]
    loss: float
    errors: list[float]

    @property
    def share(self) -> float:
        """The mean over kinds of streams."""
        return fmean(self.shares)


def fitted(kinds: list[list[Watched]], settings: TimelineSettings) -> Fit:
    shares = [share_right(watched, settings) for watched in kinds]
    believed = [[m for one in watched for m in moments(*one, settings)] for watched in kinds]
    loss = fmean(moment.loss for found in believed for moment in found)
    return Fit(settings, shares, loss, [error(found) for found in believed])


def error(found: list[Moment]) -> float:
    return expected_calibration_error([m.sure for m in found], [m.right for m in found])


def share_right(watched: list[Watched], settings: TimelineSettings) -> float:
    """The share of the time of some streams for which the settings are right."""
    found = [
        agreement(plan, segments(r.times, r.scores, r.product_ids, settings, (0, r.duration_s)))
        for plan, r in watched
    ]
    return sum(a.agreed_s for a in found) / sum(a.total_s for a in found)


def moments(
    plan: list[Segment], found: Recognition, settings: TimelineSettings
) -> Iterator[Moment]:
    """What is believed of each moment that the plan covers, given the whole stream."""
    states, span = (*found.product_ids, None), (0, found.duration_s)
    chances = np.exp(smoothed(evidence(found.scores, settings), settings.switch_cost))
    told = segments(found.times, found.scores, found.product_ids, settings, span)
    for time_s, row in zip(found.times, chances, strict=True):
        for truth in at(plan, time_s):
            for segment in at(told, time_s):
                chance = row[states.index(truth.product_id)]
                right = segment.product_id == truth.product_id
                yield Moment(-log(max(LEAST, chance)), segment.confidence, right)


def at(timeline: Sequence[Segment], time_s: float) -> Iterator[Segment]:
    """The segment of a moment, if any."""
    return (segment for segment in timeline if segment.start <= time_s < segment.end)


def chosen(fits: list[Fit]) -> Fit:
    """The least error of those that are right nearly as long as the best, at nearly the least loss
    of these."""
    best = max(fit.share for fit in fits)
    good = [fit for fit in fits if fit.share >= best - NEARLY]
    least = min(fit.loss for fit in good)
    sound = [fit for fit in good if fit.loss <= least + AS_LITTLE]
    return min(sound, key=lambda fit: fmean(fit.errors))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("catalogue", type=Path)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--streams", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--world", type=Path)
    parser.add_argument("--sayings", type=Path, help="what is told of the products")
    parser.add_argument("--phrases", type=Path, help="what is said around it")
    return parser.parse_args()


def main() -> None:
    given = parsed()
    used = opening.embedder(given.model)
    kinds = [list(composed(used, given))]
    if given.world is not None:
        kinds.append(list(of_world(used, given.world)))
    print(
        "temperature  switch_cost  nothing_threshold  log loss  time right: mean, composed, world"
        "  ECE: composed, world"
    )
    fits = []
    for heat, cost, threshold in grid(TEMPERATURES, COSTS, THRESHOLDS):
        settings = TimelineSettings(cost, threshold, temperature=heat)
        fits.append(fitted(kinds, settings))
        print(line(fits[-1]), flush=True)
    print(f"chosen: within {NEARLY} of the best share and {AS_LITTLE} nats, the least mean ECE")
    print(line(chosen(fits)))


def line(fit: Fit) -> str:
    shown = "  ".join(f"{share:.3f}" for share in [fit.share, *fit.shares, *fit.errors])
    heat, cost = fit.settings.temperature, fit.settings.switch_cost
    set_to = f"{heat:11.2f}  {cost:11.1f}  {fit.settings.nothing_threshold:17.2f}"
    return f"{set_to}  {fit.loss:8.3f}  {shown}"


if __name__ == "__main__":
    main()
