"""Sends traces and metrics of a run to an OpenTelemetry collector, by OTLP over HTTP.

A run is a span; below it stand its requests, and its reports with every state as an event. The
metrics are those of `notify.metrics`, with counts and times of requests. Secrets are in neither.
"""

import logging
import os
import threading
import time
from collections.abc import Callable
from importlib import import_module
from types import SimpleNamespace
from typing import Any, Final

from orchestrator.core.events import ReportChanged, RequestMade, RunEvent
from orchestrator.core.lifecycle import State
from orchestrator.core.model import Report
from orchestrator.core.settings import Outcome
from orchestrator.errors import InputError
from orchestrator.notify import metrics
from orchestrator.notify.outcomes import Ending, Past
from orchestrator.texts import short, utc_text
from orchestrator.version import __version__

CLOSE_SECONDS: Final = 5.0
"""The longest that the end of a run waits for the collector."""

THREAD_NAME: Final = "otlp-close"
"""Of the threads that send what is left; they may outlive `Telemetry.close`."""

_REQUEST_SECONDS: Final = 4.0
"""For one request to the collector."""

_EVERY_MILLISECONDS: Final = 60_000.0
"""Between two exports of metrics."""

_ITEMS: Final = 10_000
"""Spans that wait to be sent; further ones are dropped, so that memory is bounded."""

_NANOSECONDS: Final = 1_000_000_000


_MODULES: Final = {
    "trace": "trace",
    "sdk_trace": "sdk.trace",
    "trace_export": "sdk.trace.export",
    "sdk_metrics": "sdk.metrics",
    "metrics_export": "sdk.metrics.export",
    "resources": "sdk.resources",
    "http_traces": "exporter.otlp.proto.http.trace_exporter",
    "http_metrics": "exporter.otlp.proto.http.metric_exporter",
}
"""What is used of OpenTelemetry, which is installed only where it is wanted."""


def library() -> SimpleNamespace:
    """The modules of OpenTelemetry.

    Raises:
        InputError: it is not installed.
    """
    try:
        return SimpleNamespace(
            **{name: import_module(f"opentelemetry.{path}") for name, path in _MODULES.items()}
        )
    except ImportError as error:
        raise InputError(
            "metrics.otlp needs the library OpenTelemetry; install it with `pip install"
            " 'opentelemetry-sdk>=1.30' 'opentelemetry-exporter-otlp-proto-http>=1.30'`, or remove"
            " the key"
        ) from error


class _Problems(logging.Handler):
    """Notes that something was not sent; the words of OpenTelemetry may hold the address."""

    noted = False

    def emit(self, record: logging.LogRecord) -> None:
        """Notes a warning or an error."""
        self.noted |= record.levelno >= logging.WARNING


