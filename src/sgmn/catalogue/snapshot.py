"""A copy of a small index in one file, which is read without LanceDB.

Importing LanceDB takes longer than all that `sgmn watch` does besides importing PyTorch. So
`sgmn index` copies the rows of a small index, without thumbnails, into `snapshot.arrow` beside its
table. The copy names the manifest that it was read from, with its sha256. Lance writes a new
manifest with each commit: a copy is current if its manifest is still the newest one of the table,
and is ignored otherwise.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import tempfile
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Mapping
from pathlib import Path

import pyarrow as pa

from sgmn.catalogue import lance, rows
from sgmn.catalogue.lance import TABLE_NAME, Location

FILE = "snapshot.arrow"
MAX_PRODUCTS = 5_000  # about 8 kB each, which every `sgmn index` writes again
_VERSION_KEY = b"sgmn.snapshot"
_LOG = logging.getLogger(__name__)
_MANIFEST = re.compile(r"\d{20}\.manifest")  # 2^64 - 1 - version, so that the newest sorts first


def write(location: Location) -> None:
    """Copy the rows of an index on disk if it is small; else remove an older copy.

    Does nothing if another process changes the index meanwhile. Raises OSError if the copy cannot
    be written.
    """
    if isinstance(location, str) and "://" in location:
        return
    folder = Path(location)
    version = find_version(folder)
    table = lance.LazyTable(folder, TABLE_NAME)
    if version is None or table.count_rows() > MAX_PRODUCTS:
        (folder / FILE).unlink(missing_ok=True)
        return
    records = table.search().select(rows.SHELF_COLUMNS).limit(None).to_arrow()
    records = records.sort_by([("shop_id", "ascending"), ("product_id", "ascending")])
    metadata = {**(table.schema.metadata or {}), _VERSION_KEY: version.encode()}
    if find_version(folder) == version:  # else the rows may be of either version
        _replace(folder / FILE, records.replace_schema_metadata(metadata))


def _replace(path: Path, records: pa.Table) -> None:
    descriptor, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(descriptor)
    try:
        with pa.OSFile(draft, "wb") as file, pa.ipc.new_file(file, records.schema) as writer:
            writer.write_table(records)
        Path(draft).chmod(0o644)  # mkstemp writes 0600, but a service of another user may read it
        Path(draft).replace(path)
    finally:
        Path(draft).unlink(missing_ok=True)  # nothing is left of it after `replace`


def read_metadata(location: Location) -> Mapping[bytes, bytes] | None:
    """The metadata of the table, from its copy; None unless there is a current copy."""
    reader = _open(location, ())
    return None if reader is None else reader.schema.metadata


def read_rows(location: Location, columns: list[str], shop_id: str | None) -> pa.Table | None:
    """These columns of all products or of one shop, ordered by shop and id.

    None unless there is a current copy that has them.
    """
    reader = _open(location, {*columns, "shop_id"})
    if reader is None:
        return None
    records = reader.read_all()
    if shop_id is not None:
        shops = records["shop_id"].to_pylist()
        start, stop = bisect_left(shops, shop_id), bisect_right(shops, shop_id)
        records = records.slice(start, stop - start)
    return records.select(columns)


def _open(location: Location, columns: Collection[str]) -> pa.RecordBatchFileReader | None:
    """The reader of some columns of the copy; None unless it is current and has them."""
    if isinstance(location, str) and "://" in location:
        return None
    path = Path(location) / FILE
    try:
        file = pa.OSFile(str(path))
        schema = pa.ipc.open_file(file).schema
    except FileNotFoundError:
        return None
    except pa.ArrowInvalid as error:
        _LOG.warning("%s: is damaged and not used (%s); run `sgmn index` again", path, error)
        return None
    version = find_version(path.parent)
    if version is None or (schema.metadata or {}).get(_VERSION_KEY) != version.encode():
        return None
    places = [place for place, name in enumerate(schema.names) if name in columns]
    if len(places) < len(columns):
        return None
    return pa.ipc.open_file(file, options=pa.ipc.IpcReadOptions(included_fields=places))


def find_version(folder: Path) -> str | None:
    """Identify the current version of the table of an index: its newest manifest and its sha256.

    None if there is no table, or if its manifests have other names than expected.
    """
    versions = folder / f"{TABLE_NAME}.lance" / "_versions"
    try:
        names = [path.name for path in versions.iterdir() if path.suffix == ".manifest"]
        if not names or not all(map(_MANIFEST.fullmatch, names)):
            return None
        content = (versions / min(names)).read_bytes()
    except OSError:  # LanceDB says what is wrong
        return None
    return f"{min(names)} {hashlib.sha256(content).hexdigest()}"
