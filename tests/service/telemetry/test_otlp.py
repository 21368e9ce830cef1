"""What a collector gets. The collector is `oteltap`, which parses OTLP's protobuf by itself."""

import asyncio
import importlib
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from fastapi.testclient import TestClient
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from oteltap import OtelTapHttpProtobufReceiver, OtelTapHttpProtobufReceiverSettings
from structlog.testing import capture_logs

from service.app import create_app
from service.errors import StartupError
from service.settings import Settings
from service.telemetry.opening import open_telemetry
from service.telemetry.options import TelemetryOptions
from tests.ports import free_port
from tests.service.inbox.conftest import STUDY, mammogram
from tests.stow_server import StowServer, stow_server
from tests.waiting import comes_true, not_held_up

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("borrowed_readers")]

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED, UNSAMPLED = f"00-{TRACE}-{PARENT}-01", f"00-{TRACE}-{PARENT}-00"
STAGES = ["receive", "decode", "wait", "breast", "tiles", "net", "regions", "outputs"]


def collected(work: Callable[[str], None]) -> list[Span]:
    """Return the spans that a collector got while something was done with its URL."""

    async def run() -> list[Span]:
        port, spans = free_port(), []
        receiver = OtelTapHttpProtobufReceiver(OtelTapHttpProtobufReceiverSettings(http_port=port))
        async with receiver:

            async def collect() -> None:
                async for span in receiver.stream_traces():
                    spans.append(span)

            collecting = asyncio.create_task(collect())
            await asyncio.to_thread(work, f"http://127.0.0.1:{port}/v1/traces")
            # What was exported has been answered by now, and is handed over a moment later.
            await asyncio.sleep(1.0)
            collecting.cancel()
        return spans

    return asyncio.run(run())


def attributes(span: Span) -> dict[str, Any]:
    kinds = ("string_value", "int_value", "bool_value", "double_value")
    return {
        one.key: next(getattr(one.value, kind) for kind in kinds if one.value.HasField(kind))
        for one in span.attributes
    }


def settings(model: Path, endpoint: str, **more: Any) -> Settings:
    return Settings(
        model=model, device="cpu", runners=1, readers=1, trace_endpoint=endpoint, **more
    )


def test_a_request_goes_on_with_its_callers_trace(identity_model: Path) -> None:
    answers = {}

    def work(endpoint: str) -> None:
        with TestClient(create_app(settings(identity_model, endpoint))) as client:
            headers = {"traceparent": SAMPLED, "tracestate": "patient=Doe^Jane"}
            answers["well"] = client.post("/v1/segment", content=mammogram(), headers=headers)
            answers["refused"] = client.post(
                "/v1/segment", content=b"no image", headers={"traceparent": SAMPLED}
            )
            client.get("/health/live")
            client.get("/metrics")

    spans = collected(work)
    assert {span.trace_id.hex() for span in spans} == {TRACE}
    roots = [span for span in spans if span.parent_span_id.hex() == PARENT]
    well, refused = sorted(roots, key=lambda span: attributes(span)["http.response.status_code"])
    assert well.name == "POST /v1/segment" and well.kind == Span.SPAN_KIND_SERVER
    assert attributes(well) == {
        "http.request.method": "POST",
        "http.route": "/v1/segment",
        "http.response.status_code": 200,
        "mammoseg.request_id": answers["well"].headers["x-request-id"],
    }
    parts = sorted(
        (span for span in spans if span.parent_span_id == well.span_id),
        key=lambda span: span.start_time_unix_nano,
    )
    assert [span.name for span in parts] == STAGES
    assert len(spans) == 2 + len(STAGES) + 2
    for part in parts:
        assert well.start_time_unix_nano <= part.start_time_unix_nano <= part.end_time_unix_nano
        assert part.end_time_unix_nano <= well.end_time_unix_nano + 1_000_000
    expected = f"00-{TRACE}-{well.span_id.hex()}-01"
    assert answers["well"].headers["traceresponse"] == expected
    assert attributes(refused)["mammoseg.code"] == "not-an-image"
    assert refused.status.code == Status.STATUS_CODE_UNSET
    failed = {s.name: s.status for s in spans if s.parent_span_id == refused.span_id}
    assert failed["decode"].code == Status.STATUS_CODE_ERROR
    assert failed["decode"].message == "not-an-image"
    told = "".join(map(str, spans))
    assert STUDY not in told and "Doe" not in told and "42" not in map(str, told.split('"'))


