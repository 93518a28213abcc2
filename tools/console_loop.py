"""The loop of corrections, end to end: review, train through the API as the page does, compare.

    python tools/console_loop.py WORLD/test --data build/loop [--segments 60] [--port 8090]

WORLD is a folder of `sgmn synth` with a shop that no model was trained on and several streams.
Each stream is a session. What its truth says is reviewed, up to 60 segments. A model is trained
from these reviews and adopted, and the streams without reviews are recognized again. R@1 is the
share of their segments that the session names right, before and after.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from serve_demo import is_ready, pack_shop, read_key, start_service

from sgmn.client import Client, Segment

WAIT_S = 6 * 3600.0
POLL_S = 2.0


@dataclass(frozen=True, slots=True)
class Sale:
    """A part of a stream in which a product is on sale, as its truth says."""

    start: float
    end: float
    product_id: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("world", type=Path, help="a split of a generated world")
    parser.add_argument("--data", type=Path, default=Path("build/loop"))
    parser.add_argument("--port", type=int, default=8090)
    parser.add_argument("--segments", type=int, default=60, help="how many are reviewed")
    options = parser.parse_args()
    streams = sorted((options.world / "streams").glob("*.mp4"))
    if len(streams) < 2:
        raise SystemExit(f"{options.world} has {len(streams)} streams; at least 2 are needed.")
    key = read_key(options.data)
    service = argparse.Namespace(stream=streams[0], port=options.port, data=options.data)
    process = start_service(service, key)
    try:
        address = f"http://127.0.0.1:{options.port}"
        with Client(address, key) as client:
            wait_until_ready(address, process)
            report = Loop(client, options.world, streams).run(options.segments)
        print(json.dumps(report, indent=2))
    finally:
        process.terminate()
        process.wait()


def wait_until_ready(address: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until the service answers."""
    while not is_ready(address):
        if process.poll() is not None:
            raise SystemExit("The service has ended.")
        time.sleep(POLL_S)


class Loop:
    """One run on the streams of a shop."""

    def __init__(self, client: Client, world: Path, streams: list[Path]) -> None:
        self.client, self.world, self.streams = client, world, streams
        self.shop_id = read_annotation(streams[0])["shop_id"]
        self.catalogue_id = client.make_catalogue(self.shop_id, "loop").id

    def run(self, count: int) -> dict[str, Any]:
        """Review `count` segments, train, adopt, and recognize the other streams again."""
        self._import()
        sessions = {stream: self._recognize(stream) for stream in self.streams}
        reviewed, others = self._review(sessions, count)
        before = {stream: self._score(sessions[stream], stream) for stream in others}
        improvement = self.client.start_improvement(self.catalogue_id)
        trained = self._finish(improvement.id)
        self._finish(self.client.adopt_improvement(self.catalogue_id, improvement.id).id)
        after = {stream: self._score(self._recognize(stream), stream) for stream in others}
        comparison = (trained.result or {})["comparison"]
        return {
            "reviewed_segments": reviewed,
            "other_streams": len(others),
            "before": total(list(before.values())),
            "after": total(list(after.values())),
            "held_out": {name: comparison[name] for name in ("count", "recall_1", "mrr")},
        }

    def _import(self) -> None:
        archive = self.world / "loop.zip"
        pack_shop(self.world, self.shop_id, archive)
        self._finish(self.client.import_file(self.catalogue_id, archive).id)
        archive.unlink()

    def _finish(self, operation_id: str) -> Any:
        operation = self.client.wait_for_operation(operation_id, WAIT_S)
        if operation.state != "succeeded":
            raise SystemExit(f"{operation.kind}: {operation.state}: {operation.problem}")
        return operation

    def _recognize(self, stream: Path) -> str:
        """Recognize a stream with its words; return the session when it has ended."""
        transcript = {"kind": "utterances", "delay_s": 0.0}
        session = self.client.start_session(self.catalogue_id, stream.name, transcript=transcript)
        words = read_annotation(stream)["transcript"]
        self.client.add_utterances(session.id, words)
        while not self.client.get_session(session.id).is_over:
            time.sleep(POLL_S)
        return session.id

    def _review(self, sessions: dict[Path, str], count: int) -> tuple[int, list[Path]]:
        """Review streams until there are enough segments; the rest is left alone."""
        done = 0
        for number, stream in enumerate(self.streams):
            if done >= count:
                return done, self.streams[number:]
            for place, sale in enumerate(read_sales(stream)[: count - done]):
                self.client.put_review(
                    sessions[stream], f"sale-{place}", verdict="corrected", **asdict(sale)
                )
                done += 1
        raise SystemExit(f"The streams have {done} segments; generate more of them.")

    def _score(self, session_id: str, stream: Path) -> tuple[int, int]:
        """How many sales of a stream are named right, and how many there are."""
        found = self.client.get_timeline(session_id).segments
        sales = read_sales(stream)
        return sum(named(sale, found) == sale.product_id for sale in sales), len(sales)


def named(sale: Sale, found: list[Segment]) -> str | None:
    """What a timeline names for most of a sale."""
    shares: dict[str | None, float] = {}
    for one in found:
        overlap = min(one.end, sale.end) - max(one.start, sale.start)
        if overlap > 0:
            shares[one.product_id] = shares.get(one.product_id, 0.0) + overlap
    return max(shares, key=lambda product: shares[product]) if shares else None


def total(scores: list[tuple[int, int]]) -> dict[str, float]:
    """The right ones, all of them, and their share."""
    right, count = (sum(part) for part in zip(*scores, strict=True))
    return {"right": right, "segments": count, "recall_1": right / count}


def read_annotation(stream: Path) -> dict[str, Any]:
    """What `sgmn synth` knows about a stream."""
    annotation: dict[str, Any] = json.loads(stream.with_suffix(".json").read_text())
    return annotation


def read_sales(stream: Path) -> list[Sale]:
    """When each product is on sale in a stream."""
    rows = read_annotation(stream)["timeline"]
    return [Sale(r["start"], r["end"], r["product_id"]) for r in rows if r["product_id"]]


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
