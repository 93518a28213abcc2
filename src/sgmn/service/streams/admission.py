"""How many streams a machine accepts: a limit of the configuration, and the measured load."""

from __future__ import annotations

from dataclasses import dataclass


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
        max_streams: Streams at once, whatever their load.
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


def find_obstacle(load: Load, limits: Limits) -> str | None:
    """Return why one more stream is not accepted now; None if it is.

    One more stream is expected to take as much as the others do on average.

    >>> find_obstacle(Load(streams=2), Limits(max_streams=2, cpus=4))
    'the service runs 2 streams, as many as it is configured for'
    >>> find_obstacle(Load(streams=9, worker_cpu=1.6, encoder_busy=0.1), Limits(100, cpus=2))
    'the streams take 85 % of the CPUs'
    >>> find_obstacle(Load(streams=9, worker_cpu=0.9, encoder_busy=0.1), Limits(100, cpus=2))
    """
    if load.streams >= limits.max_streams:
        return f"the service runs {load.streams} streams, as many as it is configured for"
    measured = load.streams - load.warming
    share = (load.streams + 1) / measured if measured else 1.0
    cpu = (load.worker_cpu + load.encoder_busy) / limits.cpus
    if measured and cpu * share > limits.max_cpu:
        return f"the streams take {100 * cpu:.0f} % of the CPUs"
    if measured and load.encoder_busy * share > limits.max_encoder_busy:
        return f"the encoder works {100 * load.encoder_busy:.0f} % of the time"
    if load.reduced:  # they take less than they would
        return f"{load.reduced} streams are reduced to their key frames"
    if load.max_lag_s > limits.max_lag_s:
        return f"a stream lags by {load.max_lag_s:.0f} s"
    if load.warming >= limits.max_warming:
        return f"{load.warming} other streams are starting"
    return None
