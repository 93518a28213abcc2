"""MkDocs hooks: generate the command-line reference and the training configuration reference."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Iterator
from typing import Any

import typer.main
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are generated from the code."""
    pages = {
        "reference/cli.md": command_reference(),
        "reference/training-config.md": training_config_reference(),
    }
    for path, content in pages.items():
        files.append(File.generated(config, path, content=content))
    return files


def command_reference() -> str:
    """Return one section per command with its arguments and options."""
    from sgmn.cli.app import app

    group: Any = typer.main.get_command(app)
    lines = [
        "# Command line",
        "",
        "Every command prints errors as one line on standard error and exits with status 2.",
        "`sgmn --debug COMMAND …` shows the traceback.",
        "",
    ]
    for name, command in walk_commands(group):
        lines += command_section(name, command)
    return "\n".join(lines)


def walk_commands(group: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each visible command with its full name, such as "import grocery"."""
    for name, command in sorted(group.commands.items()):
        if hasattr(command, "commands"):
            yield from walk_commands(command, f"{prefix}{name} ")
        elif not command.hidden:
            yield f"{prefix}{name}", command


def command_section(name: str, command: Any) -> list[str]:
    """Return the Markdown lines of one command."""
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option" and not p.hidden]
    usage = " ".join(["sgmn", name, *(metavar(p) for p in arguments), "[OPTIONS]"])
    lines = [f"## {name}", "", f"    {usage}", "", inspect.cleandoc(command.help or ""), ""]
    if arguments:
        lines += ["| argument | description |", "|---|---|"]
        lines += [f"| `{metavar(p)}` | {cell(p.help)} |" for p in arguments] + [""]
    if options:
        lines += ["| option | description | default |", "|---|---|---|"]
        lines += [
            f"| {option_names(p)} | {cell(p.help)} | {default_of(p)} |"
            for p in options
            if p.name != "help"
        ] + [""]
    return lines


def metavar(parameter: Any) -> str:
    """Return the name that stands for an argument in the usage line."""
    name = parameter.metavar or (parameter.name or "").upper()
    return name if parameter.required else f"[{name.strip('[]')}]"


def option_names(parameter: Any) -> str:
    """Return an option's spellings."""
    names = [*parameter.opts, *parameter.secondary_opts]
    return ", ".join(f"`{name}`" for name in names)


def default_of(parameter: Any) -> str:
    """Return an option's default as text, empty for none."""
    if parameter.required:
        return "required"
    default = parameter.default
    if default is None or default is False or default == "" or callable(default):
        return ""
    return f"`{default}`"


def cell(text: str | None) -> str:
    """Return text for a table cell."""
    return re.sub(r"\s+", " ", text or "").replace("|", "\\|")


def training_config_reference() -> str:
    """Return one table per section of a training configuration."""
    from sgmn.training import config

    sections = {
        "model": config.ModelConfig,
        "data": config.DataConfig,
        "train": config.TrainConfig,
        "loss": config.LossConfig,
    }
    lines = [
        "# Training configuration",
        "",
        "`sgmn train` reads a TOML file with these tables.",
        "An unknown key or a wrong type is an error.",
        "",
    ]
    for name, section in sections.items():
        lines += [f"## `[{name}]`", "", inspect.cleandoc(section.__doc__ or ""), ""]
        lines += ["| key | type | default |", "|---|---|---|"]
        for field in dataclasses.fields(section):
            default = "required" if field.default is dataclasses.MISSING else f"`{field.default!r}`"
            if field.default_factory is not dataclasses.MISSING:
                default = f"`{field.default_factory()!r}`"
            lines.append(f"| `{field.name}` | `{cell(str(field.type))}` | {default} |")
        lines.append("")
    return "\n".join(lines)
