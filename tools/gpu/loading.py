"""How fast the batches of a packed job come: made in this process, by one loader, by many.

    python tools/gpu/loading.py build/gpu.zip runs/gpu --stage 2 --loaders 1 4 15 --seconds 15

For a machine on which `tools/gpu/train.py` waits for its batches: what they cost in this process
(on the clock, computing, in the kernel, page faults) is what they cost anywhere there; how much
less often they come from loaders is what loaders cost; the last two columns are what receiving
a batch that is ready, and copying it to the device, cost the trainer.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from statistics import median

import torch
from train import run_of, unpacked

from sgmn.data import dataset
from sgmn.model.inputs import Inputs
from sgmn.model.network import chosen_device
from sgmn.training.data.batches import Batch, Batches
from sgmn.training.run_setup import examples_of, started
from sgmn.training.trainer import loaded

SOME = 3  # batches that are made twice: their pictures read from files, then remembered


def main() -> None:
    given = parsed()
    root = unpacked(given.pack, given.output / "pack")
    sys.path.insert(0, str(root / "packages"))
    run = run_of(root, root / f"config-{given.stage}.json", root / "start")
    _, batches, _ = started(run, examples_of(run.data, dataset.read), given.output / "tokens")
    print(f"{run.train.batch} clips a batch, seconds of each:")
    print(f"here, pictures from files: {costs(batches)}")
    print(f"here, pictures remembered: {costs(batches)}", flush=True)
    device = chosen_device(run.train.device)
    print("loaders  first after  one every  receiving  copying")
    for loaders in given.loaders:
        print(f"{loaders:7d}  {arriving(batches, loaders, given.seconds, device)}", flush=True)


def costs(batches: Batches) -> str:
    """What some batches cost that are made in this process."""
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
    for number in range(len(batches), len(batches) + SOME):  # with all of the clutter by then
        batches[number]
    wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_SELF)
    computing, kernel = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
    faults = (after.ru_minflt - before.ru_minflt) / SOME
    return (
        f"{wall / SOME:.2f} on the clock, {computing / SOME:.2f} computing,"
        f" {kernel / SOME:.2f} in the kernel, {faults:.0f} page faults"
    )


def arriving(batches: Batches, loaders: int, seconds: float, device: torch.device) -> str:
    """How batches come from that many loaders for so long, once every loader has sent its first."""
    began = time.monotonic()
    coming = iter(loaded(batches, count(len(batches)), loaders))
    moved(next(coming), device)
    first = time.monotonic()
    for _ in range(loaders - 1):
        next(coming)
    waits, copies = [], []
    start = now = time.monotonic()
    while now - start < seconds:
        batch = next(coming)
        received = time.monotonic()
        moved(batch, device)
        waits.append(received - now)
        now = time.monotonic()
        copies.append(now - received)
    each = (now - start) / len(waits)
    return f"{first - began:11.2f}  {each:9.2f}  {min(waits):9.3f}  {median(copies):7.3f}"


def moved(batch: Batch, device: torch.device) -> None:
    """Its pixels on the device, and done."""
    for pixels in pixels_of(batch):
        pixels.to(device).sum().item()


def pixels_of(batch: Batch) -> Iterator[torch.Tensor]:
    for read in (batch.clips, batch.products):
        assert isinstance(read, Inputs), "towers that are held still read no pixels"
        yield from (pixels for _, pixels in read.pictures.groups)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pack", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--stage", type=int, default=1, help="whose batches")
    parser.add_argument("--loaders", type=int, nargs="+", default=[1, 4, 15])
    parser.add_argument("--seconds", type=float, default=15.0, help="that each row is measured")
    return parser.parse_args()


if __name__ == "__main__":
    main()
