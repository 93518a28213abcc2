"""The collection of help texts and error messages in build/messages.txt."""

from __future__ import annotations

import tempfile
from typing import Any

import pytest

from tests import messages

Part = dict[str, dict[str, Any]]


@pytest.mark.parametrize(
    ("message", "pattern"),
    [
        ("line 3 has no 'text'; see docs", "line … has no …; see docs"),
        ("cannot be read (EOF at 12)", "cannot be read …"),
        ("'lr' is -1.5e-3; pass a number above 0", "… is …; pass a number above …"),
        ("was built by /tmp/model; choose another", "was built by … choose another"),
    ],
)
def test_messages_of_one_kind_have_one_pattern(message: str, pattern: str) -> None:
    assert messages.to_pattern(message) == pattern


def test_temporary_folders_are_left_out() -> None:
    path = f"{tempfile.gettempdir()}/pytest-of-me/test_x0/a.srt"
    assert messages.shorten_paths(f"{path}: like '{path}'") == "…/a.srt: like '…/a.srt'"


def test_parts_of_several_processes_are_merged() -> None:
    first: Part = {
        "help": {"watch": "Usage: sgmn watch"},
        "errors": {"SgmnError": {"is …": "is 12"}},
    }
    second: Part = {
        "help": {"": "Usage: sgmn"},
        "errors": {"SgmnError": {"is …": "is 3", "no": "no"}, "MediaError": {"bad": "bad"}},
    }
    assert messages.merge([first, second]).splitlines() == [
        *("Usage: sgmn", "", "Usage: sgmn watch", ""),
        *("MediaError", "==========", "bad", ""),
        *("SgmnError", "=========", "is 3", "no"),
    ]
