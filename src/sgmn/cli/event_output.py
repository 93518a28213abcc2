"""Where `sgmn watch` sends events: a file, standard output, a webhook."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, TextIO

import typer

from sgmn.cli.watch_options import WatchOptions
from sgmn.errors import SgmnError
from sgmn.live.events import Event, to_json

if TYPE_CHECKING:
    from sgmn.live.webhook import Webhook

EventHandler = Callable[[Event], None]


@contextmanager
def open_event_output(options: WatchOptions) -> Iterator[EventHandler]:
    """Open the requested outputs and yield a function that sends an event to each of them.

    At the end, prints how many events the webhook delivered.
    """
    with ExitStack() as stack:
        # The webhook comes first: an invalid one must not empty an existing events file. The
        # stack ends its thread, whatever fails after it.
        webhook = _open_webhook(options)
        if webhook is not None:
            stack.callback(webhook.close)
        write = _line_writer(options, stack)

        def send(event: Event) -> None:
            content = to_json(event)
            if write is not None:
                write(json.dumps(content, ensure_ascii=False))
            if webhook is not None:
                webhook.send(content)

        yield send
    if webhook is not None:
        typer.echo(f"webhook: {webhook.close()}", err=True)


def _line_writer(options: WatchOptions, stack: ExitStack) -> Callable[[str], None] | None:
    if options.events_on_stdout:
        return typer.echo
    if options.events_path is None:
        return None
    file = stack.enter_context(options.events_path.open("w", encoding="utf-8"))
    return partial(_write_line, file)


def _write_line(file: TextIO, line: str) -> None:
    """Write and flush a line. Raises SgmnError naming the file."""
    try:
        file.write(line + "\n")
        file.flush()
    except OSError as error:
        message = f"cannot write events ({error.strerror})"
        raise SgmnError(message, file.name, "free some disk space") from error


def _open_webhook(options: WatchOptions) -> Webhook | None:
    if options.webhook is None:
        return None
    from sgmn.live.webhook import Webhook  # imports SSL, which takes as long as `sgmn --help`

    return Webhook(options.webhook, _read_secret(options.webhook_secret_env))


def _read_secret(variable: str | None) -> str:
    if variable is None:
        return ""
    if not os.environ.get(variable):
        where = f"environment variable {variable}"
        raise SgmnError("is not set, or empty", where, "set it or remove --webhook-secret-env")
    return os.environ[variable]
