"""Make a world on disk: shops with pictures, clips and streams with their truth, in splits.

    OUT/train, OUT/val, OUT/test   a dataset each (products.jsonl, clips.jsonl, images/, videos/,
                                   streams/), of shops that no other split has
    OUT/.synth/                    the settings, and what is finished; remove it to start afresh

Making it again goes on where it stopped: finished films and pictures are left as they are.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from PIL import Image

from sgmn.background import follow_parent
from sgmn.data.dataset import write_jsonl
from sgmn.errors import SettingsError
from sgmn.records import Picture
from sgmn.synth import product_photo, records, scenario, shop
from sgmn.synth.footage import Film
from sgmn.synth.preview import preview
from sgmn.synth.scenario import Scenario
from sgmn.synth.settings import WorldSettings

__all__ = ["Progress", "WorldSettings", "make", "preview"]

Progress = Callable[[int, int, str], None]  # how many jobs are done, of how many, the last one
Job = tuple[str, int, int]  # kind, shop, number within the shop or world
_WORK = ".synth"
_MAY_GROW = ("clips", "streams")


def make(
    out: Path,
    settings: WorldSettings,
    processes: int = 1,
    progress: Progress | None = None,
    only: str | None = None,
) -> dict[str, int]:
    """Make what is missing of a world in the folder `out`; how many there are of each kind.

    Of one split where `only` names it; the others can be made later, and no byte will differ.
    Raises SettingsError when `out` holds a world of other settings (more clips or streams are
    welcome), and for a split that no shop is in. Each process uses one core; the number of them
    changes no byte.
    """
    out = Path(out)
    splits = _wanted(settings, only)
    _require_same(out, settings)
    jobs = [job for job in _jobs(settings) if settings.splits[job[1]] in splits]
    for done, job in enumerate(_worked(out, settings, jobs, processes), start=1):
        if progress is not None:
            progress(done, len(jobs), f"{job[0]} {job[2]}")
    for split in splits:
        _write_lines(out, settings, split)
    return dict(Counter(f"{kind}s" for kind, _, _ in jobs))


def _wanted(settings: WorldSettings, only: str | None) -> tuple[str, ...]:
    """The splits to make, in the order of their first shops."""
    splits = tuple(dict.fromkeys(settings.splits))
    if only is None:
        return splits
    if only not in splits:
        raise SettingsError(
            f"no shop is in the split {only!r}", remedy=f"take one of {', '.join(splits)}"
        )
    return (only,)


def _require_same(out: Path, settings: WorldSettings) -> None:
    path = out / _WORK / "settings.json"
    wanted = json.loads(json.dumps(asdict(settings)))
    if path.exists():
        held = json.loads(path.read_text(encoding="utf-8"))
        for name, value in wanted.items():
            grown = name in _MAY_GROW and held.get(name, 0) <= value
            if held.get(name) != value and not grown:
                what = f"was made with {name!r} {held.get(name)!r} instead of {value!r}"
                raise SettingsError(what, out, "use the same settings, or another folder")
    write_jsonl(path, [wanted])


def _jobs(settings: WorldSettings) -> Iterator[Job]:
    for number in range(settings.streams):  # the longest first: no process waits at the end
        yield "stream", scenario.stream_shop(settings, number), number
    for number in range(settings.clips):
        yield "clip", scenario.clip_shop(settings, number), number
    for at_shop in range(settings.shops):
        for number in range(settings.products):
            yield "product", at_shop, number


def _worked(out: Path, settings: WorldSettings, jobs: list[Job], processes: int) -> Iterator[Job]:
    """Each job once it is done."""
    if processes <= 1:
        for job in jobs:
            yield work(out, settings, job)
        return
    with ProcessPoolExecutor(processes, get_context("spawn"), follow_parent) as pool:
        try:
            for future in as_completed([pool.submit(work, out, settings, job) for job in jobs]):
                yield future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def work(out: Path, settings: WorldSettings, job: Job) -> Job:
    """Do one job unless it is done already; every file appears whole or not at all."""
    kind, at_shop, number = job
    root = out / settings.splits[at_shop]
    if kind == "product":
        _picture(root, settings, at_shop, number)
    elif kind == "clip":
        _clip(out, root, settings, number)
    else:
        _stream(root, settings, number)
    return job


def _picture(root: Path, settings: WorldSettings, at_shop: int, number: int) -> None:
    article = scenario.of_shop(settings, at_shop)[number]
    paths = [records.image_path(root, article, view) for view in range(settings.views)]
    missing = [view for view, path in enumerate(paths) if not path.exists()]
    if not missing:
        return
    solid = scenario.built(article, min(512, settings.image_px))
    for view in missing:
        _save(paths[view], product_photo.picture(solid, settings.image_px, view))


def _save(path: Path, picture: Picture) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.part")
    Image.fromarray(picture).save(draft, "JPEG", quality=90)
    draft.replace(path)


def _clip(out: Path, root: Path, settings: WorldSettings, number: int) -> None:
    plan = scenario.clip(settings, number)
    note = _note(out, plan.name)
    video = records.video_path(root, plan, "videos")
    if note.exists() and video.exists():
        return
    frames = film(plan, settings, video)
    split = settings.splits[plan.shop]
    write_jsonl(note, [records.clip(plan, frames, root, split)])


def _stream(root: Path, settings: WorldSettings, number: int) -> None:
    plan = scenario.stream(settings, number)
    video = records.video_path(root, plan, "streams")
    note = video.with_suffix(".json")
    if note.exists() and video.exists():
        return
    frames = film(plan, settings, video)
    shop_id = shop.shop_name(settings.seed, plan.shop)
    write_jsonl(note, [records.stream(plan, frames, shop_id, settings.splits[plan.shop])])


def film(plan: Scenario, settings: WorldSettings, path: Path) -> list[tuple[float, records.Boxes]]:
    """Shoot a film into a file; time and boxes of its sampled frames."""
    shot = Film(scenario.set_of(plan, settings))
    count = round(plan.seconds * settings.fps)
    every = max(1, round(settings.fps / settings.boxes_hz))
    sampled: list[tuple[float, records.Boxes]] = []

    def pictures() -> Iterator[Picture]:
        for frame in shot.frames(count, settings.fps, every):
            if frame.boxes is not None:
                sampled.append((frame.time, frame.boxes))
            yield frame.picture

    words = plan.words if settings.audio else None
    scenario.recorder(plan, settings).write(path, pictures(), words)
    return sampled


def _note(out: Path, name: str) -> Path:
    return out / _WORK / "clips" / f"{name}.json"


def _write_lines(out: Path, settings: WorldSettings, split: str) -> None:
    root = out / split
    shops = [n for n, own in enumerate(settings.splits) if own == split]
    products = (
        records.product(article, root, split, settings.views)
        for number in shops
        for article in scenario.of_shop(settings, number)
    )
    write_jsonl(root / "products.jsonl", products)
    write_jsonl(root / "clips.jsonl", _clip_lines(out, settings, frozenset(shops)))


def _clip_lines(
    out: Path, settings: WorldSettings, shops: frozenset[int]
) -> Iterator[Mapping[str, Any]]:
    for number in range(settings.clips):
        if scenario.clip_shop(settings, number) in shops:
            name = scenario.clip_name(settings, number)
            yield json.loads(_note(out, name).read_text(encoding="utf-8"))
