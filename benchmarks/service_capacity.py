"""How many streams a machine carries: streams are added until one of them falls behind.

    python benchmarks/service_capacity.py [--size 540x960] [--step 2] [--seconds 40] [--most 40]
        [--model builtin] [--effort adaptive] [--live]

It starts `sgmn serve` with a generated shop and plays a generated video of 25 frames per second in
real time in each session; with --live, FFmpeg sends it as a live HLS stream that all sessions
watch, and --effort decides what happens when the machine is too slow for it. After each step it
waits, and prints the largest lag since then, the CPU time that all processes took, and the memory
of each worker (PSS). It ends when a stream is behind by 10 s, or when the service lets streams
wait, and reports the largest number of streams that held.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from math import inf
from pathlib import Path
from threading import Thread

import httpx

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))

from benchmarks.service_shop import (
    build_shop,
    find_processes,
    measure_memory,
    start_service,
    wait_until_running,
)
from live_servers import Broadcast, send_whole, serve_hls

from sgmn.live.effort import EFFORTS

MAX_LAG_S = 10.0
SETTLING_S = 10.0  # after a stream was added, before its lag counts
SAMPLE_S = 2.0
PATIENCE_S = 60.0  # until a stream that does not start is waiting for its turn


@dataclass(frozen=True, slots=True)
class Step:
    """What was measured with a number of streams: seconds, CPU seconds per second, and frames."""

    streams: int
    lag_s: float
    cpus: float
    dropped: int

    @property
    def holds(self) -> bool:
        """Whether no stream fell behind, and no frame was dropped."""
        return self.lag_s < MAX_LAG_S and not self.dropped


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description="How many streams a machine carries.")
    parser.add_argument("--size", default="540x960", help="width x height of the streams")
    parser.add_argument("--step", type=int, default=2, help="streams that are added at a time")
    parser.add_argument("--seconds", type=float, default=40.0, help="duration of a step")
    parser.add_argument("--most", type=int, default=40, help="streams at most")
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--effort", choices=EFFORTS, default="adaptive")
    parser.add_argument("--live", action="store_true", help="watch a stream sent by FFmpeg")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        steps = options.most // options.step
        seconds = round(steps * (options.seconds + 2 * SETTLING_S)) + 120
        shop = build_shop(folder, options.model, options.size, seconds)
        service, client = start_service(folder, options.model, options.most)
        try:
            with (
                broadcast(shop.video, seconds, folder)
                if options.live
                else nullcontext("") as address
            ):
                start = partial(shop.start_session, client, options.effort, address)
                held = add_streams(client, start, service.process.pid, options)
        finally:
            service.stop()
    cpus = len(os.sched_getaffinity(0))
    print(f"{options.size}, {options.effort}: {held} streams hold on {cpus} CPUs")


@contextmanager
def broadcast(video: Path, seconds: float, folder: Path) -> Iterator[str]:
    """Send a video as a live HLS stream in real time, and yield its address."""
    with serve_hls(folder) as endpoint:
        sender = Broadcast(video, seconds, 1.0, folder)
        Thread(target=send_whole, args=(sender, endpoint), daemon=True).start()
        try:
            yield endpoint.address
        finally:
            sender.close()


def add_streams(
    client: httpx.Client, start: Callable[[], str], pid: int, options: argparse.Namespace
) -> int:
    """Add streams step by step; return the largest number that held."""
    sessions: list[str] = []
    held = 0
    while len(sessions) < options.most:
        sessions += [start() for _ in range(options.step)]
        if (reason := wait_until_running(client, sessions, PATIENCE_S)) is not None:
            print(f"{len(sessions)} streams: one of them waits, {reason}", flush=True)
            break
        time.sleep(SETTLING_S)
        step = measure(client, sessions, pid, options.seconds)
        print(f"{step}, {measure_memory(pid).describe()}", flush=True)
        if not step.holds:
            break
        held = len(sessions)
    return held


def measure(client: httpx.Client, sessions: list[str], pid: int, seconds: float) -> Step:
    """Watch streams for some seconds."""
    started_s, used_s = time.monotonic(), cpu_seconds(pid)
    lags: list[float] = []
    dropped = 0
    while time.monotonic() - started_s < seconds:
        time.sleep(SAMPLE_S)
        documents = [client.get(f"/v1/sessions/{session}/now").json() for session in sessions]
        lags += [document["now"]["lag_s"] for document in documents if document["now"]]
        streams = [document["stream"] for document in documents if document["stream"]]
        dropped = sum(stream["dropped_frames"] for stream in streams)
    elapsed_s = time.monotonic() - started_s
    cpus = (cpu_seconds(pid) - used_s) / elapsed_s
    return Step(len(sessions), round(max(lags, default=inf), 2), round(cpus, 2), dropped)


def cpu_seconds(pid: int) -> float:
    """CPU time of all processes of a service."""
    ticks = 0
    for _, folder in find_processes(pid):
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
