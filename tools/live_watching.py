"""`sgmn watch` in a process of its own: what it says and when, and whether its events hold."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from time import monotonic, sleep, time
from typing import NamedTuple

from sgmn.live.events import Event, segments_from_events
from sgmn.records import Segment

GLANCE_S = 0.05
SUMMARY = re.compile(r"(\d+) events, (\d+) frames dropped, (\d+) reconnects")


class Told(NamedTuple):
    """A line of the events' file, and when it was there."""

    line: str
    seen_s: float


class Run(NamedTuple):
    """What the program did. `status` is None if it had to be killed."""

    status: int | None
    wall_s: float
    told: list[Told]
    out: str
    err: str

    @property
    def counts(self) -> tuple[int, int, int] | None:
        """Events, dropped frames and reconnects, as it says at its end."""
        found = SUMMARY.search(" ".join(self.out.split()))
        return (int(found[1]), int(found[2]), int(found[3])) if found else None


def watched(command: list[str], folder: Path, limit_s: float) -> Run:
    """Run it, and note when each event is there. After `limit_s` all its stacks are dumped."""
    paths = folder / "watch.out", folder / "watch.err"
    events = folder / "events.jsonl"
    events.write_text("")
    (folder / "timeline.json").unlink(missing_ok=True)
    environment = {**os.environ, "PYTHONFAULTHANDLER": "1", "COLUMNS": "120"}
    begun_s = monotonic()
    with paths[0].open("wb") as out, paths[1].open("wb") as err:
        process = subprocess.Popen(command, stdout=out, stderr=err, env=environment)
        try:
            told = list(_followed(process, events, begun_s + limit_s))
        finally:
            is_hung = process.poll() is None
            if is_hung:
                process.send_signal(signal.SIGABRT)
            status = process.wait()
    texts = (path.read_text(encoding="utf-8", errors="replace") for path in paths)
    return Run(None if is_hung else status, monotonic() - begun_s, told, *texts)


def _followed(process: subprocess.Popen[bytes], path: Path, until_s: float) -> Iterator[Told]:
    """Each line of a file as it comes, while the process lives and once after it."""
    rest, is_over = "", False
    with path.open(encoding="utf-8") as file:
        while not is_over and monotonic() < until_s:
            is_over = process.poll() is not None
            *lines, rest = (rest + file.read()).split("\n")
            seen_s = time()
            yield from (Told(line, seen_s) for line in lines)
            sleep(GLANCE_S)


def event_checks(events: Sequence[Event], folder: Path) -> dict[str, bool]:
    """What docs/events.md promises."""
    if not events:
        return {}
    corrected = {event.found_s for event in events if event.kind == "corrected"}
    turns = [event for event in events if event.kind != "corrected"]
    held = sorted(_in_force(events), key=lambda event: event.time_s)
    return {
        "ids count from 1": [event.id for event in events] == list(range(1, len(events) + 1)),
        "found in order": all(a.found_s <= b.found_s for a, b in pairwise(events)),
        "times fall only with a correction": all(
            a.time_s <= b.time_s or b.found_s in corrected for a, b in pairwise(turns)
        ),
        "each ends what was before": held[0].before is None
        and all(a.product_id == b.before for a, b in pairwise(held)),
        "the last is the end": events[-1].kind == "ended"
        and events[-1] == held[-1]
        and events[-1].time_s == events[-1].found_s,
        "the timeline is theirs": segments_from_events(events)
        == _timeline(folder / "timeline.json"),
    }


def _timeline(path: Path) -> tuple[Segment, ...]:
    names = ("start", "end", "product_id", "confidence", "runner_up")
    rows = json.loads(path.read_text())["segments"] if path.exists() else ()
    return tuple(Segment(*(row[name] for name in names)) for row in rows)


def _in_force(events: Sequence[Event]) -> Iterator[Event]:
    """Each event that was not taken back, as last corrected."""
    for event in events:
        if event.kind != "corrected":
            own = [e for e in events if event.id in (e.id, e.corrects)]
            if not own[-1].is_retraction:
                yield own[-1]