def test_a_trace_that_is_not_sampled_is_not_recorded_and_stays_so(
    identity_model: Path, tmp_path: Path
) -> None:
    answers: list[Any] = []
    with stow_server() as pacs:
        spans = collected(
            lambda url: deliver(identity_model, tmp_path, url, pacs, answers, UNSAMPLED)
        )
    assert spans == []
    assert re.fullmatch(rf"00-{TRACE}-[0-9a-f]{{16}}-00", answers[0].headers["traceresponse"])
    assert all(sent["traceparent"].startswith(f"00-{TRACE}-") for sent in headers_of(pacs))
    assert all(sent["traceparent"].endswith("-00") for sent in headers_of(pacs))


def test_processing_and_deliveries_go_on_with_the_trace_of_whoever_sent_the_instance(
    identity_model: Path, tmp_path: Path
) -> None:
    with stow_server() as pacs:
        spans = collected(lambda url: deliver(identity_model, tmp_path, url, pacs, [], SAMPLED))
    assert {span.trace_id.hex() for span in spans} == {TRACE}
    by_id = {span.span_id.hex(): span for span in spans}
    sent = [header["traceparent"].split("-")[2] for header in headers_of(pacs)]
    assert len(sent) == 2 and {by_id[one].name for one in sent} == {"deliver"}
    for one in sent:
        deliver_span = by_id[one]
        assert deliver_span.kind == Span.SPAN_KIND_CLIENT
        process = by_id[deliver_span.parent_span_id.hex()]
        assert process.name == "process" and process.kind == Span.SPAN_KIND_CONSUMER
        stored = by_id[process.parent_span_id.hex()]
        assert stored.name == "POST /dicom-web/studies"
        parts = {span.name for span in spans if span.parent_span_id == process.span_id}
        assert parts == {*STAGES[1:], "deliver"}
    kinds = {attributes(by_id[one])["mammoseg.kind"] for one in sent}
    assert kinds == {"seg", "sr"}
    assert STUDY not in "".join(map(str, spans))


def headers_of(pacs: StowServer) -> list[dict[str, str]]:
    return [{name.lower(): value for name, value in one.items()} for one in pacs.headers]


def deliver(
    model: Path, folder: Path, endpoint: str, pacs: StowServer, answers: list[Any], parent: str
) -> None:
    """Store a mammogram, and wait until its two results were delivered."""
    inbox = folder / "inbox"
    configured = settings(model, endpoint, destinations=(pacs.url,), inbox=inbox)
    boundary = b"--b\r\nContent-Type: application/dicom\r\n\r\n"
    with TestClient(create_app(configured)) as client:
        answers.append(
            client.post(
                "/dicom-web/studies",
                content=boundary + mammogram() + b"\r\n--b--\r\n",
                headers={
                    "Content-Type": 'multipart/related; type="application/dicom"; boundary=b',
                    "traceparent": parent,
                },
            )
        )
        assert comes_true(lambda: len(pacs.received) >= 2)
        time.sleep(0.2)


@pytest.mark.parametrize("parent", ["", "00-0-0-01", "Doe^Jane", f"00-{'0' * 32}-{PARENT}-01"])
def test_what_is_no_traceparent_begins_a_trace_of_its_own(
    identity_model: Path, parent: str
) -> None:
    def work(endpoint: str) -> None:
        with TestClient(create_app(settings(identity_model, endpoint))) as client:
            client.get("/v1/model", headers={"traceparent": parent})

    (span,) = collected(work)
    assert span.name == "GET /v1/model" and span.parent_span_id == b""
    assert "Doe" not in str(span)


def test_a_share_of_traces_may_be_none(identity_model: Path) -> None:
    def work(endpoint: str) -> None:
        with TestClient(create_app(settings(identity_model, endpoint, trace_share=0.0))) as client:
            client.get("/v1/model")
            client.get("/v1/model", headers={"traceparent": SAMPLED})

    assert [span.trace_id.hex() for span in collected(work)] == [TRACE]


