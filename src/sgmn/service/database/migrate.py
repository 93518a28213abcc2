"""Brings the tables of a database to the version of this package."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from sgmn.errors import SgmnError
from sgmn.service.database.engine import Database

MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK = 7_315_042_611  # of PostgreSQL; two processes must not migrate at once


def upgrade(database: Database) -> None:
    """Run the missing migrations in one transaction.

    Raises SgmnError for a database of a newer version of this package.
    """
    with database.write() as connection:
        if not database.is_sqlite:
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        _require_known(connection)
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def require_known_version(database: Database) -> None:
    """Raise SgmnError for a database of a newer version of this package."""
    with database.read() as connection:
        _require_known(connection)


def current_version(database: Database) -> str | None:
    """The version of the tables; None for an empty database."""
    with database.read() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def newest_version() -> str | None:
    """The version of the tables that this package needs."""
    return ScriptDirectory.from_config(_config()).get_current_head()


def _require_known(connection: sa.Connection) -> None:
    version = MigrationContext.configure(connection).get_current_revision()
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if version is not None and version not in known:
        message = f"has tables of version {version}, which this version of sgmn does not know"
        raise SgmnError(message, "the database", "install a newer version of sgmn")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config
