"""`sgmn restore`: a data folder from a backup."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sgmn.errors import SgmnError, error_reason
from sgmn.service.backup.backup import FORMAT, MANIFEST, BackupReport, check_indexes
from sgmn.service.backup.copying import checksum, copy_file
from sgmn.service.database.engine import Database
from sgmn.service.database.migrate import require_known_version
from sgmn.service.settings import ServiceSettings

_REMEDY = "use another backup"


def restore(backup: Path, data: Path) -> BackupReport:
    """Write a data folder from a backup. The folder appears only when it is complete.

    Every file is compared with its checksum, and every index is opened. Sessions that ran when
    the backup was made recover when the service starts, as after a crash.

    Raises:
        SgmnError: The backup is damaged or of a newer version, or the folder is not empty.
    """
    manifest = _read_manifest(backup)
    if data.exists() and (not data.is_dir() or any(data.iterdir())):
        raise SgmnError("is not empty", data, "pass the name of a new folder")
    _verify(backup, manifest)
    partial = data.with_name(f"{data.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True, mode=0o700)
        for file in manifest["files"]:
            copy_file(backup, partial, file["path"])
        if manifest["has_database"]:
            _check_database(partial)
        catalogues = check_indexes(partial)
        if data.exists():
            data.rmdir()
        partial.rename(data)
    except OSError as error:
        message = f"cannot be written ({error_reason(error)})"
        raise SgmnError(message, data, "choose another folder, or free disk space") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    sizes = [file["bytes"] for file in manifest["files"]]
    return BackupReport(len(sizes), sum(sizes), catalogues)


def _read_manifest(backup: Path) -> Mapping[str, Any]:
    try:
        manifest = json.loads((backup / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        message = f"is not a backup ({MANIFEST}: {error_reason(error)})"
        raise SgmnError(message, backup, "pass a folder that sgmn backup has written") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        message = f"is not a backup of the format {FORMAT}"
        raise SgmnError(message, backup, "install the version of sgmn that has written it")
    return manifest


def _verify(backup: Path, manifest: Mapping[str, Any]) -> None:
    """Compare all files with their checksums."""
    for file in manifest["files"]:
        relative = Path(file["path"])
        path = backup / relative
        if relative.is_absolute() or ".." in relative.parts:
            raise SgmnError(f"names a file outside of it ({relative})", backup, _REMEDY)
        if path.is_symlink() or not path.is_file():
            raise SgmnError("is missing in the backup", path, _REMEDY)
        if path.stat().st_size != file["bytes"] or checksum(path) != file["sha256"]:
            raise SgmnError("is damaged: its checksum differs", path, _REMEDY)


def _check_database(data: Path) -> None:
    """Raise SgmnError for a database of a newer version of this package."""
    database = Database(ServiceSettings(data=data))
    try:
        require_known_version(database)
    finally:
        database.close()
