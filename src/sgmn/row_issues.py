"""Problems with single rows of a catalogue or dataset, collected instead of raised."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from sgmn.errors import RecordError, SgmnError


@dataclass(frozen=True, slots=True)
class RowIssue:
    """A problem with one row: where the row is (such as `file:line`), and what is wrong."""

    where: str
    message: str

    @classmethod
    def from_error(cls, error: SgmnError) -> RowIssue:
        """The issue that an error describes, with its remedy in the message."""
        message = f"{error.message}; {error.remedy}" if error.remedy else error.message
        return cls(str(error.where), message)

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


class UniqueKeys:
    """The keys of the rows read so far, and where each one is."""

    def __init__(self) -> None:
        self.locations: dict[Hashable, str] = {}

    def add(self, key: Hashable, where: str, name: str) -> None:
        """Add the key of the row at `where`, which error messages call `name`.

        Raises RecordError if an earlier row has the same key.
        """
        if key in self.locations:
            raise RecordError(
                f"{name} is already listed at {self.locations[key]}",
                where=where,
                remedy="give each row a unique id",
            )
        self.locations[key] = where
