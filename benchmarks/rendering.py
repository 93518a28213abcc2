"""How fast is a world made, beside the bare renderer? Prints a table of CPU seconds and ratios.

For each of a few clips, one after the other in each round:
  tape      frames, composed and encoded, as `sgmn synth` makes them
  frames    the same without noise and encoding
  moving    the bare renderer on what moves alone (arms and product, every frame)
  afresh    the bare renderer on the whole scene in every frame, which the plate saves
and for each of a few products:
  picture   a shop image with its ground and soft shadow, in four samples a pixel, built and drawn
  bare      the bare renderer on the solid that was built already
CPU seconds of this process, all threads; the median of the rounds counts.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from sgmn.synth import host, product_photo, room, scenario, world
from sgmn.synth.action import Action
from sgmn.synth.footage import Film
from sgmn.synth.render import Scene
from sgmn.synth.scenario import Scenario
from sgmn.synth.settings import WorldSettings

Sides = dict[str, Callable[[], object]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=3, help="different clips")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of each")
    parser.add_argument("--images", type=int, default=12, help="different products")
    parser.add_argument("--repeats", type=int, default=3, help="rounds; the median counts")
    parser.add_argument("--size", type=int, nargs=2, default=(540, 960), help="width and height")
    parser.add_argument("--fps", type=float, default=6.0)
    options = parser.parse_args()
    settings = WorldSettings(
        shops=1,
        train=1.0,
        val=0.0,
        test=0.0,
        size=tuple(options.size),
        fps=options.fps,
        clip_s=(options.seconds, options.seconds),
    )
    films = measured(film_sides(settings, options.clips), options.repeats)
    show_films(films, options.clips * options.seconds, settings)
    images = measured(image_sides(settings, options.images), options.repeats)
    show_images(images, options.images)


def measured(sides: Sides, repeats: int) -> dict[str, float]:
    """Median CPU seconds of each side; the sides take turns."""
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(repeats):
        for name, side in sides.items():
            began = time.process_time()
            side()
            taken[name].append(time.process_time() - began)
    return {name: statistics.median(times) for name, times in taken.items()}


def film_sides(settings: WorldSettings, clips: int) -> Sides:
    plans = [scenario.clip(settings, number) for number in range(clips)]
    return {
        "tape": lambda: [tape(plan, settings) for plan in plans],
        "frames": lambda: [frames(plan, settings) for plan in plans],
        "moving": lambda: [bare(plan, settings, whole=False) for plan in plans],
        "afresh": lambda: [bare(plan, settings, whole=True) for plan in plans],
    }


def tape(plan: Scenario, settings: WorldSettings) -> None:
    with tempfile.TemporaryDirectory() as folder:
        world.film(plan, settings, Path(folder) / "clip.mp4")


def frames(plan: Scenario, settings: WorldSettings) -> None:
    film = Film(scenario.set_of(plan, settings))
    count = round(plan.seconds * settings.fps)
    every = max(1, round(settings.fps / settings.boxes_hz))
    for _ in film.frames(count, settings.fps, every):
        pass


def bare(plan: Scenario, settings: WorldSettings, *, whole: bool) -> None:
    made = scenario.set_of(plan, settings)
    action = Action(made.stage.who, made.solids, made.showings, made.camera)
    still = [(room.ROOM, room.room(made.stage)), (room.HOST, host.body(made.stage.who))]
    still += [
        (room.FIRST + place, room.standing(made.solids[place], rest))
        for place, rest in made.rests.items()
    ]
    rays = made.camera.rays()
    for number in range(round(plan.seconds * settings.fps)):
        things = action.things(number / settings.fps)
        scene = Scene([*still, *things] if whole else things)
        scene.view(rays, made.stage.light, cell=0 if whole else 4)


def image_sides(settings: WorldSettings, images: int) -> Sides:
    articles = scenario.of_shop(settings, 0)[:images]
    solids = [scenario.built(article, settings.image_px) for article in articles]
    side = settings.image_px
    return {
        "picture": lambda: [
            product_photo.picture(scenario.built(article, side), side) for article in articles
        ],
        "bare": lambda: [
            Scene([(1, solid)]).view(
                product_photo.camera(solid, 0.2, side).rays(0.5), product_photo.LIGHT
            )
            for solid in solids
        ],
    }


def show_films(taken: dict[str, float], seconds: float, settings: WorldSettings) -> None:
    wide, high = settings.size
    print(f"{seconds:g} s of video, {wide} x {high} at {settings.fps:g} frames a second")
    print(f"{'side':<10}{'CPU s':>8}{'CPU s a s':>12}{'video s a CPU s':>18}{'of tape':>9}")
    for name, value in taken.items():
        rate, share = value / seconds, value / taken["tape"]
        print(f"{name:<10}{value:>8.2f}{rate:>12.3f}{1 / rate:>18.2f}{share:>9.2f}")
    print(f"afresh / tape = {taken['afresh'] / taken['tape']:.2f} (aim: above 1)")


def show_images(taken: dict[str, float], count: int) -> None:
    side = WorldSettings().image_px
    print(f"\n{count} shop images of {side} x {side}")
    print(f"{'side':<10}{'CPU s':>8}{'images a CPU s':>16}")
    for name, value in taken.items():
        print(f"{name:<10}{value:>8.2f}{count / value:>16.2f}")


if __name__ == "__main__":
    main()
