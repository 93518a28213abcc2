"""`sgmn backup` and `sgmn restore`: the data folder of `sgmn serve`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sgmn.cli.serve import ConfigOption
from sgmn.errors import SgmnError

if TYPE_CHECKING:
    from sgmn.service.backup.backup import BackupReport


def backup(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="The data folder of sgmn serve.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A new folder for the backup.")],
    config: ConfigOption = None,
    files_only: Annotated[
        bool,
        typer.Option(
            "--files-only", help="Without the database: for PostgreSQL, after running pg_dump."
        ),
    ] = False,
) -> None:
    """Back up the data of a service, which may keep running.

    The backup holds the secret that decrypts stored addresses, so protect it like the data itself.
    """
    try:
        from sgmn.service.backup.backup import back_up
        from sgmn.service.settings import read_settings
    except ModuleNotFoundError as error:
        raise _missing(error, "sgmn backup") from error
    settings = read_settings(config, data=data)
    _show("Backed up", back_up(settings, out, files_only=files_only), out)
    if settings.index_url:
        typer.echo(f"The indexes are at {settings.index_url}; back them up there.")


def restore(
    backup: Annotated[Path, typer.Argument(metavar="OUT", help="A folder of sgmn backup.")],
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A new data folder.")],
) -> None:
    """Restore the data of a service from a backup, after checking every file of it."""
    try:
        from sgmn.service.backup.restore import restore as run
    except ModuleNotFoundError as error:
        raise _missing(error, "sgmn restore") from error
    _show("Restored", run(backup, data), data)
    typer.echo(f"Start the service with: sgmn serve --data {data}")


def _show(done: str, report: BackupReport, place: Path) -> None:
    indexes = f"{report.catalogues} index{'' if report.catalogues == 1 else 'es'}"
    size = f"{report.bytes / 1e6:.1f} MB"
    typer.echo(f"{done} {report.files} files ({size}) with {indexes}: {place}")


def _missing(error: ModuleNotFoundError, command: str) -> SgmnError:
    message = f"needs {error.name}, which is not installed"
    return SgmnError(message, command, 'pip install "sgmn[serve]"')
