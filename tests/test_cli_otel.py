"""Runs are traced and counted at a real receiver of OTLP, and end as they do without one."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from anyio.from_thread import start_blocking_portal

from orchestrator import load, run_sync
from orchestrator.notify import otel
from orchestrator.simulator import Fault, Faults
from tests.kit.cli_worlds import Place, simulated
from tests.kit.servers import http_server

if TYPE_CHECKING:
    from pathlib import Path

ONE = """\
name: nightly
accounts: [abcd1234]
products: [VERIFY-API]
windows: [{from: 2026-01-01, to: 2026-03-01}]
"""


class Collector:
    """What a receiver of OTLP has got, decoded."""

    def __init__(self, status: int) -> None:
        self.status = status
        self.raw = b""
        self.spans: list[Any] = []
        self.metrics: dict[str, Any] = {}
        self.resources: list[dict[str, Any]] = []

    async def take(self, request: web.Request) -> web.Response:
        """Takes a request of one of the two kinds."""
        kind = request.path.removeprefix("/otlp/v1/")
        name = {"traces": "trace.v1.trace", "metrics": "metrics.v1.metrics"}[kind]
        service = import_module(f"opentelemetry.proto.collector.{name}_service_pb2")
        body = await request.read()
        self.raw += body
        if kind == "traces":
            traces = service.ExportTraceServiceRequest.FromString(body)
            for group in traces.resource_spans:
                self.resources.append(_values(group.resource))
                self.spans += [span for scope in group.scope_spans for span in scope.spans]
        else:
            numbers = service.ExportMetricsServiceRequest.FromString(body)
            for group in numbers.resource_metrics:
                found = (each for scope in group.scope_metrics for each in scope.metrics)
                self.metrics |= {each.name: each for each in found}
        return web.Response(status=self.status)

    def named(self, name: str) -> list[Any]:
        """The spans of a name."""
        return [span for span in self.spans if span.name == name]

    def gauge(self, name: str) -> float:
        """The value of a gauge without labels."""
        (point,) = self.metrics[f"orchestrator.{name}"].gauge.data_points
        return float(getattr(point, point.WhichOneof("value")))


def _values(holder: Any) -> dict[str, Any]:
    attributes = {each.key: each.value for each in holder.attributes}
    return {key: getattr(value, value.WhichOneof("value")) for key, value in attributes.items()}


@contextmanager
def collector(status: int = 200) -> Iterator[tuple[str, Collector]]:
    """A receiver on this machine: its address, and what it has got.

    It ends after the threads that send to it, which a run may leave behind. A connection that is
    made while a server ends is never closed.
    """
    got = Collector(status)
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(http_server(got.take)) as url,
    ):
        yield f"{url}/otlp", got
        for thread in threading.enumerate():
            if thread.name == otel.THREAD_NAME:
                thread.join()


@pytest.fixture(autouse=True)
def _library() -> None:
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http.trace_exporter")


def send_to(place: Place, address: str) -> None:
    place.write_config(more=f"metrics: {{otlp: '{address}/'}}")


def test_a_run_is_a_trace_of_its_requests_and_reports(tmp_path: Path) -> None:
    with collector() as (address, got), simulated(tmp_path, job=ONE) as place:
        send_to(place, address)
        assert place.run() == 0
        calls = sum(place.simulator.calls.values())
    (run,) = got.named("run")
    attributes = _values(run)
    assert (attributes["exit_code"], attributes["exit_word"]) == (0, "done")
    reports = got.named("report")
    assert [_values(each)["report.state"] for each in reports] == ["collected"] * 2
    for each in reports:
        states = [event.name for event in each.events]
        assert states == ["submitting", "submitted", "ready", "verified", "collected"]
    requests = [span for span in got.spans if span.name.partition(" ")[0].isupper()]
    assert len(got.named("POST /v2/reports")) == 2
    assert len(got.named("GET /v3/media/{file_id}")) == 2
    below = (*reports, *requests)
    assert {(span.trace_id, span.parent_span_id) for span in below} == {(run.trace_id, run.span_id)}
    assert all(run.start_time_unix_nano <= span.end_time_unix_nano for span in below)
    points = got.metrics["orchestrator.request.duration"].histogram.data_points
    assert sum(point.count for point in points) == len(requests) <= calls
    assert got.gauge("last_run_exit_code") == 0
    assert got.gauge("last_run_collected_reports") == 2
    (resource, *_) = got.resources
    assert resource["service.name"] == "orchestrator"
    for key in place.simulator.settings.keys:
        assert key.api_secret.encode() not in got.raw


def test_what_fails_is_an_error_in_the_trace(tmp_path: Path) -> None:
    refuse = Faults((Fault.of("create", "refuse", status=403),))
    with collector() as (address, got), simulated(tmp_path, job=ONE, faults=refuse) as place:
        send_to(place, address)
        assert place.run() == 1
        place.write_job("name: x\n")
        assert place.run() == 2, "the config alone is enough to tell"
    create = got.named("POST /v2/reports")[0]
    assert _values(create)["http.response.status_code"] == 403
    error = create.status.STATUS_CODE_ERROR
    refused, unread = got.named("run")
    assert [span.status.code for span in (create, refused, unread)] == [error] * 3
    assert "refused" in refused.status.message
    assert got.gauge("last_run_exit_code") == 2


def test_a_run_of_the_library_is_traced_where_it_is_asked_for(tmp_path: Path) -> None:
    with collector() as (address, got), simulated(tmp_path, job=ONE) as place:
        send_to(place, address)
        inputs = load([place.job])
        assert run_sync(inputs).code == 0
        assert got.spans == []
        assert run_sync(inputs, notify=True).code == 0
    assert Counter(span.name for span in got.spans)["run"] == 1


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(5.0, "not all could be sent to the collector"), (0.0, "the collector has not taken all")],
)
def test_a_collector_that_refuses_or_hangs_changes_nothing(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    seconds: float,
    told: str,
) -> None:
    monkeypatch.setattr(otel, "CLOSE_SECONDS", seconds)
    with collector(400) as (address, _), simulated(tmp_path, job=ONE) as place:
        send_to(place, address)
        assert place.run("--quiet") == 0
        words = capsys.readouterr().err
    assert words.startswith(f"warning: metrics.otlp: {told}")
    assert words.count("\n") == 1, "and nothing of what the library says"


def test_without_the_library_nothing_is_begun(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(otel, "import_module", missing)
    with simulated(tmp_path, job=ONE) as place:
        send_to(place, "http://127.0.0.1:9")
        assert place.run() == 2
        told = capsys.readouterr().err
        assert "pip install 'opentelemetry-sdk" in told
        assert told.count("OpenTelemetry") == 1
        assert place.check() == 2, "as the run"
        assert "error    notify: metrics.otlp needs the library" in capsys.readouterr().out
        assert not place.state.exists()
