"""Text tables for the terminal and for Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

Cells = Sequence[str]


def terminal_table(title: str, header: Cells, rows: Sequence[Cells], caption: str = "") -> Table:
    """A rich table with the first column left-aligned and the others right-aligned.

    Cells that are too wide for the terminal continue on the next line, so that no digit is lost.
    """
    table = Table(title=title, caption=caption or None, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for index, name in enumerate(header):
        table.add_column(name, justify="right" if index else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))  # literally: an id may look like rich markup
    return table


def markdown_table(header: Cells, rows: Sequence[Cells], caption: str = "") -> str:
    r"""A GitHub-flavored Markdown table, with `|` in cells escaped and the caption below.

    >>> print(markdown_table(["run", "R@1"], [["a|b", "50.0"]]))
    | run | R@1 |
    |:--|--:|
    | a\|b | 50.0 |
    """
    rule = "|" + "|".join(["--:" if index else ":--" for index in range(len(header))]) + "|"
    body = [_line(header), rule, *(_line(row) for row in rows)]
    return "\n".join([*body, "", caption] if caption else body)


def _line(cells: Cells) -> str:
    return "| " + " | ".join(" ".join(c.split()).replace("|", r"\|") for c in cells) + " |"
