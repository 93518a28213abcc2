"""Watch spoken streams in real time with speech recognition: events, delays, words, CPU time.

    python tools/live_speech.py DATASET --index INDEX [--asr MODEL] [--streams N] [--over tcp]

By default `sgmn watch` reads the video itself, in real time. With `--over tcp`, ffmpeg sends it as
MPEG-TS with sound over the loopback interface.

A change counts as reported by the first event with its product before the next change. Its delay
runs from the true change to the line of the event, in seconds of real time.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from threading import Thread
from time import time
from typing import Any, NamedTuple

from live_servers import COPY_SOUND, Broadcast, send_whole, serve_tcp

from sgmn.evaluation.word_errors import word_error_rate
from sgmn.media.transcript import read_transcript


class Arrival(NamedTuple):
    """An event, and the wall-clock time at which its line arrived."""

    event: dict[str, Any]
    wall_s: float


class Trial(NamedTuple):
    """The result of one stream; `warnings` are the lines of the command about lost sound."""

    delays_s: list[float]
    changes: int
    words: tuple[str, str]
    cpu_share: float
    warnings: list[str]


def main() -> None:
    options = parse_arguments()
    paths = sorted((options.dataset / "streams").glob("*.json"))[: options.streams]
    trials = []
    for path in paths:
        trials.append(trial := watch_stream(path, options))
        print(f"{path.stem}: {describe([trial])}", flush=True)
    print(f"{len(trials)} streams: {describe(trials)}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--index", type=Path, required=True)
    parser.add_argument("--asr", default="auto")
    parser.add_argument("--language", default="en")
    parser.add_argument("--streams", type=int, default=3)
    parser.add_argument("--over", choices=["file", "tcp"], default="file")
    return parser.parse_args()


def watch_stream(path: Path, options: argparse.Namespace) -> Trial:
    row = json.loads(path.read_text(encoding="utf-8"))
    video, duration_s = path.with_suffix(".mp4"), row["timeline"][-1]["end"]
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        subtitles, source = Path(folder) / "recognized.srt", [str(video), "--live", "--realtime"]
        broadcast = Broadcast(video, duration_s, 1.0, Path(folder), COPY_SOUND)
        if options.over == "tcp":
            endpoint = stack.enter_context(serve_tcp(Path(folder)))
            stack.callback(broadcast.close)
            Thread(target=send_whole, args=(broadcast, endpoint), daemon=True).start()
            source = [endpoint.address, "--attempts", "2"]
        start_s, start_cpu_s = time(), children_cpu_s()
        arrivals, warnings = run_watch(source, row.get("shop_id", ""), subtitles, options)
        cpu_share = (children_cpu_s() - start_cpu_s) / (time() - start_s)
        text = " ".join(utterance.text for utterance in read_transcript(subtitles))
    true_text = " ".join(entry["text"] for entry in row["transcript"])
    changes = [slot for slot in row["timeline"] if slot["product_id"] is not None]
    sent = broadcast.senders[0].sent if broadcast.senders else []
    delays_s = find_delays_s(changes, arrivals, find_origin_s(arrivals, sent))
    return Trial(delays_s, len(changes), (true_text, text), cpu_share, warnings)


def run_watch(
    source: list[str], shop_id: str, subtitles: Path, options: argparse.Namespace
) -> tuple[list[Arrival], list[str]]:
    """Return the events of `sgmn watch`, and its lines about lost sound."""
    command = [sys.executable, "-m", "sgmn.cli", "watch", *source, "--index", str(options.index)]
    command += ["--asr", options.asr, "--language", options.language, "--srt", str(subtitles)]
    command += ["--events", "-", *(["--shop", shop_id] if shop_id else [])]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        arrivals = [Arrival(json.loads(line), time()) for line in process.stdout]
        messages = list(process.stderr)
    if process.returncode:
        sys.exit(f"sgmn watch ended with status {process.returncode}: {messages[-1:]}")
    return arrivals, [line for line in messages if "audio" in line or "speech" in line]


def children_cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def find_origin_s(arrivals: list[Arrival], sent: list[tuple[float, float]]) -> float:
    """Return the wall-clock time at which the stream is at 0 s.

    sent: stream time and wall-clock time of each frame that ffmpeg sent, if it did.
    """
    if sent:
        return median(wall_s - time_s for time_s, wall_s in sent)
    # The newest frame of the last event is the last frame of the stream.
    (end,) = (arrival.event for arrival in arrivals[-1:] if arrival.event["kind"] == "ended")
    return float(end["wall_s"] - end["time_s"])


def find_delays_s(
    changes: list[dict[str, Any]], arrivals: list[Arrival], origin_s: float
) -> list[float]:
    """Return the delay of each change that an event reports."""
    delays_s = []
    for change in changes:
        reports = [
            arrival.wall_s - origin_s - change["start"]
            for arrival in arrivals
            if arrival.event["product_id"] == change["product_id"]
            and change["start"] - 5 <= arrival.event["time_s"] < change["end"]
        ]
        delays_s += reports[:1]
    return delays_s


def describe(trials: list[Trial]) -> str:
    delays_s = [delay for trial in trials for delay in trial.delays_s]
    changes = sum(trial.changes for trial in trials)
    error_rate = word_error_rate(trial.words for trial in trials)
    cpu_share = sum(trial.cpu_share for trial in trials) / len(trials)
    middle = f"{median(delays_s):.1f} s" if delays_s else "-"
    warnings = [warning.strip() for trial in trials for warning in trial.warnings]
    return (
        f"{len(delays_s)} of {changes} changes reported, median delay {middle}, "
        f"word error rate {error_rate:.1%}, {cpu_share:.2f} cores"
        + "".join(f"\n  {warning}" for warning in warnings)
    )


if __name__ == "__main__":
    main()
