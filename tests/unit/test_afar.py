from __future__ import annotations

import gc
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from pytest_httpx import HTTPXMock, IteratorStream
from tests.support.queue_scenes import busy, record

from beacon_cli.errors import BeaconError, StartError, UsageError
from beacon_cli.operations import queue_status
from beacon_cli.queues import afar

URL = "http://queue.test:8585"
STATUS = f"{URL}{afar.PATH}"


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """The command leaves the collection of garbage off, as its process ends: the tests' process goes on."""
    yield
    gc.enable()


def fault(kind: type[BeaconError], url: str = URL) -> str:
    """The line that an answer of the server ends in."""
    with pytest.raises(kind) as caught, afar.Server(url) as server:
        server.status()
    said = str(caught.value)
    assert "\n" not in said
    assert said.isprintable()
    return said


@pytest.mark.parametrize("url", [URL, URL + "/", STATUS, STATUS + "/"])
def test_a_server_is_asked_for_its_status(httpx_mock: HTTPXMock, url: str) -> None:
    """The record comes as it was sent, whichever way the address was typed."""
    sent = record(busy()[0])
    httpx_mock.add_response(url=STATUS, json=sent)
    with afar.Server(url) as server:
        assert server.status() == sent


def test_a_server_that_is_silent_or_away(httpx_mock: HTTPXMock) -> None:
    """Timeouts and refused connections are one line each, with code 5."""
    httpx_mock.add_exception(httpx.ReadTimeout("slow"))
    assert "does not answer within 10 s" in fault(StartError)
    httpx_mock.add_exception(httpx.ConnectError("refused\x1b[2J"))
    assert "cannot be reached: refused\\x1b[2J" in fault(StartError)


@pytest.mark.parametrize(
    ("code", "kind", "said"),
    [
        (404, UsageError, "no beacon shows its queue there"),
        (302, UsageError, "answers 302"),
        (401, UsageError, "answers 401"),
        (503, StartError, "something is wrong with the server"),
    ],
)
def test_a_server_that_refuses(httpx_mock: HTTPXMock, code: int, kind: type[BeaconError], said: str) -> None:
    """Any other code is said; a redirection is not followed."""
    httpx_mock.add_response(url=STATUS, status_code=code, headers={"location": "http://elsewhere.test/"})
    assert said in fault(kind)


@pytest.mark.parametrize(
    "body",
    [
        b"<html>hello</html>",
        b"",
        b"[]",
        b"{}",
        b'{"queues": {"US": 3}}',
        b'{"queues": {"US": {"region": "US", "queue_size": -1}}}',
        b"[" * 100_000,
        b"\xff\xfe",
        b'{"queues": "\x1b[2J"}',
    ],
)
def test_an_answer_that_is_no_status(httpx_mock: HTTPXMock, body: bytes) -> None:
    """Not JSON, another form, deep nesting, control characters: one harmless line that says what it is not."""
    httpx_mock.add_response(url=STATUS, content=body)
    assert "does not give the status of a queue" in fault(UsageError)


def test_an_answer_without_end(httpx_mock: HTTPXMock, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is larger than any status is not read to its end."""
    monkeypatch.setattr(afar, "LARGEST", 1_000_000)
    httpx_mock.add_response(url=STATUS, stream=IteratorStream([b" " * 100_000] * 20))
    assert "sends more than 1 MB" in fault(UsageError)


def test_an_answer_has_an_end(httpx_mock: HTTPXMock, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that sends a byte now and then holds nobody up for ever."""
    monkeypatch.setattr(afar, "PATIENCE", 0.05)

    def drip() -> Iterator[bytes]:
        while True:
            time.sleep(0.01)
            yield b" "

    httpx_mock.add_response(url=STATUS, stream=IteratorStream(drip()))
    assert "does not answer within" in fault(StartError)


@pytest.mark.parametrize("url", ["", "queue.test", "ftp://queue.test", "http://", "http://[", "http://a\x00b"])
def test_what_is_no_address(url: str) -> None:
    """An address has to be one, of HTTP."""
    assert "--url" in fault(UsageError, url)


def test_a_password_in_an_address_is_not_shown(httpx_mock: HTTPXMock) -> None:
    """Credentials of the address stay out of the messages."""
    httpx_mock.add_response(status_code=404)
    assert "secret" not in fault(UsageError, "http://ann:secret@queue.test:8585")


def shown(capsys: pytest.CaptureFixture[str], **options: Any) -> str:
    """What `beacon queue-status --url` prints."""
    chosen: dict[str, Any] = {"region": "", "url": URL, "rehearsal": False, "as_json": False, **options}
    queue_status.show(**chosen)
    return capsys.readouterr().out


def test_this_machine_is_asked_without_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy of the environment leads elsewhere: for it, loopback is another machine."""
    body = json.dumps(record(busy()[0])).encode()

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with HTTPServer(("127.0.0.1", 0), Answering) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        try:
            for host in ("127.0.0.1", "localhost"):
                with afar.Server(f"http://{host}:{listening.server_port}") as server:
                    assert list(server.status()["queues"]) == ["US", "EU", "ASIA"]
        finally:
            listening.shutdown()
            thread.join()


def test_a_servers_queue_has_the_same_table(
    httpx_mock: HTTPXMock,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """The table, the record as it was sent, one region's part alone, and no other region."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BEACON_HOME", str(tmp_path / "home"))
    sent = record(busy()[0])
    httpx_mock.add_response(url=STATUS, json=sent, is_reusable=True)
    assert "7 of 10 GPUs in use" in shown(capsys)
    assert json.loads(shown(capsys, as_json=True)) == sent
    assert json.loads(shown(capsys, as_json=True, region="apac")) == sent["queues"]["ASIA"]
    assert "asia" not in shown(capsys, region="EU")
    assert ["bad" in shown(capsys, region=each) for each in ("", "eu", "asia")] == [True, True, False]
    with pytest.raises(UsageError, match="known: us, eu, asia"):
        shown(capsys, region="moon")
    with pytest.raises(UsageError, match="leave it out with --url"):
        shown(capsys, rehearsal=True)
    assert not (tmp_path / "home").exists()
