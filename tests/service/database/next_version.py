"""A next version of this package, whose database has one more migration.

    python -m tests.service.database.next_version migrate
    python -m tests.service.database.next_version serve

`migrate` brings the database of the settings in the environment up to date, and `serve` is the
command line of the service. Each step of the migration appends a line to the file that the variable
MIGRATION_PROGRESS names, if there is one.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from sgmn.service.database import migrate
from sgmn.service.database.engine import Database
from sgmn.service.settings import read_settings

PROGRESS = "MIGRATION_PROGRESS"
REVISION = "0002"
STEPS = 60
_SCRIPT = f'''
"""Gives catalogues a note, in many steps; SQLite copies, drops and renames their table."""

import os
from time import sleep

import sqlalchemy as sa
from alembic import op

revision, down_revision = "{REVISION}", "0001"


def upgrade():
    op.create_table("notes", sa.Column("id", sa.Text, primary_key=True))
    ids = op.get_bind().execute(sa.text("SELECT id FROM catalogues ORDER BY id")).scalars().all()
    for step in range({STEPS}):
        if step == {STEPS} // 2:
            copies = "always" if op.get_bind().dialect.name == "sqlite" else "auto"
            with op.batch_alter_table("catalogues", recreate=copies) as table:
                table.add_column(sa.Column("note", sa.Text, nullable=False, server_default=""))
            update = sa.text("UPDATE catalogues SET note = id, updated_s = -1")
            op.get_bind().execute(update)
        values = [dict(id=f"{{step}} {{id}}") for id in ids]
        op.get_bind().execute(sa.text("INSERT INTO notes VALUES (:id)"), values)
        if path := os.environ.get("{PROGRESS}"):
            with open(path, "a") as file:
                file.write("a step\\n")
            sleep(0.02)  # time to be killed


def downgrade():
    op.drop_table("notes")
    with op.batch_alter_table("catalogues") as table:
        table.drop_column("note")
'''


def add_migration(folder: Path) -> None:
    """Let migrations come from a copy of their folder, which has one more."""
    shutil.copytree(migrate.MIGRATIONS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "versions" / "v0002_next.py").write_text(_SCRIPT.lstrip())
    migrate.MIGRATIONS = folder


def main() -> None:
    """Run one of the commands."""
    with tempfile.TemporaryDirectory() as folder:
        add_migration(Path(folder) / "migrations")
        if sys.argv[1] == "serve":
            from sgmn.cli import main as run_command_line

            run_command_line()
        else:
            database = Database(read_settings())
            migrate.upgrade(database)
            database.close()


if __name__ == "__main__":
    main()
