"""What `sgmn watch` makes of running streams: sent whole, broken off, stalled, garbled.

    python scripts/live_trials.py STREAM.json --index INDEX -o FOLDER [--trials hls,tcp]

A stream's video is sent on loopback by ffmpeg, and `sgmn watch` watches it in a process of its
own from the first picture on. Prints a table; writes FOLDER/trials.json, and for each trial a
folder with events, timeline and the logs of every process. Exit status 1 if a check fails.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from statistics import fmean, median
from time import monotonic, sleep, time
from typing import Any, NamedTuple

import live_servers as live
from live_servers import Show, Stage

from sgmn import jobs
from sgmn.data.dataset import Stream, read_stream
from sgmn.errors import SgmnError
from sgmn.evaluation.streams import time_weighted_accuracy
from sgmn.evaluation.tables import markdown_table
from sgmn.live.events import Event, from_json, segments_of
from sgmn.records import Segment

GRACE_S = 600.0  # to load the model and to connect in vain, on a busy machine too
GLANCE_S, SLACK_S = 0.05, 2.0
SUMMARY = re.compile(r"(\d+) events, (\d+) frames dropped, (\d+) reconnects")
HEADER = ["trial", "status", "wall, s", "reconnects", "dropped", "events", "corrected"]
HEADER += ["delay: mean, s", "median", "largest", "right, %", "checks"]
CAPTION = (
    "Delay: from when the frame at a started or changed event's time was sent until the event was"
    " in the file. After reconnecting, when stream time goes on by the clock on the wall, the frame"
    " at time t counts as sent t after the first one. Right: the time-weighted agreement with the"
    " truth. Both only where stream time is known. HLS is watched from its first piece on; who"
    " joins later sees it up to three pieces later."
)


@dataclass(frozen=True)
class Trial:
    """How a stream is sent, and what `sgmn watch` should say of it.

    `is_whole`: stream time is the video's own. `is_timed`: it follows the clock on the wall.
    """

    stage: Callable[[Path], AbstractContextManager[Stage]]
    plan: Callable[[Show, Stage], None]
    attempts: int
    is_whole: bool = True
    is_timed: bool = True
    status: int = 0
    reconnects: int | None = 0


TRIALS = {
    "hls": Trial(live.over_hls, live.whole, 2),
    "tcp": Trial(live.over_tcp, live.whole, 2),
    "restarts-hls": Trial(live.over_hls, live.restarting, 6, False, False, reconnects=None),
    "restarts-tcp": Trial(live.over_tcp, live.restarting, 6, False, reconnects=live.RESTARTS),
    "stall": Trial(live.over_tcp, live.stalling, 2),
    "garbage": Trial(live.over_tcp, live.garbled, 6),
    "garbage-only": Trial(live.over_tcp, live.garbage, 2, False, False, status=2, reconnects=None),
}


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


def tried(trial: Trial, stream: Stream, given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Run one trial; its figures, and the checks that failed."""
    folder.mkdir(parents=True, exist_ok=True)
    show = Show(stream.video, given.seconds, given.pace, folder)
    with trial.stage(folder) as stage, ThreadPoolExecutor(1) as pool:
        sending = pool.submit(trial.plan, show, stage)
        try:
            command = [sys.executable, "-m", "sgmn.cli", "watch", stage.address]
            command += ["--index", str(given.index), "--attempts", str(trial.attempts)]
            command += ["--events", str(folder / "events.jsonl")]
            command += ["-o", str(folder / "timeline.json")]
            command += ["--transcript", str(given.stream)] if trial.is_whole else []
            run = watched(command, folder, given.seconds / given.pace + GRACE_S)
        finally:
            show.stopped.set()
            wait([sending])
            show.close()
        sending.result()
    return figures(trial, run, show, stream, folder)


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


def figures(trial: Trial, run: Run, show: Show, stream: Stream, folder: Path) -> dict[str, Any]:
    """What is reported of a trial."""
    events, failed = _read(run.told)
    checks = {**_end_checks(trial, run, show, events), **_event_checks(events, folder)}
    failed += [name for name, holds in checks.items() if not holds]
    truth = [
        replace(segment, end=min(segment.end, show.seconds))
        for segment in stream.timeline
        if segment.start < show.seconds
    ]
    is_judged = trial.is_whole and truth
    _, dropped, reconnects = run.counts or (None, None, None)
    return {
        "status": run.status,
        "wall_s": round(run.wall_s, 2),
        "reconnects": reconnects,
        "dropped": dropped,
        "events": len(events),
        "corrected": sum(event.kind == "corrected" for event in events),
        "delays_s": delays(trial, events, run.told, show),
        "right": time_weighted_accuracy(truth, segments_of(events)) if is_judged else None,
        "failed": failed,
    }


