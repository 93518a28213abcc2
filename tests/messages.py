"""Collects the help texts and error messages that the test suite sees in build/messages.txt.

The file is for people who read all of them in one go. With pytest-xdist each worker writes a
part, and the controller merges the parts when the session ends.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from sgmn.errors import SgmnError

PARTS_VARIABLE = "SGMN_TEST_MESSAGES"  # the folder of the parts, which workers inherit
MAX_LENGTH = 300  # characters of a message

_help_texts: dict[str, str] = {}
_errors: dict[str, dict[str, str]] = {}  # kind of error -> pattern -> shortest message


def record_help(command: str, text: str) -> None:
    """Add the help text of a command; "" is `sgmn` itself."""
    _help_texts[command] = text.strip("\n")


def record_error(error: SgmnError) -> None:
    """Add the message of an error unless a shorter one of the same pattern is known."""
    text = " ".join(shorten_paths(str(error)).split())[:MAX_LENGTH]
    pattern = to_pattern(f"{error.message}; {error.remedy}")
    messages = _errors.setdefault(type(error).__name__, {})
    messages[pattern] = min(messages.get(pattern, text), text, key=len)


def shorten_paths(text: str) -> str:
    """Remove the temporary folders of a text.

    >>> shorten_paths(f"{tempfile.gettempdir()}/pytest-3/test_x0/a.srt: is empty")
    '…/a.srt: is empty'
    """
    return re.sub(rf"{re.escape(tempfile.gettempdir())}/([^\s:;,')/]*/)*", "…/", text)


def to_pattern(message: str) -> str:
    """Replace what varies between messages of one kind: quotations, numbers and paths.

    >>> to_pattern("line 3 of /tmp/a.srt has no 'text'; see docs/data.md")
    'line … of … has no …; see docs/data.md'
    """
    message = re.sub(r"'[^']*'|\"[^\"]*\"|\([^()]*\)|\[[^\]]*\]|\{[^}]*\}", "…", message)
    return re.sub(r"(?<!\S)/\S+|-?\d[\d.,:e+-]*", "…", message)


def pytest_configure(config: pytest.Config) -> None:
    """Record the message of each SgmnError that is created from now on."""
    original = SgmnError.__init__

    def init(self: SgmnError, *arguments: Any, **settings: Any) -> None:
        original(self, *arguments, **settings)
        record_error(self)

    SgmnError.__init__ = init  # type: ignore[method-assign]
    if not _is_worker(config):
        os.environ[PARTS_VARIABLE] = tempfile.mkdtemp()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the part of this process; the controller then merges all parts."""
    parts = Path(os.environ[PARTS_VARIABLE])
    content = {"help": _help_texts, "errors": _errors}
    (parts / f"{os.getpid()}.json").write_text(json.dumps(content), encoding="utf-8")
    if not _is_worker(session.config):
        contents = [json.loads(part.read_text(encoding="utf-8")) for part in parts.iterdir()]
        target = session.config.rootpath / "build" / "messages.txt"
        target.parent.mkdir(exist_ok=True)
        target.write_text(merge(contents), encoding="utf-8")
        shutil.rmtree(parts)


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def merge(contents: Iterable[dict[str, dict[str, Any]]]) -> str:
    """Return the help of each command, then the messages of each kind of error."""
    helps: dict[str, str] = {}
    errors: dict[str, dict[str, str]] = {}
    for content in contents:
        helps |= content["help"]
        for kind, messages in content["errors"].items():
            known = errors.setdefault(kind, {})
            for pattern, message in messages.items():
                known[pattern] = min(known.get(pattern, message), message, key=len)
    sections = [helps[command] for command in sorted(helps)]
    for kind, messages in sorted(errors.items()):
        sections.append("\n".join([kind, "=" * len(kind), *sorted(messages.values())]))
    return "\n\n".join(sections) + "\n"
