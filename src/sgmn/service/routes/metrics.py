"""Metrics for Prometheus at `/metrics`."""

from __future__ import annotations

from collections.abc import Iterator

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_1_0_0
from prometheus_client.registry import Collector

from sgmn.service.context import Context, ServiceContext
from sgmn.service.metrics import PROCESS, DatabaseCollector
from sgmn.service.streams.service import streams_of
from sgmn.service.streams.states import STATES
from sgmn.service.streams.supervisor import Supervisor

router = APIRouter(tags=["health"])
_PART = "metrics"


class StreamCollector(Collector):
    """Gauges of the streams that this process runs; zeros if it runs none."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context

    def collect(self) -> Iterator[Metric]:
        """Read the gauges."""
        supervisor = streams_of(self._context).supervisor
        for name, (text, value) in _measure(supervisor).items():
            yield GaugeMetricFamily(f"sgmn_{name}", text, value)


def _measure(supervisor: Supervisor | None) -> dict[str, tuple[str, float]]:
    """The help and the value of each gauge."""
    load = None if supervisor is None else supervisor.load()
    nodes = [] if supervisor is None else [*supervisor.nodes().values()]
    statuses = [] if supervisor is None else supervisor.statuses()

    def total(name: str) -> float:
        return float(sum(status.heartbeat.get(name, 0) for status in statuses))

    def encoders(name: str) -> float:
        return float(sum(node.encoder.get(name, 0) for node in nodes))

    return {
        "streams": ("Streams with a worker.", float(len(statuses))),
        "stream_lag_seconds": (
            "The longest time from a frame to its result, of all streams.",
            0.0 if load is None else load.max_lag_s,
        ),
        "stream_cpu_ratio": (
            "CPU time of all workers per second: decoding, mostly.",
            0.0 if load is None else load.worker_cpu,
        ),
        "stream_dropped_frames": (
            "Frames that running workers dropped.",
            total("dropped_frames"),
        ),
        "stream_reconnects": ("Reconnects of the running workers.", total("reconnects")),
        "encoder_busy_ratio": (
            "Share of time that the busiest encoder works.",
            0.0 if load is None else load.encoder_busy,
        ),
        "encoder_windows_per_second": ("Windows encoded.", encoders("windows")),
        "encoder_queue": ("Windows that wait for an encoder.", encoders("waiting")),
        "encoder_restarts": (
            "How often an encoder was started again.",
            float(sum(node.encoder_restarts for node in nodes)),
        ),
    }


@router.get("/metrics", summary="Metrics", response_class=PlainTextResponse)
def metrics(context: Context) -> PlainTextResponse:
    """Metrics in the text format of Prometheus. They name no shop, session or key."""
    registry = context.parts.get(_PART)
    if registry is None:
        registry = CollectorRegistry()
        registry.register(DatabaseCollector(context.database, STATES))
        registry.register(StreamCollector(context))
        context.parts[_PART] = registry
    text = generate_latest(PROCESS) + generate_latest(registry)
    return PlainTextResponse(text, media_type=CONTENT_TYPE_PLAIN_1_0_0)
