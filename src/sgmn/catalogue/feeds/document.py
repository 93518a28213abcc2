"""The content of a feed file, decompressed, and places in its text."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from sgmn.catalogue.decompression import gunzip
from sgmn.errors import RecordError, error_reason

_GZIP_MAGIC = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"


@dataclass
class Document:
    """A feed file: its `name` in messages (a path or an address) and its decompressed content."""

    name: str
    content: bytes = field(repr=False)

    @classmethod
    def read(cls, path: Path, max_bytes: int, name: str = "") -> Document:
        """Read a file, and decompress it if it is gzip.

        Raises RecordError for a file that cannot be read, is damaged or larger than `max_bytes`.
        """
        name = name or str(path)
        try:
            with path.open("rb") as file:
                content = file.read(max_bytes + 1)
        except OSError as error:
            raise RecordError(f"cannot be read ({error_reason(error)})", where=name) from error
        if len(content) > max_bytes:
            message = f"is larger than {max_bytes / 1e6:g} MB"
            raise RecordError(message, where=name, remedy="split the feed")
        if content.startswith(_GZIP_MAGIC):
            try:
                content = gunzip(content, max_bytes)
            except ValueError as error:
                remedy = "compress or download the feed again"
                raise RecordError(f"is {error}", where=f"{name}:1:1", remedy=remedy) from error
        return cls(name, content.removeprefix(_BOM))

    @property
    def is_remote(self) -> bool:
        """Whether the name is an address."""
        return is_url(self.name)

    @property
    def suffix(self) -> str:
        """The suffix of the name in lower case, without that of a compressed file."""
        path = Path(self.name.partition("?")[0].lower())
        return path.with_suffix("").suffix if path.suffix in (".gz", ".gzip") else path.suffix

    @cached_property
    def text(self) -> str:
        """The content as text. Bytes that are not UTF-8 become lone surrogates.

        Raises RecordError for binary content and for UTF-16.
        """
        if self.content.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in self.content[:4096]:
            raise self.error("is not UTF-8 text", remedy="save the feed as UTF-8")
        return self.content.decode("utf-8", errors="surrogateescape")

    @cached_property
    def _line_starts(self) -> list[int]:
        starts, start = [0], 0
        while (start := self.text.find("\n", start) + 1) > 0:
            starts.append(start)
        return starts

    def locate(self, offset: int) -> str:
        """The place of a character, as `file:line:column`."""
        line = bisect_right(self._line_starts, offset)
        return self.where(line, offset - self._line_starts[line - 1] + 1)

    def where(self, line: int, column: int = 1) -> str:
        """A place as `file:line:column`, both counted from 1."""
        return f"{self.name}:{line}:{column}"

    def error(self, message: str, line: int = 1, column: int = 1, remedy: str = "") -> RecordError:
        """An error at a place in this document."""
        return RecordError(message, self.where(line, column), remedy or None)


def is_url(name: str) -> bool:
    """Whether a source or an image is an http(s) address, not a path."""
    return name.lower().startswith(("http://", "https://"))


def is_text(*values: object) -> bool:
    """Whether all values can be written as UTF-8."""
    try:
        "".join(map(str, values)).encode()
    except UnicodeEncodeError:
        return False
    return True