def _read(told: Sequence[Told]) -> tuple[list[Event], list[str]]:
    try:
        return [from_json(json.loads(line)) for line, _ in told], []
    except (ValueError, SgmnError) as error:
        return [], [f"events can be read ({error})"]


def delays(
    trial: Trial, events: Sequence[Event], told: Sequence[Told], show: Show
) -> list[dict[str, float | int | None]]:
    """Of each started or changed event, until it was in the file and until its frame had come."""
    sent = [moment for sender in show.senders for moment in sender.sent]
    by_time = sorted(sent)
    if not sent or not trial.is_timed or not (trial.is_whole or show.pace == 1):
        return []
    rows: list[dict[str, float | int | None]] = []
    for event, (_, seen_s) in zip(events, told, strict=False):
        if event.kind in ("started", "changed"):
            begun_s = _sent_s(event.time_s, by_time) if trial.is_whole else None
            begun_s = sent[0][1] + event.time_s if begun_s is None else begun_s
            heard_s = None if event.wall_s is None else event.wall_s - begun_s
            row = {"id": event.id, "time_s": event.time_s, "found_s": event.found_s}
            rows.append({**row, "told_s": seen_s - begun_s, "heard_s": heard_s})
    return rows


def _sent_s(time_s: float, sent: Sequence[tuple[float, float]]) -> float:
    """When the first frame at or after `time_s` was sent."""
    place = bisect_left(sent, (time_s - 1e-6, 0.0))
    return sent[min(place, len(sent) - 1)][1]


def _end_checks(trial: Trial, run: Run, show: Show, events: Sequence[Event]) -> dict[str, bool]:
    """How it should have ended."""
    lines = run.err.strip().splitlines()
    checks = {
        "ends by itself": run.status is not None,
        f"exit status {trial.status}": run.status == trial.status,
        "no traceback": "Traceback" not in run.out + run.err,
    }
    if trial.status:
        is_said = bool(lines) and lines[-1].startswith("sgmn: ")
        return {**checks, "says why": is_said, "no events": not run.told}
    counted, _, reconnects = run.counts or (None, None, None)
    checks["has events"] = bool(events)
    checks["counts its events"] = counted == len(events)
    if trial.reconnects is not None:
        checks[f"{trial.reconnects} reconnects"] = reconnects == trial.reconnects
    if trial.is_whole and events:
        checks["is as long as sent"] = abs(events[-1].time_s - show.seconds) <= SLACK_S
    if not trial.is_timed and events:
        checks["is no longer than sent"] = events[-1].time_s <= show.seconds + SLACK_S
    return checks


def _event_checks(events: Sequence[Event], folder: Path) -> dict[str, bool]:
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
        "the timeline is theirs": segments_of(events) == _timeline(folder / "timeline.json"),
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
            if not own[-1].retracts:
                yield own[-1]


def table(found: dict[str, dict[str, Any]]) -> str:
    """The figures as Markdown."""
    return markdown_table(HEADER, [_cells(name, row) for name, row in found.items()], CAPTION)


def _cells(name: str, row: dict[str, Any]) -> list[str]:
    names = ("reconnects", "dropped", "events", "corrected")
    counts = ["" if row[key] is None else str(row[key]) for key in names]
    told = [delay["told_s"] for delay in row["delays_s"]]
    spread = [f"{of(told):.1f}" if told else "" for of in (fmean, median, max)]
    right = "" if row["right"] is None else f"{100 * row['right']:.1f}"
    checks = "not: " + "; ".join(row["failed"]) if row["failed"] else "hold"
    status = "killed" if row["status"] is None else str(row["status"])
    return [name, status, f"{row['wall_s']:.0f}", *counts, *spread, right, checks]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("stream", type=Path, help="a stream's JSON: video, transcript, timeline")
    parser.add_argument("--index", type=Path, required=True)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--trials", default=",".join(TRIALS), help="default: %(default)s")
    parser.add_argument("--pace", type=float, default=1.0, help="times as fast as the video")
    parser.add_argument("--seconds", type=float, default=120.0, help="of the video")
    given = parser.parse_args()
    names = given.trials.split(",")
    if not set(names) <= set(TRIALS):
        parser.error(f"--trials {given.trials}: there are {', '.join(TRIALS)}")
    stream, found = read_stream(given.stream), dict[str, dict[str, Any]]()
    for name in names:
        found[name] = tried(TRIALS[name], stream, given, given.output / name)
        about = {"stream": stream.stream_id, "pace": given.pace, "seconds": given.seconds}
        content = json.dumps({"meta": about, "trials": found}, indent=1)
        jobs.write_text(given.output / "trials.json", content + "\n")
    print(table(found))
    sys.exit(any(row["failed"] for row in found.values()))


if __name__ == "__main__":
    main()
