"""The command line, `sgmn`."""

from sgmn.cli.app import main

__all__ = ["main"]
