"""`sgmn doctor`: check the installation."""

from __future__ import annotations

import typer

MARKS = {"ok": "✓", "missing": "–", "failed": "✗"}


def doctor() -> None:
    """Check the installation: versions, model, codecs, protocols, hardware, extras.

    Prints a line for each check, with a remedy where one is needed.
    The exit status is 2 if something that sgmn needs is broken.
    """
    from sgmn.workflows.diagnostics import run_checks

    group, failed = "", 0
    for check in run_checks():
        if check.group != group:
            group = check.group
            typer.echo(group)
        detail = f"{check.name:<16} {check.detail}".rstrip()
        typer.echo(f"  {MARKS[check.state]} {detail}")
        if check.remedy:
            typer.echo(f"      → {check.remedy}")
        failed += check.state == "failed"
    typer.echo(f"{failed} checks failed" if failed else "sgmn is ready to use")
    raise typer.Exit(2 if failed else 0)
