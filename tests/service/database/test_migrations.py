"""Migrations: what they make is what the code expects, on both databases."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from alembic import command, op
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from sgmn.errors import SgmnError
from sgmn.service.database import migrate
from sgmn.service.database.engine import Database
from sgmn.service.database.tables import metadata
from sgmn.service.settings import ServiceSettings


@pytest.fixture
def database(settings: ServiceSettings) -> Iterator[Database]:
    """A database without tables."""
    database = Database(settings)
    drop_all(database)
    yield database
    drop_all(database)
    database.close()


def drop_all(database: Database) -> None:
    with database.write() as connection:
        everything = sa.MetaData()
        everything.reflect(connection)
        everything.drop_all(connection)


def test_migrations_make_the_tables_of_the_code(database: Database) -> None:
    assert migrate.current_version(database) is None
    migrate.upgrade(database)
    assert migrate.current_version(database) == migrate.newest_version()
    with database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    migrate.upgrade(database)  # does nothing


def test_a_migration_can_be_undone(database: Database) -> None:
    migrate.upgrade(database)
    with database.write() as connection:
        config = migrate._config()
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
    with database.read() as connection:
        assert sa.inspect(connection).get_table_names() == ["alembic_version"]


def test_processes_that_start_together_migrate_once(database: Database) -> None:
    errors: list[BaseException] = []

    def upgrade() -> None:
        try:
            migrate.upgrade(database)
        except BaseException as error:
            errors.append(error)
            raise

    threads = [threading.Thread(target=upgrade) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert migrate.current_version(database) == migrate.newest_version()


def test_a_failed_migration_leaves_nothing(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(op, "create_index", fail)
    with pytest.raises(KeyboardInterrupt):
        migrate.upgrade(database)
    monkeypatch.undo()
    with database.read() as connection:
        assert sa.inspect(connection).get_table_names() == []
    migrate.upgrade(database)


def test_tables_of_a_newer_version_are_refused(database: Database) -> None:
    migrate.upgrade(database)
    with database.write() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SgmnError, match=r"version 9999.*install a newer version of sgmn"):
        migrate.upgrade(database)
