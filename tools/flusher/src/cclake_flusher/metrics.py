"""Render the health numbers as Prometheus metrics."""

from collections import deque
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from cclake_flusher.health import Buffer
from cclake_flusher.state import State, quantile

PREFIX = "cclake_"


class _Numbers(Collector):
    def __init__(self, state: State, buffer: Buffer) -> None:
        self._state = state
        self._buffer = buffer

    def collect(self) -> Iterator[Metric]:
        yield from self._counters()
        yield from self._labelled()
        yield from self._gauges()
        yield from self._tailer()

    def _counters(self) -> Iterator[Metric]:
        state, counters = self._state, self._buffer.counters or {}
        for name, value, what in (
            ("delivered", state.delivered, "Lines inserted into MongoDB."),
            ("duplicates", state.duplicates, "Lines that MongoDB had already."),
            ("batches", state.batches, "Batches acknowledged."),
            ("bisections", state.bisections, "Refused commands that were halved."),
            ("lines_read", counters.get("lines_read", 0), "Lines that were buffered."),
            ("bytes_read", counters.get("bytes_read", 0), "Bytes that were buffered."),
        ):
            yield CounterMetricFamily(PREFIX + name, what, value)

    def _labelled(self) -> Iterator[Metric]:
        dead = CounterMetricFamily(PREFIX + "dead", "Lines refused.", labels=["reason"])
        for reason, count in self._state.dead.items():
            dead.add_metric([reason], count)
        yield dead
        retries = CounterMetricFamily(PREFIX + "retries", "Retries.", labels=["kind"])
        for kind, count in self._state.retries.items():
            retries.add_metric([kind], count)
        yield retries

    def _gauges(self) -> Iterator[Metric]:
        state, buffer = self._state, self._buffer
        for name, value, what in (
            ("queue_rows", buffer.rows, "Lines waiting in the queue."),
            ("queue_bytes", buffer.bytes, "Bytes waiting in the queue."),
            ("queue_oldest_s", buffer.oldest_s or 0, "Age of the oldest waiting line."),
            ("dead_rows", buffer.dead_rows, "Dead letters."),
            ("files", buffer.files, "Files in the buffer."),
            ("db_bytes", buffer.db_bytes, "Size of the buffer."),
            ("wal_bytes", buffer.wal_bytes, "Size of the buffer's WAL."),
            ("freelist_bytes", buffer.freelist_bytes, "Free pages in the buffer."),
            ("disk_free_bytes", buffer.disk_free, "Free space on the buffer's disk."),
            ("ballast_present", buffer.reserve, "Whether the reserve file exists."),
            ("paused", buffer.paused != "no", "Whether reading is paused."),
            ("conservation_error", buffer.conservation_error, "Lost lines; must be 0."),
            ("mongo_up", state.mongo_up, "Whether MongoDB answered the last call."),
            ("mongo_last_ok", state.mongo_last_ok or 0, "Last answer of MongoDB."),
            ("backoff_s", state.backoff_s, "Seconds until the next attempt."),
            ("standby", state.standby, "Whether another flusher is active."),
            ("start_time_s", state.started, "When this process started (epoch)."),
        ):
            yield GaugeMetricFamily(PREFIX + name, what, float(value))
        yield _quantiles(
            "e2e_latency_ms", "From commit to acknowledgement.", state.latencies_ms
        )
        yield _quantiles("batch_seconds", "Time per batch.", state.batch_s)

    def _tailer(self) -> Iterator[Metric]:
        for name, value in (self._buffer.tailer or {}).items():
            if isinstance(value, int | float) and name.replace("_", "").isalnum():
                yield GaugeMetricFamily(
                    f"{PREFIX}tailer_{name}", "From the tailer's stats.", value
                )


def _quantiles(name: str, what: str, values: deque[float]) -> Metric:
    family = GaugeMetricFamily(PREFIX + name, what, labels=["quantile"])
    for share in (0.5, 0.99):
        value = quantile(values, share)
        if value is not None:
            family.add_metric([str(share)], value)
    return family


def render(state: State, buffer: Buffer) -> bytes:
    """Return the metrics in the text format of Prometheus."""
    registry = CollectorRegistry()
    registry.register(_Numbers(state, buffer))
    return generate_latest(registry)
