"""Options that several commands share, and commands whose options are a dataclass."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

T = TypeVar("T")


class _UntypedFlags:
    """Shows options that take no value without the type `<bool>`."""

    def get_params(self, ctx: Any) -> list[Any]:
        """The parameters of a command, as Typer asks for them."""
        params: list[Any] = super().get_params(ctx)  # type: ignore[misc]
        for param in params:
            if getattr(param, "is_flag", False) and param.metavar is None:
                param.metavar = ""
        return params


class Command(_UntypedFlags, TyperCommand):
    """A command of `sgmn`."""


class Group(_UntypedFlags, TyperGroup):
    """A group of commands of `sgmn`."""


def help_text(command: Callable[..., None]) -> str:
    """Return the docstring of a command with a line per paragraph, which the terminal wraps."""
    paragraphs = inspect.cleandoc(command.__doc__ or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


ALL_MODALITIES = "image,text"

ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        metavar="MODEL",
        help="Model: 'builtin', a checkpoint folder, the folder or hub name of a backbone, or "
        "'small' (untrained, for tests). Defaults to the model that created the index, and to "
        "'builtin' for a new index.",
    ),
]
IndexOption = Annotated[
    Path,
    typer.Option("--index", "-i", metavar="FOLDER", help="Index created by `sgmn index`."),
]
ShopOption = Annotated[
    str | None,
    typer.Option("--shop", metavar="ID", help="Shop to use. Required if there are several."),
]
SkipInvalidOption = Annotated[
    bool, typer.Option("--skip-invalid", help="Report and skip invalid lines instead of failing.")
]
RuntimeOption = Annotated[
    str,
    typer.Option(
        "--runtime",
        metavar="NAME",
        help="What runs the image and text towers on the CPU: torch, openvino, openvino-bf16, "
        "onnx, auto (the fastest that is installed, by a short measurement), or a folder of "
        "`sgmn export`.",
    ),
]
EngineOption = Annotated[
    str,
    typer.Option(
        "--engine",
        metavar="NAME",
        help="Where the work is done: local (this process), or ray (a Ray cluster; see --address).",
    ),
]
AddressOption = Annotated[
    str | None,
    typer.Option(
        "--address",
        metavar="ADDRESS",
        help="Ray cluster for --engine ray: HOST:PORT of its head node, auto for the cluster of "
        "this machine, or local to start one for this command. Defaults to RAY_ADDRESS, else to "
        "local.",
    ),
]
ProcessesOption = Annotated[
    int,
    typer.Option(
        "--processes",
        min=1,
        metavar="N",
        help="Number of worker processes. Each uses one CPU core and loads its own copy of the "
        "model.",
    ),
]
EffortOption = Annotated[
    str,
    typer.Option(
        "--effort",
        metavar="NAME",
        help="How much is decoded: exact (all frames) or adaptive. For a recording, adaptive "
        "decodes the key frames, and all frames where key frames leave doubt. For a live stream, "
        "it decodes all frames, but only key frames while this machine is too slow.",
    ),
]
HwaccelOption = Annotated[
    str,
    typer.Option(
        "--hwaccel",
        metavar="NAME",
        help="What decodes a recording: none (the CPU), auto (the graphics card if it can), or "
        "the name of a hardware decoder, such as cuda (NVDEC), vaapi or qsv.",
    ),
]
ModalitiesOption = Annotated[
    str,
    typer.Option(
        "--modalities", metavar="LIST", help="Modalities to use: image, text, or image,text."
    ),
]
SplitOption = Annotated[
    str,
    typer.Option("--split", metavar="NAME", help="Use only clips of this split. Default: all."),
]
SeedOption = Annotated[
    int,
    typer.Option("--seed", min=0, metavar="N", help="Random seed of the statistical estimates."),
]
JsonOption = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Write the report as JSON.")
]
MarkdownOption = Annotated[
    bool, typer.Option("--markdown", help="Print Markdown instead of a table.")
]


def options_from(options_type: type[T]) -> Callable[[Callable[[T], None]], Callable[..., None]]:
    """Turn a function of a dataclass into a command with one option per field.

    Each field is annotated with its `typer.Option` or `typer.Argument`, so that an option is
    declared in one place only.
    """

    def decorate(function: Callable[[T], None]) -> Callable[..., None]:
        def command(**values: Any) -> None:
            function(options_type(**values))

        command.__name__, command.__doc__ = function.__name__, function.__doc__
        signature = inspect.signature(options_type, eval_str=True)
        command.__dict__["__signature__"] = signature  # typer reads the options from here
        return command

    return decorate
