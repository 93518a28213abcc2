"""The application: help of every command, version, completion, --debug, start-up time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from sgmn import __version__, cli
from sgmn.cli.app import app
from sgmn.errors import SgmnError
from tests.command import RunCommand
from tests.messages import record_help

GROUP = typer.main.get_group(app)
SUBCOMMANDS = [
    f"{name} {subcommand}"
    for name, command in GROUP.commands.items()
    for subcommand in getattr(command, "commands", ())
]
COMMANDS = sorted([*GROUP.commands, *SUBCOMMANDS])
HEAVY_MODULES = ("torch", "transformers", "numpy", "av", "lancedb", "PIL")


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_describes_command_and_options(
    command: str, run: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    result = run(*command.split(), "--help")
    assert result.status == 0 and "Usage: " in result.out
    assert "<bool>" not in result.out  # an option that takes no value
    record_help(command, result.out)
    target: Any = GROUP
    for name in command.split():
        target = target.commands[name]
    assert target.help and target.help.split("\n\n")[0].strip().endswith(".")
    for parameter in target.params:
        text = getattr(parameter, "help", None)
        assert text and text[0].isupper() and text.endswith((".", ")")), parameter.name
        if len(parameter.opts[0]) > 2 and parameter.opts[0].startswith("--"):
            assert parameter.opts[0] in result.out


def test_the_version_is_printed(run: RunCommand) -> None:
    result = run("--version")
    assert result.status == 0 and result.out == f"sgmn {__version__}\n"


def test_shell_completion_is_offered(run: RunCommand) -> None:
    result = run("--help")
    assert "--install-completion" in result.out and "--show-completion" in result.out


@pytest.mark.parametrize("position", [1, 2, 3])
def test_debug_raises_the_error(
    position: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["sgmn", "check", str(tmp_path / "none")]
    arguments.insert(position, "--debug")
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SgmnError):
        cli.main()


def test_help_texts_have_no_square_brackets() -> None:
    """Typer renders help as markup and would leave out a word in square brackets."""
    group: Any = typer.main.get_command(app)
    commands = [*group.commands.values()]
    texts = {p.help or "" for command in commands for p in command.params if hasattr(p, "help")}
    assert len(texts) > 40
    assert [text for text in texts if "[" in text] == []


def find_imported(code: str, modules: tuple[str, ...]) -> list[str]:
    """Which of the modules a new interpreter has imported after running the code."""
    report = f"\nimport sys\nprint(*(name for name in {modules} if name in sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", code + report], capture_output=True, text=True, check=True
    )
    return result.stdout.split()


def test_help_imports_no_heavy_module() -> None:
    """`sgmn --help` is quick because each command imports what it needs when it runs."""
    assert find_imported("import sgmn.cli.app", HEAVY_MODULES) == []


def test_watch_imports_no_statistics_and_no_store_before_it_opens_an_index() -> None:
    """`sgmn watch` shares code with `sgmn evaluate`, but starts without its slow imports.

    A wrong option or a missing index is reported before the import of LanceDB and models.
    """
    modules = ("torch", "scipy", "PIL", "jinja2", "lancedb", "transformers")
    code = "import sgmn.cli.watch_run, sgmn.cli.watch_recording"
    assert find_imported(code, (*modules, "onnx", "onnxruntime", "openvino")) == ["torch"]


def test_an_index_is_opened_without_a_model() -> None:
    """The module of indexes needs neither PyTorch nor, until one is opened, LanceDB."""
    modules = ("torch", "lancedb", "transformers")
    code = "from sgmn.catalogue.index import Index\nassert not Index.exists('nowhere')"
    assert find_imported(code, modules) == []
