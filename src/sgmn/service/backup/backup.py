"""`sgmn backup`: a copy of a data folder that is consistent, although the service writes."""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

from sgmn import __version__
from sgmn.catalogue.table import ProductTable
from sgmn.errors import SgmnError, error_reason
from sgmn.service.backup.copying import CopiedFile, checksum, copy_file, copy_folder
from sgmn.service.database.engine import SQLITE_NAME
from sgmn.service.sealing import SECRET_FILE
from sgmn.service.settings import ServiceSettings

MANIFEST, FORMAT = "backup.json", "sgmn.backup/1"
FOLDERS = ("uploads", "catalogues", "shelves", "sessions")  # the database comes before all of them
_BUSY_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class BackupReport:
    """What a backup holds.

    Attributes:
        files: Number of files.
        bytes: Their size.
        catalogues: Number of indexes, each of which was opened in the backup.
    """

    files: int
    bytes: int
    catalogues: int


def back_up(settings: ServiceSettings, out: Path, *, files_only: bool = False) -> BackupReport:
    """Copy a data folder to a new folder, which appears only when it is complete.

    The database is copied first. What the other files know more is what is there after a crash,
    and the service continues from it.

    Args:
        settings: Names the data folder and the database.
        out: The new folder.
        files_only: Leave out the database, which is backed up by its own tools.

    Raises:
        SgmnError: The folder cannot be read or written, or its database is PostgreSQL.
    """
    _check(settings, out, files_only)
    partial = out.with_name(f"{out.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True, mode=0o700)
        files = list(_copy_all(settings.data, partial, files_only))
        catalogues = check_indexes(partial)
        _write_manifest(partial, files, files_only)
        partial.rename(out)
    except OSError as error:
        message = f"cannot be written ({error_reason(error)})"
        raise SgmnError(message, out, "choose another folder, or free disk space") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return BackupReport(len(files), sum(file.bytes for file in files), catalogues)


def _check(settings: ServiceSettings, out: Path, files_only: bool) -> None:
    if out.exists():
        raise SgmnError("exists already", out, "pass the name of a new folder")
    if settings.database_url and not files_only:
        message = "is PostgreSQL, which has tools of its own for backups"
        remedy = "run pg_dump first, and then sgmn backup --files-only for the files"
        raise SgmnError(message, "the database", remedy)
    if not files_only and not (settings.data / SQLITE_NAME).is_file():
        message = f"is not a data folder (it has no {SQLITE_NAME})"
        raise SgmnError(message, settings.data, "pass the --data folder of sgmn serve")
    if files_only and not settings.data.is_dir():
        raise SgmnError("is not a folder", settings.data, "pass the --data folder of sgmn serve")


def _copy_all(data: Path, target: Path, files_only: bool) -> Iterator[CopiedFile]:
    if not files_only:
        yield _copy_database(data / SQLITE_NAME, target / SQLITE_NAME)
    secret = copy_file(data, target, SECRET_FILE)
    if secret is not None:  # it may be in the environment instead
        yield secret
    for name in FOLDERS:
        yield from copy_folder(data, target, name)


def _copy_database(source: Path, target: Path) -> CopiedFile:
    """Copy a database by SQLite's backup API, in one transaction."""
    try:
        with (
            closing(sqlite3.connect(source, timeout=_BUSY_TIMEOUT_S)) as reader,
            closing(sqlite3.connect(target)) as writer,
        ):
            reader.backup(writer)
            writer.execute("PRAGMA journal_mode=DELETE")  # so that one file is all
            [problem] = writer.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.Error as error:
        raise SgmnError(f"cannot be copied ({error})", source, "check the database") from error
    if problem != "ok":
        raise SgmnError(f"is damaged ({problem})", source, "restore an earlier backup")
    target.chmod(0o600)
    return CopiedFile(SQLITE_NAME, target.stat().st_size, checksum(target))


def check_indexes(folder: Path) -> int:
    """Open the indexes of a data folder and read their rows; return their number.

    Raises SgmnError for one that is incomplete.
    """
    indexes = [path for path in folder.glob("catalogues/*/index") if ProductTable.exists(path)]
    for path in indexes:
        table = ProductTable.open(path)
        if len(table.product_keys()) != table.count():
            raise SgmnError("is incomplete", path, "back up again")
    return len(indexes)


def _write_manifest(target: Path, files: list[CopiedFile], files_only: bool) -> None:
    manifest = {
        "format": FORMAT,
        "sgmn": __version__,
        "created_s": time.time(),
        "has_database": not files_only,
        "files": [asdict(file) for file in files],
    }
    (target / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
