"""How long does a command take that has hardly anything to do?

    python benchmarks/cold_start.py [--against FOLDER] [--repeats 5] [--json FILE]

Runs on one core, with warm file caches, each in a new process:
  watch  `sgmn watch` of a recording of two seconds, an index of 100 products, the built-in model
  help   `sgmn --help`
  torch  `python -c "import torch"`, below which `watch` cannot fall
With --against, another checkout of this project runs the same commands in turns with this one.
Prints the best and the median of wall and CPU seconds (user and system).
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from PIL import Image

HERE = Path(__file__).parent.parent
PRODUCTS, SIDE_PX = 100, 320
WIDTH, HEIGHT, FPS, SECONDS = 720, 1280, 25, 2
COMMANDS = ("watch", "help", "torch")


class Times(NamedTuple):
    """Seconds that a process took."""

    wall: float
    cpu: float


def main() -> None:
    options = parse_options()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-1:])
    checkouts = {"this": HERE} | ({"against": options.against} if options.against else {})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_inputs(folder)
        commands = {side: prepare(side, checkouts[side], folder) for side in checkouts}
        times = measure(commands, checkouts, options.repeats)
    report = summarize(times)
    text = json.dumps(report, indent=1)
    print(text)
    if options.json:
        options.json.write_text(text + "\n")


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--against", type=Path, metavar="FOLDER", help="another checkout")
    parser.add_argument("--repeats", type=int, default=5, metavar="N", help="runs of each command")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures here")
    return parser.parse_args()


def write_inputs(folder: Path, seed: int = 0) -> None:
    """Write a catalogue of random pictures and a video of one that moves."""
    rng = np.random.default_rng(seed)
    with (folder / "catalogue.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("product_id", "title", "image"))
        for number in range(PRODUCTS):
            pixels = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
            picture = pixels.resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC)
            picture.save(folder / f"{number}.jpg")
            writer.writerow((f"p{number}", f"red lamp number {number}", f"{number}.jpg"))
    image = np.asarray(picture.resize((WIDTH, HEIGHT)))
    with av.open(str(folder / "stream.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(SECONDS * FPS):
            frame = av.VideoFrame.from_ndarray(np.roll(image, 4 * number, 0))
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def prepare(side: str, checkout: Path, folder: Path) -> dict[str, list[str]]:
    """Index the catalogue with a checkout; return its commands."""
    index, sgmn = str(folder / f"{side}.index"), ["-m", "sgmn.cli"]
    run([*sgmn, "index", str(folder / "catalogue.csv"), "-o", index], checkout)
    return {
        "watch": [*sgmn, "watch", str(folder / "stream.mp4"), "--index", index],
        "help": [*sgmn, "--help"],
        "torch": ["-c", "import torch"],
    }


def run(arguments: list[str], checkout: Path) -> Times:
    """Run Python with the package of a checkout, and measure it."""
    environment = {**os.environ, "PYTHONPATH": str(checkout / "src"), "HF_HUB_OFFLINE": "1"}
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *arguments], env=environment, stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    if status:
        raise SystemExit(f"{' '.join(arguments)} failed in {checkout}")
    process.returncode = 0
    return Times(wall, usage.ru_utime + usage.ru_stime)


def measure(
    commands: dict[str, dict[str, list[str]]], checkouts: dict[str, Path], repeats: int
) -> dict[str, dict[str, list[Times]]]:
    """Times by side and command; the sides take turns, and the first run of each is left out."""
    times: dict[str, dict[str, list[Times]]] = {
        side: {name: [] for name in COMMANDS} for side in commands
    }
    for turn in range(repeats + 1):
        for name in COMMANDS:
            for side, arguments in commands.items():
                taken = run(arguments[name], checkouts[side])
                if turn:
                    times[side][name].append(taken)
    return times


def summarize(times: dict[str, dict[str, list[Times]]]) -> dict[str, object]:
    """Best and median of each command by side, and how many times faster this side is."""
    report: dict[str, object] = {}
    for side, commands in times.items():
        report[side] = {
            name: {
                f"{kind}_s": {
                    "best": round(min(values), 3),
                    "median": round(statistics.median(values), 3),
                }
                for kind, values in zip(Times._fields, zip(*taken, strict=True), strict=True)
            }
            for name, taken in commands.items()
        }
    if "against" in times:
        report["speedup_of_watch"] = {
            kind: round(median_of(times["against"], place) / median_of(times["this"], place), 2)
            for place, kind in enumerate(Times._fields)
        }
    return report


def median_of(commands: dict[str, list[Times]], place: int) -> float:
    return statistics.median(taken[place] for taken in commands["watch"])


if __name__ == "__main__":
    main()
