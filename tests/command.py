"""Runs `sgmn` as a user types it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import NamedTuple

import pytest

from sgmn import cli


class CommandResult(NamedTuple):
    """What a command has returned and printed."""

    status: int
    out: str
    err: str


RunCommand = Callable[..., CommandResult]


def run_main(*arguments: object) -> int:
    """Run `sgmn` with some arguments in this process and return its exit status."""
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as ended:
        patch.setattr(sys, "argv", ["sgmn", *map(str, arguments)])
        cli.main()
    return int(ended.value.code or 0)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> RunCommand:
    """A function that runs `sgmn` with some arguments and captures its output."""

    def run_command(*arguments: object) -> CommandResult:
        status = run_main(*arguments)
        captured = capsys.readouterr()
        return CommandResult(status, captured.out, captured.err)

    return run_command
