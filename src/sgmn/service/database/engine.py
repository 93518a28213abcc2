"""Connections to the database: short transactions on SQLite or PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from sgmn.errors import SettingsError
from sgmn.service.settings import ServiceSettings

SQLITE_NAME = "service.sqlite3"
BUSY_TIMEOUT_S = 30
_WRITES = "sgmn_writes"  # an execution option: the transaction takes SQLite's write lock at once


def database_url(settings: ServiceSettings) -> sa.URL:
    """The address of the database: SQLite in the data folder, or what the settings name."""
    if not settings.database_url:
        return sa.URL.create("sqlite", database=str((settings.data / SQLITE_NAME).absolute()))
    remedy = "pass an address such as postgresql://user:password@host/name"
    try:
        url = sa.make_url(settings.database_url)
    except ArgumentError as error:
        raise SettingsError("is not a database address", "database_url", remedy) from error
    if url.drivername in ("postgresql", "postgres"):
        url = url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        message = f"names {url.get_backend_name()!r}; only SQLite and PostgreSQL are supported"
        raise SettingsError(message, "database_url", remedy)
    return url


class Database:
    """A database with its tables. Each block of `read` and `write` is one transaction.

    Args:
        settings: Names the database; see `database_url`.

    Example:
        >>> with database.write() as connection:  # doctest: +SKIP
        ...     connection.execute(sa.insert(tables.keys).values(...))
    """

    def __init__(self, settings: ServiceSettings) -> None:
        url = database_url(settings)
        self.is_sqlite = url.get_backend_name() == "sqlite"
        try:
            self.engine = _create_sqlite(url) if self.is_sqlite else _create_postgresql(url)
        except (ModuleNotFoundError, NoSuchModuleError) as error:
            message = "needs a driver that is not installed"
            raise SettingsError(
                message, "database_url", 'pip install "sgmn[serve,postgres]"'
            ) from error

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A transaction that only reads."""
        with self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A transaction that writes: committed at the end, rolled back by an exception."""
        with self.engine.connect() as connection:
            connection = connection.execution_options(**{_WRITES: True})
            with connection.begin():
                yield connection

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def _create_postgresql(url: sa.URL) -> sa.Engine:
    return sa.create_engine(url, pool_size=10, max_overflow=30, pool_pre_ping=True)


def _create_sqlite(url: sa.URL) -> sa.Engine:
    if url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(
        url, pool_size=10, max_overflow=30, connect_args={"timeout": BUSY_TIMEOUT_S}
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions begin below, not where Python sees a write
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")


def _begin_sqlite(connection: sa.Connection) -> None:
    """Begin a transaction. One that reads first and writes later could not wait for another."""
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
