"""Load on a running service: followers of logs, reads of the API, and memory per added stream.

    python benchmarks/service_load.py [--sessions 10] [--readers 500] [--seconds 60]
        [--size 540x960] [--model builtin]

It starts `sgmn serve` with a generated shop, plays generated videos in real time as streams, and
follows their logs with server-sent events. Besides the events of the streams, reviews are stored,
so that rows are frequent. Reported are the time from the creation of a row to each reader (commit
included), the time of reads, what streams take (PSS and CPU), their lag and their dropped frames.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.service_shop import (
    MemoryReport,
    build_shop,
    measure_memory,
    start_service,
    wait_until_running,
)

REVIEW_INTERVAL_S = 0.5
READ_INTERVAL_S = 0.1
READ_PATHS = ("", "/now", "/timeline", "/log?after=0&limit=50")


@dataclass
class Samples:
    """What is measured, in seconds."""

    rows: list[float] = field(default_factory=list)
    reads: list[float] = field(default_factory=list)
    connected: int = 0


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description="Load on a running service.")
    parser.add_argument("--sessions", type=int, default=10)
    parser.add_argument("--readers", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--size", default="540x960", help="width x height of the streams")
    parser.add_argument("--model", default="builtin")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        seconds = round(arguments.seconds) + 90
        shop = build_shop(folder, arguments.model, arguments.size, seconds)
        service, client = start_service(folder, arguments.model, arguments.sessions)
        try:
            sessions = [shop.start_session(client) for _ in range(arguments.sessions)]
            wait_until_running(client, sessions)
            time.sleep(10)  # until all of them recognize windows
            memory = measure_memory(service.process.pid)
            samples = asyncio.run(load(client, sessions, arguments.readers, arguments.seconds))
            report(client, sessions, samples, memory)
        finally:
            service.stop()


async def load(client: httpx.Client, sessions: list[str], readers: int, seconds: float) -> Samples:
    """Follow logs and read the API for some seconds."""
    samples = Samples()
    headers = dict(client.headers)
    async with httpx.AsyncClient(base_url=client.base_url, headers=headers, timeout=30) as api:
        followers = [
            asyncio.create_task(follow(client, sessions[number % len(sessions)], samples))
            for number in range(readers)
        ]
        while samples.connected < readers:
            await asyncio.sleep(0.1)
        work = [
            asyncio.create_task(store_reviews(api, sessions)),
            asyncio.create_task(read_api(api, sessions, samples)),
        ]
        await asyncio.sleep(seconds)
        for task in (*work, *followers):
            task.cancel()
        await asyncio.gather(*work, *followers, return_exceptions=True)
    return samples


async def follow(client: httpx.Client, session: str, samples: Samples) -> None:
    """Follow a log; note how old each new row is when it arrives."""
    url = client.base_url
    reader, writer = await asyncio.open_connection(url.host, url.port)
    request = (
        f"GET /v1/sessions/{session}/stream HTTP/1.1\r\nHost: {url.host}\r\n"
        f"Authorization: {client.headers['Authorization']}\r\n\r\n"
    )
    writer.write(request.encode())
    started_s = time.time()
    samples.connected += 1
    while line := await reader.readline():
        if line.startswith(b"data: "):
            row_s = json.loads(line[6:])["wall_s"]
            if row_s > started_s:
                samples.rows.append(time.time() - row_s)
    raise SystemExit("the service has closed a connection")


async def store_reviews(api: httpx.AsyncClient, sessions: list[str]) -> None:
    """Store reviews, which become rows of the logs."""
    number = 0
    while True:
        for session in sessions:
            body = {"start": 0.0, "end": 1.0 + number, "verdict": "nothing"}
            path = f"/v1/sessions/{session}/reviews/r{number % 20}"
            (await api.put(path, json=body)).raise_for_status()
            await asyncio.sleep(REVIEW_INTERVAL_S / len(sessions))
        number += 1


async def read_api(api: httpx.AsyncClient, sessions: list[str], samples: Samples) -> None:
    """Read documents, one after another."""
    number = 0
    while True:
        path = READ_PATHS[number % len(READ_PATHS)]
        started_s = time.perf_counter()
        response = await api.get(f"/v1/sessions/{sessions[number % len(sessions)]}{path}")
        response.raise_for_status()
        samples.reads.append(time.perf_counter() - started_s)
        number += 1
        await asyncio.sleep(READ_INTERVAL_S)


def report(
    client: httpx.Client, sessions: list[str], samples: Samples, memory: MemoryReport
) -> None:
    """Print what was measured."""
    for name, values in (("row to reader", samples.rows), ("API reads", samples.reads)):
        p50, p99 = np.percentile(values, (50, 99)) * 1000
        print(f"{name}: {len(values)}, p50 {p50:.1f} ms, p99 {p99:.1f} ms, max {max(values):.2f} s")
    now: list[Any] = [client.get(f"/v1/sessions/{session}/now").json() for session in sessions]
    lags = [document["now"]["lag_s"] for document in now if document["now"]]
    dropped = [document["stream"]["dropped_frames"] for document in now if document["stream"]]
    print(f"streams: {len(lags)} run, lag up to {max(lags):.1f} s, {sum(dropped)} frames dropped")
    print(memory.describe())


if __name__ == "__main__":
    main()
