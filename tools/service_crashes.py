"""Rounds of kill -9 at random moments of a service that does everything at once.

    python tools/service_crashes.py [--rounds 50] [--seed 0]

In each round a service recognizes a recording of ten minutes, imports a catalogue and delivers
webhooks, while a consumer follows the log. The service, a worker, the encoder, the importer and the
consumer are killed once each, in a random order at random windows. Afterwards the log must hold the
events of an uninterrupted run with the same ids, the consumer must have each row exactly once, the
webhook each row at least once, and the import all products.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.service.streams.crashes import CrashRound, check_events
from tests.service.streams.shop import build_index, recognize_events
from tests.service.streams.world import make_video

VIDEO_S = 600


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng = Random(arguments.seed)
    folder = Path(tempfile.mkdtemp(prefix="sgmn-crashes-"))
    print(f"data and logs are in {folder}, and are deleted if all rounds pass", flush=True)
    index = build_index(folder / "shop")
    video = make_video(folder / "long.mp4", VIDEO_S)
    (folder / "uninterrupted").mkdir()
    expected = recognize_events(folder / "uninterrupted", index, video)
    print(f"{len(expected)} events without a crash", flush=True)
    for number in range(1, arguments.rounds + 1):
        started_s = time.monotonic()
        (folder / f"round-{number}").mkdir()
        model = index.parent / "model"
        crash_round = CrashRound(folder / f"round-{number}", index, model, video, rng)
        try:
            check_events(crash_round.run(), expected)
        finally:
            crash_round.service.kill()  # what is left after a failure
            kills = ", ".join(f"{target} at {window}" for target, window in crash_round.kills)
            print(f"round {number}: {time.monotonic() - started_s:.0f} s, {kills}", flush=True)
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
