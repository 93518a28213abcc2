"""Sends generated requests to the service and checks every answer (Schemathesis).

    python tools/service_fuzz.py [--examples 200] [--seed 0] [--processes 1] [--results FILE]

The application runs in this process (ASGI), on SQLite and with a tiny model, but without what works
in the background: one import that is started costs as much as a thousand requests. Each part of a
run is one operation, with generated ids or with the ids of things that exist, on a copy of the same
data of its own; the last part sends sequences of requests. What a part has found is appended to a
file of JSON lines, from which a run that was interrupted continues. All checks of Schemathesis must
pass: no status 5xx, no answer that the OpenAPI document does not describe, no invalid request
accepted. `TMPDIR=/dev/shm` saves the time in which SQLite waits for the disk.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.service.fuzzing.parts import PartResult, all_parts, run_part
from tests.service.fuzzing.shop import build_shop, read_document

RESULTS = Path("build/service-fuzz.jsonl")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--examples", type=int, default=200, help="for each part and phase")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--results", type=Path, default=RESULTS, help="a file to continue")
    parser.add_argument("--only", default="", help="text in the names of the parts to run")
    arguments = parser.parse_args()
    known = {result.name for result in read_results(arguments.results)}
    with tempfile.TemporaryDirectory() as folder:
        shop = Path(folder) / "shop"
        build_shop(shop)
        parts = [part for part in all_parts(read_document(shop)) if arguments.only in part.name]
        run = partial(run_part, shop=shop, examples=arguments.examples, seed=arguments.seed)
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(arguments.processes, spawn) as pool:
            futures = [pool.submit(run, part) for part in parts if part.name not in known]
            for future in as_completed(futures):
                note(arguments.results, future.result())
    return summarize(read_results(arguments.results))


def note(path: Path, result: PartResult) -> None:
    """Append what a part has found to the results; show what failed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(json.dumps(asdict(result)) + "\n")
    verdict = "passed" if result.passed else "FAILED"
    print(f"{result.name}: {result.requests} requests, {result.seconds} s, {verdict}", flush=True)
    if not result.passed:
        print(result.output, flush=True)


def read_results(path: Path) -> list[PartResult]:
    """The results so far; none if the file does not exist."""
    lines = path.read_text().splitlines() if path.exists() else []
    return [PartResult(**json.loads(line)) for line in lines]


def summarize(results: list[PartResult]) -> int:
    """Print the verdict of all parts; 0 if all of them passed, otherwise 1."""
    requests = sum(result.requests for result in results)
    failed = [result.name for result in results if not result.passed]
    verdict = f"FAILED: {'; '.join(failed)}" if failed else "all answers as described"
    print(f"{requests} requests in {len(results)} parts, {verdict}")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
