"""Kills migrations at random steps, and checks that nothing is lost.

`tools/service_crashes.py` runs many rounds, the tests a few.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import sqlalchemy as sa

from sgmn.service.database import migrate, tables
from sgmn.service.database.engine import Database
from sgmn.service.settings import ServiceSettings
from tests.service.database.next_version import PROGRESS, REVISION, STEPS
from tests.service.process import ServiceProcess, wait_for
from tests.service.rows import insert_row

ROOT = Path(__file__).parents[3]
MODULE = "tests.service.database.next_version"
Snapshot = dict[str, list[tuple[Any, ...]]]


def fill(database: Database, count: int = 50) -> None:
    """Add catalogues, and sessions with their logs."""
    for number in range(count):
        name = f"{number:026d}"
        insert_row(database, tables.catalogues, id=f"cat_{name}", shop_id="shop", name="a shop")
        common = {"session_id": f"ses_{name}", "type": "sgmn.event/1"}
        insert_row(database, tables.log, **common, seq=1, data={"number": number})


def snapshot(database: Database) -> Snapshot:
    """All rows of the tables that this version knows."""
    with database.read() as connection:
        return {
            table.name: sorted(map(tuple, connection.execute(table.select()).all()), key=str)
            for table in tables.metadata.sorted_tables
        }


def kill_migration(settings: ServiceSettings, rng: Random) -> int:
    """Start to migrate, and kill that at a random step; return how many steps were done."""
    progress = settings.data / "migration-progress"
    progress.write_text("")
    variables = {"SGMN_DATA": str(settings.data), "SGMN_DATABASE_URL": settings.database_url}
    environment = {**os.environ, **variables, PROGRESS: str(progress)}
    command = [sys.executable, "-m", MODULE, "migrate"]
    process = subprocess.Popen(command, cwd=ROOT, env=environment)
    moment = rng.randint(1, STEPS)
    wait_for(
        lambda: steps_in(progress) >= moment or process.poll() is not None, "the migration", 0.02
    )
    process.kill()
    process.wait()
    return steps_in(progress)


def steps_in(progress: Path) -> int:
    """The number of steps so far."""
    return len(progress.read_text().splitlines())


def check_whole(database: Database, before: Snapshot) -> bool:
    """Check that a migration has done all or nothing; return whether it has been done."""
    is_done = migrate.current_version(database) == REVISION
    with database.read() as connection:
        schema = sa.inspect(connection)
        columns = {column["name"] for column in schema.get_columns("catalogues")}
        assert schema.has_table("notes") == ("note" in columns) == is_done
    if not is_done:
        assert snapshot(database) == before
    return is_done


def check_after_start(settings: ServiceSettings, before: Snapshot) -> None:
    """Start the next version of the service, which migrates, and check that nothing is lost."""
    service = ServiceProcess(settings.data, MODULE, database_url=settings.database_url)
    client = service.start()
    try:
        items = client.get("/v1/catalogues", params={"limit": 200}).json()["items"]
        assert {item["id"] for item in items} == {row[0] for row in before["catalogues"]}
    finally:
        service.stop()
    database = Database(settings)
    after = snapshot(database)
    database.close()
    for name in set(before) - {"catalogues", "keys", "instance"}:
        assert after[name] == before[name], name
    updated = tables.catalogues.columns.keys().index("updated_s")
    wanted = [(*row[:updated], -1.0, *row[updated + 1 :]) for row in before["catalogues"]]
    assert after["catalogues"] == wanted
    assert set(before["keys"]) <= set(after["keys"])
