"""Storms of random keys in the console: no answer may be lost.

    python tools/console_storm.py [--storms 100] [--keys 100] [--seed 0]

It starts a service with a tiny model, opens the review queue in Chromium (Debian: chromium),
presses random keys as fast as the browser takes them, and checks the reviews of the service after
each storm.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.service.console.browser import open_browser
from tests.service.console.shop import run_console
from tests.service.console.storm import run_storm
from tests.service.console.visitor import Visitor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--storms", type=int, default=100)
    parser.add_argument("--keys", type=int, default=100, help="in each storm")
    parser.add_argument("--seed", type=int, default=0, help="of the first storm")
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        run_console(Path(folder)) as service,
        open_browser() as browser,
    ):
        visitor = Visitor(browser, service, may_fail=True)  # heatmaps, which a tiny model lacks
        visitor.log_in(service.process.admin_key)
        started_s, answers = time.monotonic(), 0
        for number in range(arguments.storms):
            rng = Random(arguments.seed + number)
            answers += run_storm(visitor, service, rng, arguments.keys)
            print(f"storm {number + 1}: {answers} answers so far", flush=True)
        errors = visitor.close()
        if errors:
            raise SystemExit(f"The page reported {len(errors)} errors, such as: {errors[0]}")
        took_s = time.monotonic() - started_s
        print(f"{arguments.storms} storms, {answers} answers, none lost, {took_s:.0f} s")


if __name__ == "__main__":
    main()
