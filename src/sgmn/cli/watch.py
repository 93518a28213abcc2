"""`sgmn watch`: recognize the products of a recording or a live stream."""

from __future__ import annotations

from sgmn.cli.options import options_from
from sgmn.cli.watch_options import WatchOptions


@options_from(WatchOptions)
def watch(options: WatchOptions) -> None:
    """Recognize which product is on sale, and when, in a recording or a live stream.

    A live stream ends when its sender stops or with Ctrl-C.
    """
    from sgmn.cli import watch_run

    watch_run.run(options)