class Telemetry:
    """A subscriber to the events of one run, which sends what it hears to a collector.

    It sends from threads of its own: nothing here waits, but for `close`.

    Args:
        address: of the collector; ``/v1/traces`` and ``/v1/metrics`` are appended.

    Raises:
        InputError: OpenTelemetry is not installed.
    """

    def __init__(self, address: str, mask: Callable[[str], str] = str) -> None:
        self._library = library()
        self._mask = mask
        self._problems = _Problems()
        self._log = logging.getLogger("opentelemetry")
        self._log.addHandler(self._problems)
        self._log.propagate = False
        lib = self._library
        name = os.environ.get("OTEL_SERVICE_NAME", "orchestrator")
        resource = lib.resources.Resource.create(
            {"service.name": name, "service.version": __version__}
        )
        spans = lib.http_traces.OTLPSpanExporter(
            endpoint=f"{address}/v1/traces", timeout=_REQUEST_SECONDS
        )
        numbers = lib.http_metrics.OTLPMetricExporter(
            endpoint=f"{address}/v1/metrics", timeout=_REQUEST_SECONDS
        )
        self._traces = lib.sdk_trace.TracerProvider(resource=resource, shutdown_on_exit=False)
        self._traces.add_span_processor(
            lib.trace_export.BatchSpanProcessor(spans, max_queue_size=_ITEMS)
        )
        reader = lib.metrics_export.PeriodicExportingMetricReader(
            numbers, export_interval_millis=_EVERY_MILLISECONDS
        )
        self._numbers = lib.sdk_metrics.MeterProvider(
            [reader], resource=resource, shutdown_on_exit=False
        )
        self._tracer = self._traces.get_tracer("orchestrator", __version__)
        self._meter = self._numbers.get_meter("orchestrator", __version__)
        self._times = self._meter.create_histogram(
            "orchestrator.request.duration", "s", "How long requests to the API took."
        )
        self._ends = self._meter.create_counter(
            "orchestrator.reports.ended", "{report}", "Reports by the state they have ended in."
        )
        self._run = self._tracer.start_span("run")
        self._context = lib.trace.set_span_in_context(self._run)
        self._reports: dict[int, Any] = {}

    def notify(self, event: RunEvent) -> None:
        """Takes an event of the run."""
        match event:
            case RequestMade():
                self._request(event)
            case ReportChanged():
                self._report(event)
            case _:
                pass

    def _request(self, request: RequestMade) -> None:
        method = request.call.partition(" ")[0]
        attributes: dict[str, str | int] = {"http.request.method": method}
        if request.error:
            attributes["error.type"] = request.error
        if request.status is not None:
            attributes["http.response.status_code"] = request.status
        self._times.record(request.seconds, {"call": request.call, **attributes})
        now = time.time_ns()
        span = self._tracer.start_span(
            request.call,
            self._context,
            kind=self._library.trace.SpanKind.CLIENT,
            attributes=attributes,
            start_time=now - round(request.seconds * _NANOSECONDS),
        )
        if request.error:
            self._fail(span, request.error)
        span.end(now)

    def _report(self, change: ReportChanged) -> None:
        report = change.report
        span = self._reports.get(report.id)
        if span is None:
            span = self._reports[report.id] = self._tracer.start_span(
                "report", self._context, attributes=_attributes(report)
            )
        span.add_event(report.state.value)
        if not report.state.is_open:
            del self._reports[report.id]
            self._end(span, report)

    def _end(self, span: Any, report: Report) -> None:
        state = report.state
        found = {
            "report.state": state.value,
            "report.request_id": report.request_id,
            "report.records": report.rows,
            "report.bytes": report.size_bytes,
        }
        span.set_attributes({name: value for name, value in found.items() if value is not None})
        if state is not State.COLLECTED:
            self._fail(span, f"{state.value}: {report.reason}")
        span.end()
        self._ends.add(1, {"product": report.series.product, "state": state.value})

    def _fail(self, span: Any, words: str) -> None:
        error = self._library.trace.StatusCode.ERROR
        span.set_status(self._library.trace.Status(error, self._mask(short(words))))

    def end(self, ending: Ending, past: Past) -> None:
        """Ends what is open, with how the run ended; `past` is what is remembered by now."""
        for span in self._reports.values():
            span.end()
        self._reports.clear()
        self._run.set_attributes(
            {
                "jobs": list(ending.summary.get("jobs", ())),
                "exit_code": int(ending.code),
                "exit_word": ending.code.name.lower(),
            }
        )
        if ending.outcome is not Outcome.SUCCESS:
            self._fail(self._run, "; ".join(ending.summary.get("why", ())))
        self._run.end()
        for name, values in metrics.samples(ending, past).items():
            gauge = self._meter.create_gauge(f"orchestrator.{name}", "", metrics.HELP[name])
            for labels, value in values:
                gauge.set(value, labels)

    def close(self) -> str:
        """Sends what is left, for `CLOSE_SECONDS` at most; in words what went wrong, if it did."""
        works = [
            threading.Thread(target=each.shutdown, name=THREAD_NAME, daemon=True)
            for each in (self._traces, self._numbers)
        ]
        ends_at = time.monotonic() + CLOSE_SECONDS
        for work in works:
            work.start()
        for work in works:
            work.join(max(0.0, ends_at - time.monotonic()))
        if any(work.is_alive() for work in works):
            return f"the collector has not taken all within {CLOSE_SECONDS:.0f} seconds"
        self._log.removeHandler(self._problems)
        self._log.propagate = True
        return "not all could be sent to the collector" if self._problems.noted else ""


def _attributes(report: Report) -> dict[str, Any]:
    series = report.series
    attributes: dict[str, Any] = {
        "report.id": report.id,
        "report.job": report.job,
        "report.account_id": series.account_id,
        "report.product": series.product,
        "report.start": utc_text(report.window.start),
        "report.end": utc_text(report.window.end),
    }
    if series.direction is not None:
        attributes["report.direction"] = series.direction
    return attributes
