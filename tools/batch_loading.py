"""Measure how fast the batches of a packed job arrive: from this process, one worker, or many.

    PYTHONPATH=src python tools/batch_loading.py build/gpu.zip runs/gpu --stage 2 --workers 1 4 15

For a machine on which a job waits for its batches. The first lines show what a batch costs in this
process: wall time, CPU time, time in the kernel, page faults. The table shows how often batches
arrive from worker processes, and what it costs the trainer to receive a batch that is ready and to
copy it to the device. Needs torch and transformers only, like the job itself.
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

from sgmn.data import dataset
from sgmn.model.inputs import ItemInputs
from sgmn.model.network import select_device
from sgmn.training.data.batch_loader import load_batches
from sgmn.training.data.batches import Batch, Batches
from sgmn.training.run_setup import load_examples, prepare_run
from sgmn.workflows.job_run import read_config, unpack_job

MEASURED_BATCHES = 3  # prepared twice: images read from files, then from memory


def main() -> None:
    options = parse_arguments()
    folder = unpack_job(options.pack, options.output / "pack")
    sys.path.insert(0, str(folder / "packages"))
    run = read_config(folder, folder / f"config-{options.stage}.json", folder / "start")
    examples = load_examples(run.data, dataset.read_dataset)
    _, batches, _ = prepare_run(run, examples, options.output / "tokens")
    print(f"{run.train.batch_size} clips per batch; seconds per batch:")
    print(f"this process, images from files: {measure_cost(batches)}")
    print(f"this process, images from memory: {measure_cost(batches)}", flush=True)
    device = select_device(run.train.device)
    print("workers  first after  one every  receiving  copying")
    for workers in options.workers:
        row = measure_arrival(batches, workers, options.seconds, device)
        print(f"{workers:7d}  {row}", flush=True)


def measure_cost(batches: Batches) -> str:
    """Measure what a batch costs that is prepared in this process."""
    before, start_s = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
    for number in range(len(batches), len(batches) + MEASURED_BATCHES):  # with full clutter
        batches[number]
    wall_s, after = time.monotonic() - start_s, resource.getrusage(resource.RUSAGE_SELF)
    cpu_s, kernel_s = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
    faults = (after.ru_minflt - before.ru_minflt) / MEASURED_BATCHES
    return (
        f"{wall_s / MEASURED_BATCHES:.2f} wall, {cpu_s / MEASURED_BATCHES:.2f} CPU,"
        f" {kernel_s / MEASURED_BATCHES:.2f} kernel, {faults:.0f} page faults"
    )


def measure_arrival(batches: Batches, workers: int, seconds: float, device: torch.device) -> str:
    """Measure how batches arrive, from when every worker has sent its first one."""
    start_s = time.monotonic()
    arriving = load_batches(batches, count(len(batches)), workers)
    copy_to_device(next(arriving), device)
    first_s = time.monotonic() - start_s
    for _ in range(workers - 1):
        next(arriving)
    waits_s, copies_s = [], []
    start_s = now_s = time.monotonic()
    while now_s - start_s < seconds:
        batch = next(arriving)
        received_s = time.monotonic()
        copy_to_device(batch, device)
        waits_s.append(received_s - now_s)
        now_s = time.monotonic()
        copies_s.append(now_s - received_s)
    interval_s = (now_s - start_s) / len(waits_s)
    return f"{first_s:11.2f}  {interval_s:9.2f}  {min(waits_s):9.3f}  {median(copies_s):7.3f}"


def copy_to_device(batch: Batch, device: torch.device) -> None:
    """Copy the pixels of a batch, and wait until that is done."""
    for pixels in pixel_tensors(batch):
        pixels.to(device).sum().item()


def pixel_tensors(batch: Batch) -> Iterator[torch.Tensor]:
    for inputs in (batch.clips, batch.products):
        assert isinstance(inputs, ItemInputs), "a run with frozen towers reads no pixels"
        yield from (pixels for _, pixels in inputs.images.groups)
        yield from inputs.images.closer


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pack", type=Path, help="the file of `sgmn pack`")
    parser.add_argument("output", type=Path, help="folder of the run")
    parser.add_argument("--stage", type=int, default=1, help="stage whose batches are measured")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 4, 15])
    parser.add_argument("--seconds", type=float, default=15.0, help="duration of each row")
    return parser.parse_args()


if __name__ == "__main__":
    main()
