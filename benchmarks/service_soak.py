"""Streams for a long time: whether the memory of the processes of a service stays constant.

    python benchmarks/service_soak.py [--sessions 8] [--minutes 120] [--size 270x480]
        [--model builtin] [--wall] [-o SAMPLES.json]

It starts `sgmn serve` with a generated shop and plays a generated video in real time in each
session. Every minute it prints what the service, its encoder and its workers hold, and how far the
streams are behind. With `--wall`, the console's page Live shows all sessions in Chromium meanwhile,
and its memory is part of the samples. The first tenth of the time is a warm-up; after it, growth is
fitted by a line.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.console_wall import Wall, WallSample, open_wall
from benchmarks.service_shop import build_shop, find_processes, start_service

INTERVAL_S = 60.0
WARM_UP = 0.1  # of the time
ROLES = ("service", "encoder", "workers")


@dataclass(frozen=True, slots=True)
class Sample:
    """What the processes of each role hold together: memory in MB, files and threads."""

    minutes: float
    pss: dict[str, float]
    rss: dict[str, float]
    files: int
    threads: int
    workers: int
    lag_s: float
    dropped: int
    windows: int
    wall: WallSample | None


def main() -> None:
    """Run the soak."""
    options = parse_arguments()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        seconds = round(60 * options.minutes) + 600
        shop = build_shop(folder, options.model, options.size, seconds)
        service, client = start_service(folder, options.model, options.sessions)
        try:
            sessions = [shop.start_session(client) for _ in range(options.sessions)]
            browser = open_wall(service, client, shop.catalogue_id)
            with browser if options.wall else nullcontext() as wall:
                samples = watch(client, service.process.pid, sessions, options, wall)
        finally:
            service.stop()
    report(samples)


def watch(
    client: httpx.Client,
    pid: int,
    sessions: Sequence[str],
    options: argparse.Namespace,
    wall: Wall | None,
) -> list[Sample]:
    """Take a sample each minute, print it, and write all of them to the output."""
    samples: list[Sample] = []
    sleep: Callable[[float], None] = wall.sleep if wall else time.sleep
    started_s = time.monotonic()
    while (minutes := (time.monotonic() - started_s) / 60) < options.minutes:
        sleep(INTERVAL_S)
        samples.append(take_sample(client, pid, sessions, minutes + INTERVAL_S / 60, wall))
        print(json.dumps(asdict(samples[-1])), flush=True)
        if options.output is not None:
            rows = [asdict(sample) for sample in samples]
            options.output.write_text(json.dumps(rows, indent=1) + "\n")
    return samples


def take_sample(
    client: httpx.Client, pid: int, sessions: Sequence[str], minutes: float, wall: Wall | None
) -> Sample:
    """Look at the processes and at the sessions."""
    now: list[Any] = [client.get(f"/v1/sessions/{session}/now").json() for session in sessions]
    pss, rss = dict.fromkeys(ROLES, 0.0), dict.fromkeys(ROLES, 0.0)
    files = threads = workers = 0
    for role, folder in find_processes(pid):
        workers += role == "workers"
        pss[role] += read_mb(folder / "smaps_rollup", "Pss:")
        rss[role] += read_mb(folder / "smaps_rollup", "Rss:")
        files += len(list((folder / "fd").iterdir()))
        threads += len(list((folder / "task").iterdir()))
    lags = [document["now"]["lag_s"] for document in now if document["now"]]
    streams = [document["stream"] for document in now if document["stream"]]
    return Sample(
        minutes=round(minutes, 2),
        pss=pss,
        rss=rss,
        files=files,
        threads=threads,
        workers=workers,
        lag_s=max(lags, default=0.0),
        dropped=sum(stream["dropped_frames"] for stream in streams),
        windows=len(lags),
        wall=wall.take_sample() if wall else None,
    )


def read_mb(path: Path, name: str) -> float:
    """A size of a process, such as its `Pss:`, in MB."""
    for line in path.read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024 / 1e6
    raise ValueError(f"{path} has no {name}")


def report(samples: Sequence[Sample]) -> None:
    """Print how memory, files and threads change after the warm-up."""
    warm = [sample for sample in samples if sample.minutes >= WARM_UP * samples[-1].minutes]
    minutes = [sample.minutes for sample in warm]
    print(f"{samples[-1].minutes:.0f} minutes, {len(warm)} samples after the warm-up")
    for role in ROLES:
        for name in ("pss", "rss"):
            sizes = [getattr(sample, name)[role] for sample in warm]
            print(f"{role} {name.upper()}: {describe_growth(minutes, sizes)}")
    for name in ("files", "threads", "workers"):
        values = [getattr(sample, name) for sample in warm]
        print(f"{name}: {min(values)}–{max(values)}")
    print(f"lag up to {max(s.lag_s for s in warm):.1f} s, {warm[-1].dropped} frames dropped")
    if walls := [sample.wall for sample in warm if sample.wall]:
        print(f"page, heap: {describe_growth(minutes, [wall.heap for wall in walls])}")
        print(f"browser, PSS: {describe_growth(minutes, [wall.pss for wall in walls])}")
        print(f"{walls[0].nodes} to {walls[-1].nodes} nodes, {walls[-1].errors} errors")


def describe_growth(minutes: Sequence[float], sizes: Sequence[float]) -> str:
    """The ends and the range of sizes in MB, and the slope of a line through them."""
    slope = np.polyfit(minutes, sizes, 1)[0] * 60
    ends = f"{sizes[0]:.1f} to {sizes[-1]:.1f} MB, {min(sizes):.1f}–{max(sizes):.1f}"
    return f"{ends}, {slope:+.2f} MB per hour"


def parse_arguments() -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sessions", type=int, default=8)
    parser.add_argument("--minutes", type=float, default=120.0)
    parser.add_argument("--size", default="270x480", help="width x height of the streams")
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--wall", action="store_true", help="show the sessions in a browser, too")
    parser.add_argument("-o", "--output", type=Path, help="write the samples to this JSON file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
