"""Collects the help texts and error messages that the test suite sees in build/messages.txt.

The file is for people who read all of them in one go. With pytest-xdist each worker writes a
part, and the controller merges the parts when the session ends.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest

from sgmn.errors import SgmnError

_help_texts: dict[str, str] = {}
_errors: dict[str, set[str]] = {}  # kind of error -> messages


def record_help(command: str, text: str) -> None:
    """Add the help text of a command; "" is `sgmn` itself."""
    _help_texts[command] = text.strip("\n")


def start_recording() -> None:
    """Record the message of each SgmnError that is created from now on."""
    original = SgmnError.__init__

    def init(self: SgmnError, *arguments: Any, **settings: Any) -> None:
        original(self, *arguments, **settings)
        _errors.setdefault(type(self).__name__, set()).add(normalize(str(self)))

    SgmnError.__init__ = init  # type: ignore[method-assign]


def normalize(message: str) -> str:
    """Replace temporary folders and ports, so that equal messages are listed once.

    >>> normalize("/tmp/pytest-of-me/pytest-3/test_x0/a.srt: is empty")
    '…/a.srt: is empty'
    >>> normalize("tcp://127.0.0.1:40213: refused")
    'tcp://127.0.0.1:…: refused'
    """
    temporary = re.escape(tempfile.gettempdir())
    message = re.sub(
        rf"{temporary}/pytest-of-[^/]+/pytest-\d+/(popen-gw\d+/)?[^/\s:;,)']+", "…", message
    )
    message = re.sub(r"(127\.0\.0\.1:)\d+", r"\1…", message)
    return " ".join(re.sub(r"x{50,}", "xxx…", message).split())


def pytest_configure(config: pytest.Config) -> None:
    start_recording()
    if not _is_worker(config):
        shutil.rmtree(_parts_folder(config), ignore_errors=True)


def pytest_sessionfinish(session: pytest.Session) -> None:
    config = session.config
    if _is_worker(config):
        _write_part(_parts_folder(config) / str(config.workerinput["workerid"]))  # type: ignore[attr-defined]
        return
    _write_part(_parts_folder(config) / "main")
    _write_merged(config)


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def _parts_folder(config: pytest.Config) -> Path:
    return config.rootpath / "build" / "messages"


def _write_part(folder: Path) -> None:
    """Write a file per command and per kind of error; the folder names its process."""
    for command, text in _help_texts.items():
        _write(folder / "help" / (command or "sgmn"), text)
    for kind, messages in _errors.items():
        _write(folder / "errors" / kind, "\n".join(sorted(messages)))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n", encoding="utf-8")


def _write_merged(config: pytest.Config) -> None:
    parts = _parts_folder(config)
    helps = {path.name: path for path in sorted(parts.glob("*/help/*"))}
    sections = [helps[name].read_text(encoding="utf-8") for name in sorted(helps)]
    for kind in sorted({path.name for path in parts.glob("*/errors/*")}):
        messages: set[str] = set()
        for path in parts.glob(f"*/errors/{kind}"):
            messages.update(path.read_text(encoding="utf-8").splitlines())
        sections.append("\n".join([kind, "=" * len(kind), *sorted(messages)]) + "\n")
    _write(config.rootpath / "build" / "messages.txt", "\n".join(sections))
    shutil.rmtree(parts, ignore_errors=True)
