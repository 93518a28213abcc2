"""Start and memory of training on as many rows as LPR4M has, with workers.

    python benchmarks/manifests.py [--clips 4013617] [--products 332438] [--workers 8] [--json FILE]

Writes rows with ten frames and boxes each, whose media are a few small images, builds the tables,
and then measures a fresh process: seconds from its start to the first batch of 128 clips with their
products, in shuffled order, prepared by workers, and the proportional set size (PSS) of all its
processes after ten batches. The CPU seconds of all processes until the first batch depend less on
other work of the machine. Resuming is measured by a second process, which begins in the middle of
an epoch. The rows are deleted afterwards, unless --keep names their folder.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from sgmn.data.dataset import write_jsonl
from sgmn.data.tables import open_tables

BATCH_SIZE, BATCHES, FRAMES, SHOPS, IMAGES = 128, 10, 10, 2000, 16
MAX_START_S, MAX_BYTES = 60.0, 2e9


def main() -> None:
    options = parse_options()
    if options.measure:
        print(
            json.dumps(
                measure(options.measure, options.workers, options.first_batch, options.started)
            )
        )
        return
    with tempfile.TemporaryDirectory(dir=options.keep) as temporary:
        folder = Path(options.keep or temporary)
        if not (folder / "clips.jsonl").exists():
            write_dataset(folder, options.clips, options.products)
        start_s = time.monotonic()
        tables = open_tables(folder)
        results: dict[str, Any] = {"build_s": time.monotonic() - start_s}
        results |= {"clips": len(tables.clips), "products": len(tables.products)}
        results["jsonl_bytes"] = (folder / "clips.jsonl").stat().st_size
        middle = options.clips // BATCH_SIZE // 2
        results["first"] = run_process(folder, options.workers, 0)
        results["resumed"] = run_process(folder, options.workers, middle)
    print(json.dumps(results, indent=1))
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    for name in ("first", "resumed"):
        run = results[name]
        print(f"{name}: start {run['start_s']:.1f} s (aim {MAX_START_S:.0f}),", end=" ")
        print(f"{run['start_cpu_s']:.1f} CPU s,", end=" ")
        print(f"{run['bytes'] / 1e6:.0f} MB (aim {MAX_BYTES / 1e6:.0f})")


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=4_013_617)
    parser.add_argument("--products", type=int, default=332_438)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--keep", type=Path, help="folder in which the rows stay")
    parser.add_argument("--json", type=Path, help="file for the figures")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--first-batch", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--started", type=float, default=0.0, help=argparse.SUPPRESS)
    return parser.parse_args()


def write_dataset(folder: Path, clips: int, products: int) -> None:
    """Write the rows and the few images that all of them share."""
    rng = np.random.default_rng(0)
    for number in range(IMAGES):
        pixels = rng.integers(0, 256, (32, 32, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.jpg")
    write_jsonl(folder / "products.jsonl", map(product_row, range(products)))
    write_jsonl(folder / "clips.jsonl", (clip_row(i, products) for i in range(clips)))


def product_row(number: int) -> dict[str, Any]:
    """A product with an id as long as those of LPR4M."""
    return {
        "product_id": f"7b601b02-2c63-11ee-bb6d-{number:012d}",
        "shop_id": f"shop-{number % SHOPS}",
        "title": f"Product number {number} of a generated shop",
        "image": f"{number % IMAGES}.jpg",
    }


def clip_row(number: int, products: int) -> dict[str, Any]:
    """A clip of ten frames with boxes and a transcript."""
    product = product_row(number * 7919 % products)
    box = [round((number * 31 + side * 17) % 50 / 100 + side // 2 * 0.5, 4) for side in range(4)]
    return {
        "clip_id": f"8c1f-{number:09d}-0-10000",
        "frames": [f"{(number + frame) % IMAGES}.jpg" for frame in range(FRAMES)],
        "transcript": [{"start": 0.0, "end": 10.0, "text": f"look at number {number} " * 4}],
        "product_ids": [product["product_id"]],
        "shop_id": product["shop_id"],
        "boxes": [[box]] * FRAMES,
        "split": "train",
        "attributes": {"scale": "small", "visible": "long", "products": "few"},
    }


def run_process(folder: Path, workers: int, first_batch: int) -> dict[str, Any]:
    """Measure in a fresh process, which has no pages of the tables yet."""
    command = [sys.executable, __file__, "--measure", folder, "--workers", workers]
    command += ["--first-batch", first_batch, "--started", time.time()]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    run = subprocess.run(
        list(map(str, command)), env=environment, capture_output=True, start_new_session=True
    )
    if run.returncode:
        raise SystemExit(run.stderr.decode())
    result: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return result


def measure(folder: Path, workers: int, first_batch: int, start_s: float) -> dict[str, Any]:
    """Load batches as `sgmn train` does; returns seconds, bytes and clips per second."""
    from sgmn.data.dataset import read_dataset
    from sgmn.model.inputs import Preprocessor
    from sgmn.training.config import DataConfig, ModelConfig, TrainConfig
    from sgmn.training.data.batch_loader import load_batches
    from sgmn.training.data.batches import Batches, BatchSpec
    from sgmn.training.run_setup import build_starting_model, load_examples

    data = DataConfig((folder,), frames_per_clip=FRAMES)
    train = TrainConfig(steps=10**6, batch_size=BATCH_SIZE, workers=workers)
    examples = load_examples(data, read_dataset)
    preprocessor: Preprocessor = build_starting_model(ModelConfig(source="small")).preprocessor
    batches = Batches(examples, preprocessor, data, train)

    def specs() -> Iterator[BatchSpec]:
        for number in range(first_batch, first_batch + 10**6):
            yield BatchSpec(number, batches.positions(number, batches.order))

    loader = load_batches(batches, specs(), workers)
    clips = int(next(loader).targets.shape[0])
    first_s, cpu_s = time.time(), session_cpu_s()
    for _ in range(BATCHES):
        clips += int(next(loader).targets.shape[0])
    rate = BATCH_SIZE * BATCHES / (time.time() - first_s)
    sizes = session_sizes()
    return {
        "start_s": first_s - start_s,
        "start_cpu_s": cpu_s,
        "bytes": sum(sizes),
        "processes": len(sizes),
        "clips_per_s": rate,
        "examples": len(examples.items),
    }


def session_sizes() -> list[int]:
    """Return the PSS in bytes of each process of this session, which has just been opened."""
    rollups = session_files("smaps_rollup")
    return [1024 * int(rollup.split("\nPss:")[1].split()[0]) for rollup in rollups]


def session_cpu_s() -> float:
    """Return the CPU seconds of all processes of this session."""
    fields = [stat.rpartition(")")[2].split() for stat in session_files("stat")]
    return sum(int(f[11]) + int(f[12]) for f in fields) / os.sysconf("SC_CLK_TCK")


def session_files(name: str) -> list[str]:
    """Read a file in /proc of each process of this session."""
    texts = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if os.getsid(int(process.name)) == os.getsid(0):
                texts.append((process / name).read_text())
        except ProcessLookupError:  # it has ended meanwhile
            continue
    return texts


if __name__ == "__main__":
    main()
