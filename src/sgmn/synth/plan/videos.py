"""The complete plan of a clip or stream, drawn from its seed before anything is rendered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np

from sgmn.records import Utterance
from sgmn.synth.plan.timeline import Presentation, SaleSlot, plan_presentations
from sgmn.synth.plan.transcript import SpeechStyle, generate_transcript
from sgmn.synth.products import catalog
from sgmn.synth.products.spec import ProductSpec
from sgmn.synth.settings import WorldSettings

_CLIP, _STREAM = 21, 22  # keep the random numbers of clips and streams apart


@dataclass(frozen=True, slots=True)
class VideoPlan:
    """What happens in a clip or stream.

    `products` are all products of the video, those on sale first; slots, presentations and
    `distractors` (the products that stand in the scene) hold indices into them.
    """

    video_id: str
    shop: int
    duration_s: float
    products: tuple[ProductSpec, ...]
    slots: tuple[SaleSlot, ...]
    presentations: tuple[Presentation, ...]
    distractors: tuple[int, ...]
    transcript: tuple[Utterance, ...]
    visible_fraction: float
    seed: tuple[int, ...]


def shop_products(settings: WorldSettings, shop: int) -> tuple[ProductSpec, ...]:
    """Return the products of a shop."""
    return _cached_products(settings.seed, shop, settings.products_per_shop, settings.twin_fraction)


@lru_cache(maxsize=8)
def _cached_products(
    seed: int, shop: int, count: int, twin_fraction: float
) -> tuple[ProductSpec, ...]:
    """Cache the products of a shop, because each of its clips needs them."""
    return catalog.generate_products(seed, shop, count, twin_fraction)


def shop_of_clip(settings: WorldSettings, number: int) -> int:
    """Return the shop of clip `number`; shops take turns."""
    return number % settings.shops


def shop_of_stream(settings: WorldSettings, number: int) -> int:
    """Return the shop of stream `number`; the last shops, which are test shops, come first."""
    return (settings.shops - 1 - number) % settings.shops


def clip_id(settings: WorldSettings, number: int) -> str:
    """Return the id of clip `number`."""
    return f"{catalog.shop_id(settings.seed, shop_of_clip(settings, number))}-c{number:05d}"


def plan_clip(settings: WorldSettings, number: int) -> VideoPlan:
    """Plan clip `number`, which sells one product or two, one after the other."""
    shop, turn = shop_of_clip(settings, number), number // settings.shops
    seed = (settings.seed, _CLIP, number)
    rng = np.random.default_rng(seed)
    duration_s = _round_to_frames(rng.uniform(*settings.clip_duration_s), settings.fps)
    products = shop_products(settings, shop)
    order = np.random.default_rng((settings.seed, _CLIP + 10, shop)).permutation(len(products))
    on_sale = [products[order[turn % len(products)]]]
    if rng.random() < settings.two_product_prob and duration_s >= 8:
        on_sale.append(products[order[(turn + 1) % len(products)]])
    edges = _draw_slot_edges(duration_s, len(on_sale), rng)
    slots = [SaleSlot(a, b, i) for i, (a, b) in enumerate(pairwise(edges))]
    return _plan_video(settings, clip_id(settings, number), shop, on_sale, slots, seed, rng)


def plan_stream(settings: WorldSettings, number: int) -> VideoPlan:
    """Plan stream `number`, which sells many products with pauses between some of them."""
    shop = shop_of_stream(settings, number)
    seed = (settings.seed, _STREAM, number)
    rng = np.random.default_rng(seed)
    duration_s = _round_to_frames(rng.uniform(*settings.stream_duration_s), settings.fps)
    products = shop_products(settings, shop)
    order = rng.permutation(len(products))
    slots = _draw_stream_slots(settings, duration_s, len(products), rng)
    on_sale = [products[order[i]] for i in range(1 + max(s.product or 0 for s in slots))]
    stream_id = f"{catalog.shop_id(settings.seed, shop)}-l{number:03d}"
    return _plan_video(settings, stream_id, shop, on_sale, slots, seed, rng)


def _draw_stream_slots(
    settings: WorldSettings, duration_s: float, product_count: int, rng: np.random.Generator
) -> list[SaleSlot]:
    """Draw the slots of a stream: a greeting first, and pauses between some of the sales."""
    slots: list[SaleSlot] = []
    time, product, idle_s = 0.0, 0, settings.idle_fraction * duration_s
    while time < duration_s:
        left = duration_s - time
        is_pause = idle_s > 1 and (not slots or rng.random() < 0.4 or left <= idle_s)
        length = rng.uniform(3, 10) if is_pause else rng.uniform(*settings.sale_duration_s)
        length = min(length, idle_s) if is_pause else length
        end = time + _round_to_frames(length, settings.fps)
        end = duration_s if duration_s - end < 4 else min(end, duration_s)
        slots.append(SaleSlot(time, round(end, 3), None if is_pause else product % product_count))
        idle_s -= (end - time) if is_pause else 0
        product += 0 if is_pause else 1
        time = round(end, 3)
    return slots


def _plan_video(
    settings: WorldSettings,
    video_id: str,
    shop: int,
    on_sale: Sequence[ProductSpec],
    slots: Sequence[SaleSlot],
    seed: tuple[int, ...],
    rng: np.random.Generator,
) -> VideoPlan:
    candidates = shop_products(settings, shop)
    distractor_count = int(rng.integers(settings.distractors[0], settings.distractors[1] + 1))
    distractors = _draw_others(on_sale, candidates, distractor_count, rng)
    in_hand = _draw_others([*on_sale, *distractors], candidates, 2, rng, twins_of=on_sale)
    products = (*on_sale, *distractors, *in_hand)
    visible_fraction = float(rng.uniform(*settings.visible_fraction))
    first_in_hand = len(on_sale) + len(distractors)
    others = range(first_in_hand, len(products))
    presentations = _draw_presentations(settings, slots, visible_fraction, others, rng)
    return VideoPlan(
        video_id=video_id,
        shop=shop,
        duration_s=slots[-1].end,
        products=products,
        slots=tuple(slots),
        presentations=tuple(presentations),
        distractors=tuple(range(len(on_sale), first_in_hand)),
        transcript=tuple(_draw_transcript(settings, slots, products, len(on_sale), rng)),
        visible_fraction=round(visible_fraction, 4),
        seed=seed,
    )


def _draw_presentations(
    settings: WorldSettings,
    slots: Sequence[SaleSlot],
    visible_fraction: float,
    others: Sequence[int],
    rng: np.random.Generator,
) -> list[Presentation]:
    area = float(np.exp(rng.uniform(*np.log(settings.product_area))))
    area_range = (max(0.8 * area, 0.005), 1.2 * area)
    return [
        presentation
        for slot in slots
        for presentation in plan_presentations(
            slot, visible_fraction, others, settings.other_in_hand_prob, area_range, rng
        )
    ]


def _draw_others(
    taken: Sequence[ProductSpec],
    candidates: Sequence[ProductSpec],
    count: int,
    rng: np.random.Generator,
    twins_of: Sequence[ProductSpec] = (),
) -> list[ProductSpec]:
    """Draw `count` products that are not taken; up to half are twins of those in `twins_of`.

    `twins_of` defaults to the taken products.
    """
    taken_ids = {product.product_id for product in taken}
    groups = {product.group for product in (twins_of or taken)}
    shuffled = [candidates[i] for i in rng.permutation(len(candidates))]
    free = [product for product in shuffled if product.product_id not in taken_ids]
    twins = [product for product in free if product.group in groups][: (count + 1) // 2]
    rest = [product for product in free if product.group not in groups]
    chosen = (twins + rest)[:count]
    return [chosen[i] for i in rng.permutation(len(chosen))]


def _draw_transcript(
    settings: WorldSettings,
    slots: Sequence[SaleSlot],
    products: Sequence[ProductSpec],
    on_sale_count: int,
    rng: np.random.Generator,
) -> list[Utterance]:
    style = SpeechStyle(settings.naming_prob, settings.comparison_prob, settings.asr_error_level)
    utterances: list[Utterance] = []
    for number, slot in enumerate(slots):
        product = None if slot.product is None else products[slot.product]
        mentioned: list[ProductSpec] = []
        if product is not None:
            others = list(products[on_sale_count:])
            mentioned = [other for other in others if other.group == product.group] + others[:2]
        greet = number == 0 and (product is None or rng.random() < 0.3)
        utterances += generate_transcript(
            slot.start, slot.end, product, mentioned, style, rng, greet=greet
        )
    return utterances


def _round_to_frames(seconds: float, fps: float) -> float:
    """Round a duration to a whole number of frames, at least one, in milliseconds."""
    return round(max(1, round(float(seconds) * fps)) / fps, 3)


def _draw_slot_edges(duration_s: float, parts: int, rng: np.random.Generator) -> list[float]:
    inner = [duration_s * (i + rng.uniform(-0.15, 0.15)) / parts for i in range(1, parts)]
    return [0.0, *(round(float(t), 3) for t in inner), duration_s]
