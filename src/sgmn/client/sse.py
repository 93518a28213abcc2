"""Server-sent events: the parser of the lines (WHATWG HTML, 9.2.6)."""

from __future__ import annotations

import json

from sgmn.client.models import LogRow, build


class RowParser:
    """Collects the lines of a stream into rows of a log.

    Args:
        seq: The number of the last row received before.

    Attributes:
        seq: The number of the last row, to continue after it.

    Example:
        >>> parser = RowParser()
        >>> lines = ["id: 1", 'data: {"seq":1,"session":"s","type":"t","wall_s":0,"data":{}}', ""]
        >>> [row.seq for row in map(parser.feed, lines) if row is not None]
        [1]
    """

    def __init__(self, seq: int = 0) -> None:
        self.seq = seq
        self._data: list[str] = []

    def feed(self, line: str) -> LogRow | None:
        """Take a line without its end; return the row that it completes, unless it is known."""
        if line:
            name, _, value = line.partition(":")
            if name == "data":
                self._data.append(value.removeprefix(" "))
            return None
        data, self._data = "\n".join(self._data), []
        if not data:
            return None
        row = build(LogRow, json.loads(data))
        if row.seq <= self.seq:
            return None
        self.seq = row.seq
        return row

    def reset(self) -> None:
        """Forget a row that was cut off, before a new connection."""
        self._data = []


def is_end(row: LogRow) -> bool:
    """Whether a row says that its session has ended or failed."""
    return row.type == "sgmn.session/1" and row.data.get("state") in ("ended", "failed")