def test_a_collector_that_is_down_costs_no_answer(
    identity_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    endpoint = f"http://127.0.0.1:{free_port()}/v1/traces"
    with TestClient(create_app(settings(identity_model, endpoint))) as client:
        assert client.get("/v1/model").status_code == 200


def test_a_collector_that_never_answers_does_not_hold_up_the_end() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}/v1/traces"
        telemetry = open_telemetry(TelemetryOptions(trace_endpoint=endpoint), "0")
        telemetry.tracing.begin("request", "server", {}).end()
        with not_held_up():
            telemetry.close()


SAID = """
import sys
from service.logs import configure_logs
from service.telemetry.opening import open_telemetry
from service.telemetry.options import TelemetryOptions
configure_logs("debug", "json")
telemetry = open_telemetry(TelemetryOptions(trace_endpoint=sys.argv[1]), "0")
telemetry.tracing.begin("request", "server", {}).end()
telemetry.close()
"""


class Refusing(BaseHTTPRequestHandler):
    """A collector that quotes what it does not like."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        body = f"CANARY {self.headers.get('Authorization')}".encode()
        self.send_response(400, "CANARY")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize("header", ["Authorization: Bearer S3CRET", "Authorization=Bearer S3CRET"])
def test_what_ails_traces_is_said_in_our_own_words_and_quotes_no_secret(header: str) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/v1/traces"
        given = {"OTEL_EXPORTER_OTLP_HEADERS": header, "OTEL_EXPORTER_OTLP_TIMEOUT": "S3CRET s"}
        done = subprocess.run(
            [sys.executable, "-c", SAID, url],
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | given,
        )
        server.shutdown()
    assert "S3CRET" not in done.stderr and "CANARY" not in done.stderr
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    ignored = [line["setting"] for line in lines if line["event"] == "otlp-setting-ignored"]
    assert ignored == sorted(given if ":" in header else [*given][1:])
    assert [line["spans"] for line in lines if line["event"] == "traces-not-sent"] == [1]
    assert {line["event"] for line in lines} - {"foreign-log"} == {
        "otlp-setting-ignored",
        "traces-not-sent",
    }


def test_an_outage_of_the_collector_is_said_once_and_so_is_its_end() -> None:
    otlp_export = importlib.import_module("service.telemetry.otlp_export")
    failure, success = otlp_export.SpanExportResult.FAILURE, otlp_export.SpanExportResult.SUCCESS
    results = iter([success, failure, OSError("CANARY"), success, success])

    class Exporter(otlp_export.SpanExporter):  # type: ignore[misc, name-defined]
        def export(self, spans: Any) -> Any:
            result = next(results)
            if isinstance(result, OSError):
                raise result
            return result

    exporter = otlp_export.ToldExporter(Exporter())
    with capture_logs() as logs:
        told = [exporter.export([None, None]) for _ in range(5)]
    assert told == [success, failure, failure, success, success]
    assert [(line["event"], line.get("lost")) for line in logs] == [
        ("traces-not-sent", None),
        ("traces-sent-again", 4),
    ]


OFF = """
import sys
from fastapi.testclient import TestClient
import service.cli
from service.app import create_app
from service.settings import Settings
with TestClient(create_app(Settings(model=sys.argv[1], device="cpu", readers=1))) as client:
    assert client.get("/v1/model", headers={"traceparent": sys.argv[2]}).status_code == 200
parts = {tuple(name.split(".")[:2]) for name in sys.modules}
print(*sorted(part[1] for part in parts if part[0] == "opentelemetry" and len(part) > 1))
"""


@pytest.mark.long
def test_where_it_is_off_it_is_not_imported(identity_model: Path) -> None:
    command = [sys.executable, "-c", OFF, str(identity_model), SAMPLED]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    # FastAPI imports the interface by itself; nothing imports what records and sends.
    loaded = set(done.stdout.splitlines()[-1].split())
    assert not loaded & {"sdk", "exporter", "proto"}


def test_an_installation_without_the_extra_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "service.telemetry.otlp", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(StartupError, match=r"\.\[otel\]"):
        open_telemetry(TelemetryOptions(trace_endpoint="http://collector:4318/v1/traces"), "0")
    monkeypatch.undo()
    importlib.import_module("service.telemetry.otlp")
