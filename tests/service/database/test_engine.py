"""Transactions: committed or rolled back, and writers that wait for each other."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
import sqlalchemy as sa

from sgmn.errors import SettingsError
from sgmn.service.context import ServiceContext
from sgmn.service.database.engine import Database, database_url
from sgmn.service.database.tables import instance
from sgmn.service.settings import ServiceSettings

COUNTER = instance.c.name == "counter"


def read_counter(connection: sa.Connection) -> int:
    return int(connection.execute(sa.select(instance.c.value).where(COUNTER)).scalar_one())


def test_an_exception_rolls_back(context: ServiceContext) -> None:
    with pytest.raises(ZeroDivisionError), context.database.write() as connection:
        connection.execute(sa.insert(instance).values(name="a", value="1"))
        raise ZeroDivisionError
    with context.database.read() as connection:
        assert connection.execute(sa.select(instance)).all() == []


def test_writers_wait_for_each_other(context: ServiceContext) -> None:
    """Each reads a number and writes the next one; none may be lost."""
    database = context.database
    with database.write() as connection:
        connection.execute(sa.insert(instance).values(name="counter", value="0"))

    def count() -> None:
        for _ in range(10):
            with database.write() as connection:
                lock = sa.select(instance).where(COUNTER).with_for_update()
                connection.execute(lock)
                value = str(read_counter(connection) + 1)
                connection.execute(sa.update(instance).where(COUNTER).values(value=value))

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as connection:
        assert read_counter(connection) == 40


def test_sqlite_survives_a_power_failure(context: ServiceContext) -> None:
    if not context.database.is_sqlite:
        pytest.skip("PostgreSQL has no such settings")
    with context.database.read() as connection:
        modes = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous")
        ]
    assert modes == ["wal", 2]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense", "is not a database address"),
        ("mysql://host/name", "only SQLite and PostgreSQL are supported"),
    ],
)
def test_other_databases_are_refused(settings: ServiceSettings, url: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        Database(replace(settings, database_url=url))


def test_postgresql_gets_its_driver(settings: ServiceSettings) -> None:
    settings = replace(settings, database_url="postgresql://user:secret@host/name")
    assert database_url(settings).drivername == "postgresql+psycopg"
    assert "secret" not in repr(settings)
