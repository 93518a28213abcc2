"""The processes of a node of the test cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def read(file: Path) -> str:
    """The content of a file in /proc; nothing if its process has ended."""
    try:
        return file.read_text()
    except OSError:
        return ""


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    files = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for file in files for child in read(file).split()]


def descendants(pid: int) -> list[int]:
    """The processes that a process has started, and those that these have started."""
    return [found for child in children(pid) for found in (child, *descendants(child))]


def find_workers(node: Any, title: str = "ray::") -> list[int]:
    """The workers of a node with this title, which is that of their task."""
    raylet = node.all_processes["raylet"][0].process.pid
    titles = {child: read(Path(f"/proc/{child}/cmdline")) for child in children(raylet)}
    return [p for p, name in titles.items() if name.startswith(title) and "Agent" not in name]
