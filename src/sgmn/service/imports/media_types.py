"""Media types of uploaded catalogues, and the suffix that their files get."""

from __future__ import annotations

from pathlib import PurePosixPath

SUFFIXES = {
    "text/csv": ".csv",
    "text/tab-separated-values": ".tsv",
    "application/x-ndjson": ".jsonl",
    "application/jsonl": ".jsonl",
    "application/ld+json": ".json",
    "application/xml": ".xml",
    "text/xml": ".xml",
    "application/zip": ".zip",
    "application/octet-stream": "",
}
FEED_SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".xml", ".txt")
_MAX_STEM = 80


def upload_name(media_type: str, filename: str | None) -> str:
    """The name of an uploaded file: letters, digits, and a suffix that the readers know.

    >>> upload_name("text/csv", "../my shop.txt"), upload_name("application/octet-stream", "a.tsv")
    ('my-shop.csv', 'a.tsv')
    """
    path = PurePosixPath((filename or "").replace("\\", "/"))
    stem, given = path.stem, path.suffix.lower()
    if given == ".gz":
        given = PurePosixPath(stem).suffix.lower() + given
        stem = PurePosixPath(stem).stem
    safe = "".join(c if c.isascii() and c.isalnum() else "-" for c in stem)[:_MAX_STEM].strip("-")
    known = given.removesuffix(".gz") in (*FEED_SUFFIXES, ".zip")
    suffix = SUFFIXES[media_type] or (given if known else "")
    return f"{safe or 'catalogue'}{suffix}"
