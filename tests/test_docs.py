"""The documentation names commands and options that exist, and every page is in the navigation."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer.main

from sgmn.cli.app import app

ROOT = Path(__file__).parents[1]
FROZEN = ("history.md", "decisions/")  # names of their time
COMMAND = re.compile(r"(?:^ {4}|`|&& |\| |exec )(sgmn(?: [^`\n|&#]*)?)", re.MULTILINE)


def pages() -> list[Path]:
    found = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [p for p in found if p.is_file() and not any(name in str(p) for name in FROZEN)]


@pytest.fixture(scope="module")
def group() -> Any:
    if not pages():
        pytest.skip("the documentation is not part of this distribution")
    return typer.main.get_command(app)


def options_of(command: Any) -> set[str]:
    return {"--help"} | {
        name
        for parameter in command.params
        for name in (*parameter.opts, *parameter.secondary_opts)
    }


def errors_in(line: str, group: Any) -> list[str]:
    """What is wrong with a command line of the documentation."""
    words = shlex.split(line, comments=True)[1:]
    command, known = group, options_of(group)
    while words and hasattr(command, "commands") and words[0] in command.commands:
        command = command.commands[words.pop(0)]
        known = options_of(command)
    if hasattr(command, "commands") and words and not words[0].startswith("-"):
        is_placeholder = words[0].isupper() or words[0] in ("…", "...")
        return [] if is_placeholder else [f"no command {words[0]!r}"]
    given = [re.split("=", word)[0] for word in words if re.match(r"--?[a-z]", word)]
    return [f"no option {name!r}" for name in given if name.strip("[]…,") not in known]


def test_the_checker_finds_what_is_wrong(group: Any) -> None:
    assert errors_in("sgmn watch a.mp4 -i x --html r.html", group) == []
    assert errors_in("sgmn watch a.mp4 --nonsense", group) == ["no option '--nonsense'"]
    assert errors_in("sgmn wach a.mp4", group) == ["no command 'wach'"]


def test_every_command_line_of_the_documentation_exists(group: Any) -> None:
    wrong, count = [], 0
    for page in pages():
        for line in COMMAND.findall(page.read_text(encoding="utf-8")):
            count += 1
            found = errors_in(line, group)
            wrong += [f"{page.relative_to(ROOT)}: {line.strip()}: {error}" for error in found]
    assert count > 40
    assert not wrong, "\n".join(wrong)


def test_every_option_named_in_the_text_exists(group: Any) -> None:
    commands = [*group.commands.values()]
    commands += [own for c in commands for own in getattr(c, "commands", {}).values()]
    every = options_of(group).union(*map(options_of, commands))
    every |= {"--budget", "--ship", "--build-arg", "--nproc-per-node"}  # of other programs
    unknown = [
        f"{page.relative_to(ROOT)}: {option}"
        for page in pages()
        for option in re.findall(r"`(--[a-z-]+)", page.read_text(encoding="utf-8"))
        if option not in every
    ]
    assert not unknown, "\n".join(unknown)


def test_the_readme_and_the_model_card_state_the_figures_of_the_results() -> None:
    """R@1 of clips and the share of a stream in `grocery-live/val`, images and text together."""
    if not pages():
        pytest.skip("the documentation is not part of this distribution")
    readme, results, card = (
        (ROOT / name).read_text(encoding="utf-8")
        for name in ("README.md", "docs/results.md", "docs/model-card.md")
    )
    rows = re.findall(r"^\| \*\*both\*\* \| \*\*(\d+(?:\.\d)?)", results, re.MULTILINE)
    clips, stream = rows[0], rows[1]
    said = re.search(r"in (\d+)% of the clips.*?correct for (\d+)%", readme, re.DOTALL)
    assert said is not None
    assert said.groups() == (f"{float(clips):.0f}", f"{float(stream):.0f}")
    assert f"**{clips} (" in card and f"| **{stream}** |" in card
