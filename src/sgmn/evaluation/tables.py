"""Tables of text, for the terminal and for Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

Cells = Sequence[str]


def terminal_table(title: str, header: Cells, rows: Sequence[Cells], caption: str = "") -> Table:
    """A rich table, first column left-aligned, the others right-aligned.

    What is too wide for the terminal goes on in the next line: a figure cut off is wrong.
    """
    table = Table(title=title, caption=caption or None, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for place, name in enumerate(header):
        table.add_column(name, justify="right" if place else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))  # as it stands: an id may look like rich's markup
    return table


def markdown_table(header: Cells, rows: Sequence[Cells], caption: str = "") -> str:
    r"""A GitHub-flavoured table, with `|` in cells escaped and its caption below.

    >>> print(markdown_table(["run", "R@1"], [["a|b", "50.0"]]))
    | run | R@1 |
    |:--|--:|
    | a\|b | 50.0 |
    """
    rule = "|" + "|".join(["--:" if place else ":--" for place in range(len(header))]) + "|"
    body = [_line(header), rule, *(_line(row) for row in rows)]
    return "\n".join([*body, "", caption] if caption else body)


def _line(cells: Cells) -> str:
    return "| " + " | ".join(" ".join(c.split()).replace("|", r"\|") for c in cells) + " |"
