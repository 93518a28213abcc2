"""Metrics for Prometheus: counters of this process, and gauges that are read when it asks.

No metric names a shop, a session or a key, because `/metrics` needs no key.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator

import sqlalchemy as sa
from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sgmn import __version__
from sgmn.service.database import tables
from sgmn.service.database.engine import Database

PROCESS = CollectorRegistry()  # of this process, whatever services run in it
ProcessCollector(registry=PROCESS)
LOG_ROWS = Counter(
    "sgmn_log_rows", "Rows written to the logs of sessions.", ["type"], registry=PROCESS
)
ATTEMPTS = Counter(
    "sgmn_delivery_attempts", "Attempts to deliver webhooks.", ["outcome"], registry=PROCESS
)
ERRORS = Counter("sgmn_errors", "Errors in the log of the service.", ["logger"], registry=PROCESS)
REQUESTS = Counter(
    "sgmn_http_requests", "Answered requests.", ["method", "route", "status"], registry=PROCESS
)
DURATIONS = Histogram(
    "sgmn_http_request_duration_seconds",
    "Time from a request to the start of its answer.",
    ["method", "route"],
    registry=PROCESS,
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})


class ErrorCounter(logging.Handler):
    """Counts what is logged as an error."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)

    def emit(self, record: logging.LogRecord) -> None:
        """Count one record."""
        ERRORS.labels(record.name).inc()


class RequestMetrics:
    """ASGI middleware: counts requests and measures how long their answers take to begin."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started_s, status = time.monotonic(), 500

        async def send_and_measure(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                observe(scope, status, time.monotonic() - started_s)
            await send(message)

        await self.app(scope, receive, send_and_measure)


def observe(scope: Scope, status: int, duration_s: float) -> None:
    """Count a request by the pattern of its path, since paths hold ids."""
    method = scope["method"] if scope["method"] in _METHODS else "other"
    route = getattr(scope.get("route"), "path_format", "unknown")
    REQUESTS.labels(method, route, str(status)).inc()
    DURATIONS.labels(method, route).observe(duration_s)


class DatabaseCollector(Collector):
    """Gauges of what the database holds: sessions, operations and deliveries by state."""

    def __init__(self, database: Database, session_states: tuple[str, ...]) -> None:
        self._database, self._session_states = database, session_states

    def collect(self) -> Iterator[Metric]:
        """Read the gauges; only `sgmn_database_up` if the database does not answer."""
        yield InfoMetricFamily("sgmn_build", "The version.", {"version": __version__})
        try:
            with self._database.read() as connection:
                metrics = list(self._read(connection))
        except SQLAlchemyError:
            metrics = []
        is_up = float(bool(metrics))
        yield GaugeMetricFamily("sgmn_database_up", "Whether the database answers.", is_up)
        yield from metrics

    def _read(self, connection: sa.Connection) -> Iterator[Metric]:
        operations = ("queued", "running", "succeeded", "failed", "cancelled")
        yield self._count(connection, tables.sessions, "sgmn_sessions", self._session_states)
        yield self._count(connection, tables.operations, "sgmn_operations", operations)
        yield self._count(connection, tables.deliveries, "sgmn_deliveries", ("pending", "dead"))
        deliveries = tables.deliveries.c
        oldest = sa.select(sa.func.min(deliveries.created_s)).where(deliveries.state == "pending")
        created_s = connection.execute(oldest).scalar()
        yield GaugeMetricFamily(
            "sgmn_delivery_oldest_pending_seconds",
            "Age of the oldest delivery that is pending.",
            0.0 if created_s is None else max(0.0, time.time() - created_s),
        )

    def _count(
        self, connection: sa.Connection, table: sa.Table, name: str, states: tuple[str, ...]
    ) -> Metric:
        query = (
            sa.select(table.c.state, sa.func.count())
            .where(table.c.state.in_(states))
            .group_by(table.c.state)
        )
        counts = {row[0]: row[1] for row in connection.execute(query)}
        family = GaugeMetricFamily(name, f"{table.name.capitalize()} by state.", labels=["state"])
        for state in states:
            family.add_metric([state], counts.get(state, 0))
        return family
