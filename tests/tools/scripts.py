"""Imports the tools of maintainers, which a source distribution does not contain."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

TOOLS = Path(__file__).parents[2] / "tools"


def import_tool(name: str, folder: str = "") -> ModuleType:
    """Import a module of tools/, or skip the tests of the calling module."""
    path = TOOLS / folder
    if not path.is_dir():
        pytest.skip("tools/ is not part of a source distribution", allow_module_level=True)
    sys.path.insert(0, str(path))
    try:
        return import_module(name)
    finally:
        sys.path.remove(str(path))
