"""Test `sgmn watch` on running streams: intact, interrupted, stalled, and with noise.

    python tools/live_trials.py STREAM.json --index INDEX -o FOLDER [--trials hls,tcp]

ffmpeg sends a stream's video on the loopback interface, and `sgmn watch` watches it in its own
process from the first frame on. Prints a table and writes FOLDER/trials.json, and for each trial a
folder with events, timeline and the logs of all processes. The exit status is 1 if a check fails.
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
from live_servers import Broadcast, Endpoint
from live_watching import EventLine, Run, check_events, run_watch

from sgmn import outputs
from sgmn.data.dataset import Stream, read_stream
from sgmn.errors import SgmnError
from sgmn.evaluation.tables import markdown_table
from sgmn.evaluation.timeline_metrics import time_weighted_accuracy
from sgmn.live.events import Event, from_json, segments_from_events

GRACE_S = 600.0  # to load the model and for failed connections, also on a busy machine
TOLERANCE_S = 2.0
HEADER = ["trial", "status", "wall, s", "reconnects", "dropped", "events", "corrected"]
HEADER += ["delay: mean, s", "median", "maximum", "correct, %", "checks"]
CAPTION = (
    "Delay: from when the frame at the time of a started or changed event was sent until the event"
    " was in the file. After a reconnect, when stream time follows the wall clock, the frame at"
    " time t counts as sent t after the first one. Correct: the time-weighted agreement with the"
    " truth. Both only where stream time is known. HLS is watched from its first segment on; a"
    " client that joins later sees it up to three segments later."
)


@dataclass(frozen=True)
class Trial:
    """How a stream is sent, and how `sgmn watch` should end.

    Attributes:
        serve: opens the endpoint.
        plan: sends the stream.
        attempts: failed connection attempts in a row that `sgmn watch` accepts.
        is_whole: stream time is that of the video.
        is_timed: stream time follows the wall clock.
        status: the expected exit status.
        reconnects: the expected number; None for any.
    """

    serve: Callable[[Path], AbstractContextManager[Endpoint]]
    plan: Callable[[Broadcast, Endpoint], None]
    attempts: int
    is_whole: bool = True
    is_timed: bool = True
    status: int = 0
    reconnects: int | None = 0


TRIALS = {
    "hls": Trial(live.serve_hls, live.send_whole, 2),
    "tcp": Trial(live.serve_tcp, live.send_whole, 2),
    "restarts-hls": Trial(
        live.serve_hls, live.send_with_restarts, 6, False, False, reconnects=None
    ),
    "restarts-tcp": Trial(
        live.serve_tcp, live.send_with_restarts, 6, False, reconnects=live.RESTARTS
    ),
    "stall": Trial(live.serve_tcp, live.send_with_stall, 2),
    "garbage": Trial(live.serve_tcp, live.send_after_noise, 6),
    "garbage-only": Trial(
        live.serve_tcp, live.send_noise_only, 2, False, False, status=2, reconnects=None
    ),
}


def main() -> None:
    options = parse_arguments()
    stream, results = read_stream(options.stream), dict[str, dict[str, Any]]()
    for name in options.trials.split(","):
        results[name] = run_trial(TRIALS[name], stream, options, options.output / name)
        meta = {"stream": stream.stream_id, "pace": options.pace, "seconds": options.seconds}
        content = json.dumps({"meta": meta, "trials": results}, indent=1)
        outputs.write_text(options.output / "trials.json", content + "\n")
    print(markdown_table(HEADER, [_cells(name, row) for name, row in results.items()], CAPTION))
    sys.exit(any(row["failed"] for row in results.values()))


def run_trial(
    trial: Trial, stream: Stream, options: argparse.Namespace, folder: Path
) -> dict[str, Any]:
    """Run one trial; returns its figures and the checks that failed."""
    folder.mkdir(parents=True, exist_ok=True)
    broadcast = Broadcast(stream.video, options.seconds, options.pace, folder)
    with trial.serve(folder) as endpoint, ThreadPoolExecutor(1) as pool:
        sending = pool.submit(trial.plan, broadcast, endpoint)
        try:
            command = _watch_command(trial, endpoint, options, folder)
            run = run_watch(command, folder, options.seconds / options.pace + GRACE_S)
        finally:
            broadcast.stopped.set()
            wait([sending])
            broadcast.close()
        sending.result()
    return build_figures(trial, run, broadcast, stream, folder)


def _watch_command(
    trial: Trial, endpoint: Endpoint, options: argparse.Namespace, folder: Path
) -> list[str]:
    command = [sys.executable, "-m", "sgmn.cli", "watch", endpoint.address]
    command += ["--index", str(options.index), "--attempts", str(trial.attempts)]
    command += ["--events", str(folder / "events.jsonl"), "-o", str(folder / "timeline.json")]
    return command + (["--transcript", str(options.stream)] if trial.is_whole else [])


def build_figures(
    trial: Trial, run: Run, broadcast: Broadcast, stream: Stream, folder: Path
) -> dict[str, Any]:
    """The figures of a trial, and the names of the checks that failed."""
    events, failed = _read_events(run.lines)
    checks = {**_check_end(trial, run, broadcast, events), **check_events(events, folder)}
    failed += [name for name, holds in checks.items() if not holds]
    truth = [
        replace(segment, end=min(segment.end, broadcast.seconds))
        for segment in stream.timeline
        if segment.start < broadcast.seconds
    ]
    recognized = segments_from_events(events)
    _, dropped, reconnects = run.counts or (None, None, None)
    return {
        "status": run.status,
        "wall_s": round(run.wall_s, 2),
        "reconnects": reconnects,
        "dropped": dropped,
        "events": len(events),
        "corrected": sum(event.kind == "corrected" for event in events),
        "delays_s": measure_delays(trial, events, run.lines, broadcast),
        "right": time_weighted_accuracy(truth, recognized) if trial.is_whole and truth else None,
        "failed": failed,
    }


def _read_events(lines: Sequence[EventLine]) -> tuple[list[Event], list[str]]:
    try:
        return [from_json(json.loads(line)) for line, _ in lines], []
    except (ValueError, SgmnError) as error:
        return [], [f"events can be read ({error})"]


def measure_delays(
    trial: Trial, events: Sequence[Event], lines: Sequence[EventLine], broadcast: Broadcast
) -> list[dict[str, float | int | None]]:
    """For each started or changed event the delay until it was written.

    `told_s` ends when the event was in the file, `heard_s` when its frame had arrived.
    """
    sent = [moment for sender in broadcast.senders for moment in sender.sent]
    by_time = sorted(sent)
    if not sent or not trial.is_timed or not (trial.is_whole or broadcast.pace == 1):
        return []
    rows: list[dict[str, float | int | None]] = []
    for event, (_, seen_s) in zip(events, lines, strict=False):
        if event.kind in ("started", "changed"):
            sent_s = _first_sent(event.time_s, by_time) if trial.is_whole else None
            sent_s = sent[0][1] + event.time_s if sent_s is None else sent_s
            heard_s = None if event.wall_s is None else event.wall_s - sent_s
            row = {"id": event.id, "time_s": event.time_s, "found_s": event.found_s}
            rows.append({**row, "told_s": seen_s - sent_s, "heard_s": heard_s})
    return rows


def _first_sent(time_s: float, sent: Sequence[tuple[float, float]]) -> float:
    """The wall-clock time at which the first frame at or after `time_s` was sent."""
    place = bisect_left(sent, (time_s - 1e-6, 0.0))
    return sent[min(place, len(sent) - 1)][1]


def _check_end(
    trial: Trial, run: Run, broadcast: Broadcast, events: Sequence[Event]
) -> dict[str, bool]:
    """Check how the process ended."""
    lines = run.err.strip().splitlines()
    checks = {
        "ends by itself": run.status is not None,
        f"exit status {trial.status}": run.status == trial.status,
        "no traceback": "Traceback" not in run.out + run.err,
    }
    if trial.status:
        has_reason = bool(lines) and lines[-1].startswith("sgmn: ")
        return {**checks, "prints the reason": has_reason, "no events": not run.lines}
    counted, _, reconnects = run.counts or (None, None, None)
    checks["has events"] = bool(events)
    checks["counts its events"] = counted == len(events)
    if trial.reconnects is not None:
        checks[f"{trial.reconnects} reconnects"] = reconnects == trial.reconnects
    if trial.is_whole and events:
        checks["is as long as sent"] = abs(events[-1].time_s - broadcast.seconds) <= TOLERANCE_S
    if not trial.is_timed and events:
        checks["is no longer than sent"] = events[-1].time_s <= broadcast.seconds + TOLERANCE_S
    return checks


def _cells(name: str, row: dict[str, Any]) -> list[str]:
    names = ("reconnects", "dropped", "events", "corrected")
    counts = ["" if row[key] is None else str(row[key]) for key in names]
    delays_s = [delay["told_s"] for delay in row["delays_s"]]
    spread = [f"{of(delays_s):.1f}" if delays_s else "" for of in (fmean, median, max)]
    correct = "" if row["right"] is None else f"{100 * row['right']:.1f}"
    checks = "failed: " + "; ".join(row["failed"]) if row["failed"] else "passed"
    status = "killed" if row["status"] is None else str(row["status"])
    return [name, status, f"{row['wall_s']:.0f}", *counts, *spread, correct, checks]


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("stream", type=Path, help="a stream's JSON: video, transcript, timeline")
    parser.add_argument("--index", type=Path, required=True)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--trials", default=",".join(TRIALS), help="default: %(default)s")
    parser.add_argument("--pace", type=float, default=1.0, help="speed relative to the video's")
    parser.add_argument("--seconds", type=float, default=120.0, help="length that is sent")
    options = parser.parse_args()
    if not set(options.trials.split(",")) <= set(TRIALS):
        parser.error(f"--trials {options.trials}: choose from {', '.join(TRIALS)}")
    return options


if __name__ == "__main__":
    main()
