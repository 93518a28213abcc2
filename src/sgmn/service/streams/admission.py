"""How many streams a machine accepts, by its measured load, and which machine is next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

STREAMS_PER_CPU = 16
NO_NODE = "no node of the cluster is available"


@dataclass(frozen=True, slots=True)
class Load:
    """What the streams of a machine take at the moment.

    Attributes:
        streams: Number of streams with a worker.
        warming: Those of them that have not been measured yet.
        worker_cpu: CPU time of all workers per second.
        encoder_busy: Share of time in which the encoder works, 0..1.
        max_lag_s: The longest time from a frame to its window; 0 if unknown.
        reduced: Number of streams that are reduced to their key frames, see `media.overload`.
    """

    streams: int = 0
    warming: int = 0
    worker_cpu: float = 0.0
    encoder_busy: float = 0.0
    max_lag_s: float = 0.0
    reduced: int = 0


@dataclass(frozen=True, slots=True)
class Limits:
    """What a machine accepts.

    Attributes:
        max_streams: Streams at once, whatever their load; see `for_node`.
        cpus: Number of CPUs.
        max_cpu: Share of all CPUs that streams may take.
        max_encoder_busy: Share of time in which the encoder may work.
        max_lag_s: No stream is added while one lags more.
        max_warming: Streams that start at once, before their load is known.
    """

    max_streams: int
    cpus: int
    max_cpu: float = 0.85
    max_encoder_busy: float = 0.85
    max_lag_s: float = 10.0
    max_warming: int = 4

    def for_node(self, cpus: int, streams_elsewhere: int) -> Limits:
        """Return the limits of one node.

        `max_streams` is shared by all nodes; 0 means `STREAMS_PER_CPU` for each CPU of the node.
        """
        remaining = max(0, self.max_streams - streams_elsewhere)
        max_streams = remaining if self.max_streams else STREAMS_PER_CPU * cpus
        return replace(self, cpus=cpus, max_streams=max_streams)


Loads = Mapping[str, tuple[Load, Limits]]  # of each node, by name


def choose_node(loads: Loads) -> tuple[str | None, str]:
    """Return the node with the most room for one more stream; None, and why, if none has any.

    >>> choose_node({"a": (Load(3), Limits(32, cpus=2)), "b": (Load(3), Limits(64, cpus=4))})
    ('b', '')
    >>> choose_node({"a": (Load(32), Limits(32, cpus=2))})
    (None, 'the limit of streams is reached')
    """
    obstacles = {name: find_obstacle(*load) for name, load in loads.items()}
    accepting = {name: load for name, load in loads.items() if obstacles[name] is None}
    if accepting:
        return least_loaded(accepting), ""
    return None, "; ".join(sorted({str(reason) for reason in obstacles.values()})) or NO_NODE


def least_loaded(loads: Loads, avoided: str = "") -> str | None:
    """Return the node on which the CPUs would be least busy with one more stream.

    `avoided` is returned only if there is no other.

    >>> loads = {"a": (Load(3), Limits(32, cpus=2)), "b": (Load(4), Limits(32, cpus=2))}
    >>> least_loaded(loads), least_loaded(loads, avoided="a"), least_loaded({}, avoided="a")
    ('a', 'b', None)
    """
    loads = {name: load for name, load in loads.items() if name != avoided} or loads

    def expected(name: str) -> tuple[float, float]:
        load, limits = loads[name]
        return _cpu_with_one_more(load, limits), load.streams / limits.cpus

    return min(loads, key=expected, default=None)


def _cpu_with_one_more(load: Load, limits: Limits) -> float:
    """The share of the CPUs with one more stream, which takes as much as the others on average."""
    return _growth_factor(load) * (load.worker_cpu + load.encoder_busy) / limits.cpus


def _growth_factor(load: Load) -> float:
    """The factor by which one more stream would increase the load; 0 if none was measured."""
    measured = load.streams - load.warming
    return (load.streams + 1) / measured if measured else 0.0


def find_obstacle(load: Load, limits: Limits) -> str | None:
    """Return why one more stream is not accepted now; None if it is.

    One more stream is expected to take as much as the others do on average.

    >>> find_obstacle(Load(streams=2), Limits(max_streams=2, cpus=4))
    'the limit of streams is reached'
    >>> find_obstacle(Load(streams=9, worker_cpu=1.6, encoder_busy=0.1), Limits(100, cpus=2))
    'the streams take 85 % of the CPUs'
    >>> find_obstacle(Load(streams=9, worker_cpu=0.9, encoder_busy=0.1), Limits(100, cpus=2))
    """
    if load.streams >= limits.max_streams:
        return "the limit of streams is reached"
    if _cpu_with_one_more(load, limits) > limits.max_cpu:
        cpu = (load.worker_cpu + load.encoder_busy) / limits.cpus
        return f"the streams take {100 * cpu:.0f} % of the CPUs"
    if _growth_factor(load) * load.encoder_busy > limits.max_encoder_busy:
        return f"the encoder works {100 * load.encoder_busy:.0f} % of the time"
    if load.reduced:  # they take less than they would
        return f"{load.reduced} streams are reduced to their key frames"
    if load.max_lag_s > limits.max_lag_s:
        return f"a stream lags by {load.max_lag_s:.0f} s"
    if load.warming >= limits.max_warming:
        return f"{load.warming} other streams are starting"
    return None
