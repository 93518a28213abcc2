"""What `sgmn watch` makes of running streams: sent whole, broken off, stalled, garbled.

    python tools/live_trials.py STREAM.json --index INDEX -o FOLDER [--trials hls,tcp]

A stream's video is sent on loopback by ffmpeg, and `sgmn watch` watches it in a process of its
own from the first picture on. Prints a table; writes FOLDER/trials.json, and for each trial a
folder with events, timeline and the logs of every process. Exit status 1 if a check fails.
"""

from __future__ import annotations

import argparse
import json
import sys
from bisect import bisect_left
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, median
from typing import Any

import live_servers as live
from live_servers import Show, Stage
from live_watching import Run, Told, event_checks, watched

from sgmn import outputs
from sgmn.data.dataset import Stream, read_stream
from sgmn.errors import SgmnError
from sgmn.evaluation.tables import markdown_table
from sgmn.evaluation.timeline_metrics import time_weighted_accuracy
from sgmn.live.events import Event, from_json, segments_from_events

GRACE_S = 600.0  # to load the model and to connect in vain, on a busy machine too
SLACK_S = 2.0
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


def figures(trial: Trial, run: Run, show: Show, stream: Stream, folder: Path) -> dict[str, Any]:
    """What is reported of a trial."""
    events, failed = _read(run.told)
    checks = {**_end_checks(trial, run, show, events), **event_checks(events, folder)}
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
        "right": time_weighted_accuracy(truth, segments_from_events(events)) if is_judged else None,
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
        outputs.write_text(given.output / "trials.json", content + "\n")
    print(table(found))
    sys.exit(any(row["failed"] for row in found.values()))


if __name__ == "__main__":
    main()
