"""What one clip or stream is about: drawn whole from its seed, before anything is rendered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np

from sgmn.records import Utterance
from sgmn.synth import narration, room, shop, storyboard
from sgmn.synth.footage import Set
from sgmn.synth.mesh import Solid
from sgmn.synth.overlay import Overlay
from sgmn.synth.product import Article, Family
from sgmn.synth.render import Camera
from sgmn.synth.settings import WorldSettings
from sgmn.synth.storyboard import Sale, Showing
from sgmn.synth.video_writer import Recorder

_CLIP, _STREAM = 21, 22  # streams of random numbers of their own
_LEAST_DETAIL = 96  # pixels; with fewer a label has no room for its words
_TABLE = 3  # distractors on the table; the others stand on the shelves
_FAMILIES: dict[str, Family] = {family.name: family for family in shop.FAMILIES}


@dataclass(frozen=True, slots=True)
class Scenario:
    """A film before it is shot. `cast` are all products seen in it; sales count places in it."""

    name: str
    shop: int
    seconds: float
    cast: tuple[Article, ...]
    sales: tuple[Sale, ...]
    showings: tuple[Showing, ...]
    resting: tuple[int, ...]
    words: tuple[Utterance, ...]
    visible: float
    seed: tuple[int, ...]


@lru_cache(maxsize=8)
def stock(seed: int, number: int, count: int, twins: float) -> tuple[Article, ...]:
    """The articles of a shop; kept, because every clip of the shop asks for them."""
    return shop.articles(seed, number, count, twins)


def of_shop(settings: WorldSettings, number: int) -> tuple[Article, ...]:
    """The articles of shop `number` of a world."""
    return stock(settings.seed, number, settings.products, settings.twins)


def clip_shop(settings: WorldSettings, number: int) -> int:
    """The shop of clip `number`; shops take turns."""
    return number % settings.shops


def stream_shop(settings: WorldSettings, number: int) -> int:
    """The shop of stream `number`; the last shops, which are the test's, come first."""
    return (settings.shops - 1 - number) % settings.shops


def clip_name(settings: WorldSettings, number: int) -> str:
    """The id of clip `number`."""
    return f"{shop.shop_name(settings.seed, clip_shop(settings, number))}-c{number:05d}"


def clip(settings: WorldSettings, number: int) -> Scenario:
    """Clip `number`: one product on sale throughout, or two, one after the other."""
    at_shop, turn = clip_shop(settings, number), number // settings.shops
    seed = (settings.seed, _CLIP, number)
    rng = np.random.default_rng(seed)
    seconds = _whole(rng.uniform(*settings.clip_s), settings.fps)
    articles = of_shop(settings, at_shop)
    order = np.random.default_rng((settings.seed, _CLIP + 10, at_shop)).permutation(len(articles))
    sold = [articles[order[turn % len(articles)]]]
    if rng.random() < settings.several and seconds >= 8:
        sold.append(articles[order[(turn + 1) % len(articles)]])
    edges = _cuts(seconds, len(sold), rng)
    sales = [Sale(a, b, i) for i, (a, b) in enumerate(pairwise(edges))]
    name = clip_name(settings, number)
    return _scenario(settings, name, at_shop, seconds, sold, sales, seed, rng)


def stream(settings: WorldSettings, number: int) -> Scenario:
    """Stream `number`: many products in turn, with pauses in which nothing is on sale."""
    at_shop = stream_shop(settings, number)
    seed = (settings.seed, _STREAM, number)
    rng = np.random.default_rng(seed)
    seconds = _whole(rng.uniform(*settings.stream_s), settings.fps)
    articles = of_shop(settings, at_shop)
    order = rng.permutation(len(articles))
    sales = _programme(settings, seconds, len(articles), rng)
    sold = [articles[order[i]] for i in range(1 + max(s.product or 0 for s in sales))]
    name = f"{shop.shop_name(settings.seed, at_shop)}-l{number:03d}"
    return _scenario(settings, name, at_shop, seconds, sold, sales, seed, rng)


def _programme(
    settings: WorldSettings, seconds: float, products: int, rng: np.random.Generator
) -> list[Sale]:
    """Sales one after the other; a greeting first, and pauses between some of them."""
    sales: list[Sale] = []
    time, product, idle = 0.0, 0, settings.idle * seconds
    while time < seconds:
        left = seconds - time
        pause = idle > 1 and (not sales or rng.random() < 0.4 or left <= idle)
        length = rng.uniform(3, 10) if pause else rng.uniform(*settings.sale_s)
        length = min(length, idle) if pause else length
        end = time + _whole(length, settings.fps)
        end = seconds if seconds - end < 4 else min(end, seconds)
        sales.append(Sale(time, round(end, 3), None if pause else product % products))
        idle -= (end - time) if pause else 0
        product += 0 if pause else 1
        time = round(end, 3)
    return sales


