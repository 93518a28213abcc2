"""How fast is a world generated, compared with the bare renderer?

    python benchmarks/rendering.py [--clips 3] [--seconds 10] [--images 12]

Prints CPU seconds of this process (all threads, median of the rounds) and ratios. For some clips:
  video       frames composed and encoded, as `sgmn synth` does
  frames      the same without sensor noise and encoding
  moving      the bare renderer on the moving objects only (arms and product, every frame)
  everything  the bare renderer on the whole scene in every frame, which a cached background saves
For some products:
  photo       a listing photo with ground and soft shadow, including building the solid
  bare        the bare renderer on a solid that is already built
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from sgmn.synth import world
from sgmn.synth.graphics.mesh import Solid
from sgmn.synth.graphics.renderer import Scene
from sgmn.synth.plan.videos import VideoPlan, plan_clip, shop_products
from sgmn.synth.products.catalog import build_solid
from sgmn.synth.products.photo import PHOTO_LIGHTING, photo_camera, render_photo
from sgmn.synth.products.spec import ProductSpec
from sgmn.synth.settings import WorldSettings
from sgmn.synth.video.animation import Animation
from sgmn.synth.video.frame_renderer import FrameRenderer
from sgmn.synth.video.presenter import build_body
from sgmn.synth.video.room import FIRST_PRODUCT_ID, PRESENTER_ID, ROOM_ID, build_room, place_solid
from sgmn.synth.video.setup import build_setup

Variants = dict[str, Callable[[], object]]


def main() -> None:
    options = parse_options()
    settings = WorldSettings(
        shops=1,
        train_ratio=1.0,
        val_ratio=0.0,
        test_ratio=0.0,
        frame_size=tuple(options.size),
        fps=options.fps,
        clip_duration_s=(options.seconds, options.seconds),
    )
    video_times = measure(video_variants(settings, options.clips), options.repeats)
    print_video_table(video_times, options.clips * options.seconds, settings)
    photo_times = measure(photo_variants(settings, options.images), options.repeats)
    print_photo_table(photo_times, options.images)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=3, help="number of clips")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of each clip")
    parser.add_argument("--images", type=int, default=12, help="number of products")
    parser.add_argument("--repeats", type=int, default=3, help="rounds")
    parser.add_argument("--size", type=int, nargs=2, default=(540, 960), help="width and height")
    parser.add_argument("--fps", type=float, default=6.0)
    return parser.parse_args()


def measure(variants: Variants, repeats: int) -> dict[str, float]:
    """Return the median CPU seconds of each variant; the variants take turns."""
    times: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(repeats):
        for name, run in variants.items():
            start = time.process_time()
            run()
            times[name].append(time.process_time() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def video_variants(settings: WorldSettings, clips: int) -> Variants:
    plans = [plan_clip(settings, number) for number in range(clips)]
    return {
        "video": lambda: sum(write_video(plan, settings) for plan in plans),
        "frames": lambda: sum(render_frames(plan, settings) for plan in plans),
        "moving": lambda: sum(render_bare(plan, settings, everything=False) for plan in plans),
        "everything": lambda: sum(render_bare(plan, settings, everything=True) for plan in plans),
    }


def write_video(plan: VideoPlan, settings: WorldSettings) -> int:
    """Return the number of annotated frames."""
    with tempfile.TemporaryDirectory() as folder:
        return len(world.render_video(plan, settings, Path(folder) / "clip.mp4"))


def render_frames(plan: VideoPlan, settings: WorldSettings) -> int:
    """Return the number of frames."""
    renderer = FrameRenderer(build_setup(plan, settings))
    count = round(plan.duration_s * settings.fps)
    boxes_every = max(1, round(settings.fps / settings.box_rate_hz))
    return sum(1 for _ in renderer.render_frames(count, settings.fps, boxes_every))


def render_bare(plan: VideoPlan, settings: WorldSettings, *, everything: bool) -> int:
    """Return the number of frames."""
    setup = build_setup(plan, settings)
    animation = Animation(setup.room.presenter, setup.solids, setup.presentations, setup.camera)
    background: list[tuple[int, Solid]] = [
        (ROOM_ID, build_room(setup.room)),
        (PRESENTER_ID, build_body(setup.room.presenter)),
    ]
    background += [
        (FIRST_PRODUCT_ID + index, place_solid(setup.solids[index], placement))
        for index, placement in setup.placements.items()
    ]
    rays = setup.camera.rays()
    count = round(plan.duration_s * settings.fps)
    for number in range(count):
        moving = animation.objects_at(number / settings.fps)
        scene = Scene([*background, *moving] if everything else moving)
        scene.render(rays, setup.room.lighting, search_step=0 if everything else 4)
    return count


def photo_variants(settings: WorldSettings, images: int) -> Variants:
    products = shop_products(settings, 0)[:images]
    size_px = settings.image_size_px
    solids = [build_solid(product, size_px) for product in products]

    def photo(product: ProductSpec) -> object:
        return render_photo(build_solid(product, size_px), size_px)

    def bare(solid: Solid) -> object:
        rays = photo_camera(solid, 0.2, size_px).rays(0.5)
        return Scene([(1, solid)]).render(rays, PHOTO_LIGHTING)

    return {
        "photo": lambda: [photo(product) for product in products],
        "bare": lambda: [bare(solid) for solid in solids],
    }


def print_video_table(times: dict[str, float], seconds: float, settings: WorldSettings) -> None:
    width, height = settings.frame_size
    print(f"{seconds:g} s of video, {width} x {height} at {settings.fps:g} frames per second")
    print(
        f"{'variant':<12}{'CPU s':>8}{'CPU s per s':>13}{'video s per CPU s':>19}{'of video':>10}"
    )
    for name, value in times.items():
        rate, fraction = value / seconds, value / times["video"]
        print(f"{name:<12}{value:>8.2f}{rate:>13.3f}{1 / rate:>19.2f}{fraction:>10.2f}")
    print(f"everything / video = {times['everything'] / times['video']:.2f} (target: above 1)")


def print_photo_table(times: dict[str, float], count: int) -> None:
    size_px = WorldSettings().image_size_px
    print(f"\n{count} listing photos of {size_px} x {size_px}")
    print(f"{'variant':<12}{'CPU s':>8}{'photos per CPU s':>18}")
    for name, value in times.items():
        print(f"{name:<12}{value:>8.2f}{count / value:>18.2f}")


if __name__ == "__main__":
    main()
