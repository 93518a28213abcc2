"""Rounds of kill -9 at random moments of a service that does everything at once.

    python tools/service_crashes.py [--rounds 50] [--seed 0] [--only sessions|migrations]

In each round a service, on SQLite and PostgreSQL in turn, recognizes a recording of ten minutes,
imports a catalogue and delivers webhooks, while a consumer follows the log. The service, a worker,
the encoder, the importer and the consumer are killed once each, in a random order at random
windows. Afterwards the log must hold the events of an uninterrupted run with the same ids, the
consumer must have each row exactly once, the webhook each row at least once, and the import all
products.

Then a next version of the package migrates a filled database, once SQLite and once PostgreSQL, and
is killed three times at random steps. Each time all or nothing of the migration must have been
done. Afterwards the service starts, and no row is lost.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Any

import sqlalchemy as sa

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.service import process
from tests.service.database import migration_crashes
from tests.service.postgresql import run_server
from tests.service.streams.crashes import CrashRound, check_events
from tests.service.streams.shop import build_index, recognize_events
from tests.service.streams.world import make_video

from sgmn.service.database.engine import Database
from sgmn.service.database.migrate import upgrade
from sgmn.service.settings import ServiceSettings

VIDEO_S = 600
MIGRATION_KILLS = 3
DEADLINE_S = 1200.0  # of each step, as the machine may have other work


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=("sessions", "migrations"))
    arguments = parser.parse_args()
    process.DEADLINE_S = DEADLINE_S
    folder = Path(tempfile.mkdtemp(prefix="sgmn-crashes-"))
    print(f"data and logs are in {folder}, and are deleted if all rounds pass", flush=True)
    if arguments.only != "migrations":
        crash_sessions(folder / "sessions", arguments.rounds, Random(arguments.seed))
    if arguments.only != "sessions":
        crash_migrations(folder / "migrations", arguments.rounds, Random(arguments.seed))
    shutil.rmtree(folder)


def crash_sessions(folder: Path, rounds: int, rng: Random) -> None:
    """Kill all processes of a service that does everything at once."""
    index = build_index(folder / "shop")
    video = make_video(folder / "long.mp4", VIDEO_S)
    (folder / "uninterrupted").mkdir()
    expected = recognize_events(folder / "uninterrupted", index, video)
    print(f"{len(expected)} events without a crash", flush=True)
    with run_server() as server:
        for number in range(1, rounds + 1):
            place = folder / f"round-{number}"
            place.mkdir()
            database_url = "" if number % 2 else create_database(server, f"round_{number}")
            crash_round = CrashRound(
                place, index, index.parent / "model", video, rng, database_url=database_url
            )
            run_round(crash_round, expected, number)


def run_round(crash_round: CrashRound, expected: list[tuple[Any, ...]], number: int) -> None:
    """Run a round, and print how long it took and what was killed."""
    started_s = time.monotonic()
    try:
        check_events(crash_round.run(), expected)
    finally:
        crash_round.service.kill()  # what is left after a failure
        kills = ", ".join(f"{target} at {window}" for target, window in crash_round.kills)
        kind = "PostgreSQL" if crash_round.database_url else "SQLite"
        took_s = time.monotonic() - started_s
        print(f"round {number}: {kind}, {took_s:.0f} s, {kills}", flush=True)


def create_database(server: str, name: str) -> str:
    """Create a database of a PostgreSQL server and return its address."""
    url = sa.make_url(server)
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return url.set(database=name).render_as_string(hide_password=False)


def crash_migrations(folder: Path, rounds: int, rng: Random) -> None:
    """Kill migrations of SQLite and of PostgreSQL."""
    with run_server() as server:
        for number in range(1, rounds + 1):
            for database_url in ("", create_database(server, f"round_{number}")):
                data = folder / f"round-{number}-{'postgresql' if database_url else 'sqlite'}"
                data.mkdir(parents=True)
                started_s = time.monotonic()
                steps = crash_migration(data, database_url, rng)
                took_s = time.monotonic() - started_s
                print(f"{data.name}: {took_s:.0f} s, killed at steps {steps}", flush=True)


def crash_migration(data: Path, database_url: str, rng: Random) -> list[int]:
    """Fill a database, kill its migration three times, and start the service."""
    settings = ServiceSettings(data=data, database_url=database_url)
    database = Database(settings)
    upgrade(database)
    migration_crashes.fill(database)
    before: dict[str, Any] = migration_crashes.snapshot(database)
    steps: list[int] = []
    while len(steps) < MIGRATION_KILLS and not migration_crashes.check_whole(database, before):
        steps.append(migration_crashes.kill_migration(settings, rng))
    migration_crashes.check_after_start(settings, before)
    assert migration_crashes.check_whole(database, before)
    database.close()
    return steps


if __name__ == "__main__":
    main()
