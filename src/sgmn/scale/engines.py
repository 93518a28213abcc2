"""The engine that a command line names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sgmn.errors import SettingsError
from sgmn.scale.engine import Engine
from sgmn.scale.process_engine import ProcessEngine

LOCAL, RAY = "local", "ray"
ENGINES = (LOCAL, RAY)


@contextmanager
def open_engine(
    name: str, address: str | None = None, processes: int = 1
) -> Iterator[Engine | None]:
    """Open an engine for the `with` block; None stands for this process.

    Args:
        name: One of ENGINES.
        address: Where the Ray cluster is, see `ray_connection.connect_ray`.
        processes: How many processes of this machine do the work of the local engine.

    Raises:
        SettingsError: There is no such engine, or it has no address or no processes.
        SgmnError: Ray is not installed, or there is no cluster at the address.
    """
    if name not in ENGINES:
        raise SettingsError("is not an engine", f"--engine {name}", f"use {' or '.join(ENGINES)}")
    if name == LOCAL:
        if address is not None:
            raise SettingsError("needs --engine ray", "--address", "add it, or leave both out")
        yield ProcessEngine(processes) if processes > 1 else None
        return
    if processes > 1:
        remedy = "leave it out: Ray uses every CPU of its cluster"
        raise SettingsError("needs --engine local", "--processes", remedy)
    from sgmn.scale.ray_connection import connect_ray  # needs Ray

    with connect_ray(address) as engine:
        yield engine
