"""Limits that keep the code readable: lengths of functions, files and lines of documentation."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAX_FUNCTION_LINES, MAX_FILE_LINES, MAX_MARKDOWN_COLUMNS = 45, 300, 200
CODE = [
    p for d in ("src", "tests", "tools", "benchmarks") for p in sorted((ROOT / d).rglob("*.py"))
]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def test_functions_and_files_are_short() -> None:
    assert len(CODE) > 100
    too_long = []
    for path in CODE:
        text = path.read_text(encoding="utf-8")
        if len(text.splitlines()) > MAX_FILE_LINES:
            too_long.append(f"{path.relative_to(ROOT)}: {len(text.splitlines())} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > MAX_FUNCTION_LINES:
                    too_long.append(f"{path.relative_to(ROOT)}: {node.name} has {lines} lines")
    assert not too_long, "\n".join(too_long)


def test_documentation_has_no_long_lines() -> None:
    if not PAGES:
        pytest.skip("the documentation is not part of this distribution")
    too_long = [
        f"{page.relative_to(ROOT)}:{number}"
        for page in PAGES
        for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1)
        if len(line) > MAX_MARKDOWN_COLUMNS
    ]
    assert not too_long, "\n".join(too_long)