def _scenario(
    settings: WorldSettings,
    name: str,
    at_shop: int,
    seconds: float,
    sold: Sequence[Article],
    sales: Sequence[Sale],
    seed: tuple[int, ...],
    rng: np.random.Generator,
) -> Scenario:
    resting = _others(
        sold,
        of_shop(settings, at_shop),
        int(rng.integers(settings.distractors[0], settings.distractors[1] + 1)),
        rng,
    )
    held = _others([*sold, *resting], of_shop(settings, at_shop), 2, rng, like=sold)
    cast = (*sold, *resting, *held)
    visible = float(rng.uniform(*settings.visible))
    hands = range(len(sold) + len(resting), len(cast))
    scale = float(np.exp(rng.uniform(*np.log(settings.scale))))
    showings: list[Showing] = []
    for sale in sales:
        spread = (max(0.8 * scale, 0.005), 1.2 * scale)
        showings += storyboard.showings(sale, visible, hands, settings.held_others, spread, rng)
    return Scenario(
        name=name,
        shop=at_shop,
        seconds=seconds,
        cast=cast,
        sales=tuple(sales),
        showings=tuple(showings),
        resting=tuple(range(len(sold), len(sold) + len(resting))),
        words=tuple(_words(settings, sales, cast, len(sold), rng)),
        visible=round(visible, 4),
        seed=seed,
    )


def _others(
    taken: Sequence[Article],
    articles: Sequence[Article],
    count: int,
    rng: np.random.Generator,
    like: Sequence[Article] = (),
) -> list[Article]:
    """`count` articles that are not taken, up to half of them near-twins of those on sale."""
    gone = {article.product_id for article in taken}
    groups = {article.group for article in (like or taken)}
    free = [
        a for a in (articles[i] for i in rng.permutation(len(articles))) if a.product_id not in gone
    ]
    twins = [a for a in free if a.group in groups][: (count + 1) // 2]
    rest = [a for a in free if a.group not in groups]
    found = (twins + rest)[:count]
    return [found[i] for i in rng.permutation(len(found))]


def _words(
    settings: WorldSettings,
    sales: Sequence[Sale],
    cast: Sequence[Article],
    sold: int,
    rng: np.random.Generator,
) -> list[Utterance]:
    manner = narration.Manner(settings.naming, settings.comparing, settings.speech_noise)
    found: list[Utterance] = []
    for place, sale in enumerate(sales):
        article = None if sale.product is None else cast[sale.product]
        others = [a for a in cast[sold:] if article is not None]
        twins = [a for a in others if article is not None and a.group == article.group]
        greet = place == 0 and (article is None or rng.random() < 0.3)
        spoken_of = twins + others[:2]
        found += narration.said(sale.start, sale.end, article, spoken_of, manner, rng, greet=greet)
    return found


def _whole(seconds: float, fps: float) -> float:
    """Seconds that hold a whole number of frames, to the millisecond."""
    return round(max(1, round(float(seconds) * fps)) / fps, 3)


def _cuts(seconds: float, parts: int, rng: np.random.Generator) -> list[float]:
    inner = [seconds * (i + rng.uniform(-0.15, 0.15)) / parts for i in range(1, parts)]
    return [0.0, *(round(float(t), 3) for t in inner), seconds]


def built(article: Article, detail: int) -> Solid:
    """The solid of an article, with labels about `detail` pixels high, and never tiny."""
    return _FAMILIES[article.family].build(article, max(detail, _LEAST_DETAIL))


def set_of(scenario: Scenario, settings: WorldSettings) -> Set:
    """Everything that the film needs: solids, room, camera."""
    rng = np.random.default_rng((*scenario.seed, 1))
    stage = room.drawn(rng)
    shown = {showing.product for showing in scenario.showings}
    detail = min(512, settings.size[1] // 2)
    solids = {i: built(scenario.cast[i], detail) for i in sorted(shown)}
    solids |= {i: built(scenario.cast[i], detail // 2) for i in scenario.resting}
    places = room.rests([solids[i] for i in scenario.resting], _TABLE, rng)
    rests = {i: rest for i, rest in zip(scenario.resting, places, strict=True) if rest is not None}
    largest = max((showing.share for showing in scenario.showings), default=0.1)
    chat = Overlay((*scenario.seed, 2), int(rng.integers(20, 20_000)))
    return Set(
        stage=stage,
        camera=_camera(largest, settings.size, rng),
        solids=solids,
        rests=rests,
        showings=scenario.showings,
        overlay=chat if rng.random() < settings.overlay else None,
        shake=float(rng.uniform(*settings.shake)),
        shutter_s=float(rng.uniform(0.01, 0.05)),
        seed=(*scenario.seed, 3),
    )


def _camera(largest: float, size: tuple[int, int], rng: np.random.Generator) -> Camera:
    """Large products want a longer lens, or the host's arm would have to grow."""
    zoom = float(np.clip(1.05 + 1.9 * (largest - 0.06), 1.0, 2.1)) * float(rng.uniform(0.95, 1.1))
    eye = (
        float(rng.uniform(-0.22, 0.22)),
        float(rng.uniform(0.38, 0.66)),
        float(rng.uniform(1.2, 1.4)),
    )
    target = (float(rng.uniform(-0.03, 0.03)), float(rng.uniform(0.24, 0.32)), -0.1)
    return Camera(eye, target, zoom, size)


def recorder(scenario: Scenario, settings: WorldSettings) -> Recorder:
    """How the film is taped."""
    rng = np.random.default_rng((*scenario.seed, 4))
    crf = int(rng.integers(settings.crf[0], settings.crf[1] + 1))
    noise = float(rng.uniform(*settings.noise))
    return Recorder(settings.size, settings.fps, crf, noise, (*scenario.seed, 5))
