"""`beacon serve` as a client sees it that means no good: hosts, pages, tokens, sizes, hostile jobs."""

from __future__ import annotations

import json
import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import jsonschema
import pytest
from openapi_spec_validator import validate
from prometheus_client.parser import text_string_to_metric_families
from tests.support.queueing import request
from tests.support.serving import Served, serving

from beacon_cli.queues import sqlite
from beacon_cli.server import openapi
from beacon_cli.server.watch import FRESH
from beacon_cli.tickets import POISON, Entered, Refused

JOB = """\
id: posted
regions: [us]
models: [mistral-7b]
questions: [{id: q, text: "Why?"}]
"""
QUESTION = {"model": "mistral-7b", "prompt": "Why?", "region": "eu"}
OWN_EXECUTOR = (
    "line 5, column 11: executor: a job from outside may have no executor of its own; name one of these: default"
)
DOCUMENT = openapi.document("0")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the server of this module keeps its things."""
    return tmp_path_factory.mktemp("served")


@pytest.fixture(scope="module")
def served(home: Path) -> Iterator[Served]:
    """One server for all; nothing that these tests send is ever carried out."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("BEACON_", "MODAL_", "XDG_"))
    }
    environment = {
        **kept,
        "HOME": str(home),
        "BEACON_HOME": str(home / "state"),
        "PYTHONWARNINGS": "error",
        "SECRET_TOKEN": "s3cr3t-value",
    }
    with serving(home, environment, "--rehearse") as running:
        yield running
    assert "Traceback" not in (home / "serve.err").read_text(encoding="utf-8")


def fits(answer: httpx.Response, path: str, method: str = "get") -> Any:
    """Hold an answer against what /openapi.json says of it; gives its body."""
    declared = DOCUMENT["paths"][path][method]["responses"][str(answer.status_code)]["content"]
    kind = answer.headers["content-type"].partition(";")[0]
    schema = {**declared[kind]["schema"], "components": DOCUMENT["components"]}
    body = answer.json() if kind == "application/json" else answer.text
    jsonschema.Draft202012Validator(schema).validate(body)
    return body


def is_one_line(answer: httpx.Response, home: Path) -> str:
    """An error is one line and says nothing of the server's own files and variables."""
    error = answer.json()["error"]
    assert isinstance(error, str)
    assert error
    assert "\n" not in error
    for secret in (str(home), "Traceback", "s3cr3t-value", ".py"):
        assert secret not in answer.text
    return error


def test_openapi_is_valid_and_names_every_route(served: Served) -> None:
    """The document is OpenAPI 3.1, and what it promises is there."""
    document = httpx.get(f"{served.url}/openapi.json").json()
    validate(document)
    for path, methods in document["paths"].items():
        address = served.url + path.replace("{region}", "us").replace("{run}", "none")
        for method in methods:
            answer = httpx.request(method, address, headers=served.authorized)
            assert answer.status_code not in {405, 500}, (method, path)
            assert str(answer.status_code) in methods[method]["responses"], (method, path)


@pytest.mark.parametrize(
    "path", ["/", "/page.css", "/page.js", "/health", "/metrics", "/openapi.json", "/queue/status"]
)
def test_reading_needs_no_token(served: Served, path: str) -> None:
    """Each answer is what the document says, for this client alone, and nobody else's page gets it."""
    answer = httpx.get(served.url + path)
    assert answer.status_code == 200
    fits(answer, path)
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert not any(name.startswith("access-control") for name in answer.headers)
    assert "uvicorn" not in str(answer.headers).lower()


def test_the_status_has_the_original_systems_form(served: Served) -> None:
    """All of its fields, by region in capitals, whether anybody ever asked for the region or not."""
    queues = httpx.get(f"{served.url}/queue/status").json()["queues"]
    assert list(queues) == ["US", "EU", "ASIA"]
    original = {"region", "queue_size", "processing", "current_job", "completed", "failed"}
    assert all(original <= set(queue) for queue in queues.values())
    assert queues["US"]["current_job"] is None


def test_the_status_names_what_is_set_aside(served: Served, home: Path) -> None:
    """As `beacon queue-status` does on the machine itself."""
    with closing(sqlite.store(home / "state" / "rehearsals.db", outlived=False)) as store:
        for holder in range(POISON):
            entered = store.enter(request("poison", holder=f"host:{holder}"))
            assert isinstance(entered, Entered)
            store.claim(entered.ticket, f"host:{holder}")
        assert isinstance(store.enter(request("poison")), Refused)
        try:
            time.sleep(2 * FRESH)
            assert httpx.get(f"{served.url}/queue/status").json()["set_aside"] == {"poison": ["us"]}
        finally:
            store.release("poison")


@pytest.mark.parametrize(
    ("name", "region"), [("eu", "EU"), ("US", "US"), ("apac", "ASIA"), ("Asia-Pacific", "ASIA")]
)
def test_a_region_goes_by_all_its_names(served: Served, name: str, region: str) -> None:
    """Whatever the case."""
    answer = httpx.get(f"{served.url}/queue/status/{name}")
    assert fits(answer, "/queue/status/{region}")["region"] == region


@pytest.mark.parametrize("name", ["mars", "%2e%2e", "us%00", "%1b[2J", "us%2Feu", "%F0%9F%98%80", "x" * 5_000])
def test_an_unknown_region_is_told_the_known_ones(served: Served, home: Path, name: str) -> None:
    """The name is not repeated as it came."""
    answer = httpx.get(f"{served.url}/queue/status/{name}")
    assert answer.status_code == 404
    assert "\x1b" not in is_one_line(answer, home)
    if "known" in answer.json():
        assert fits(answer, "/queue/status/{region}")["known"] == ["US", "EU", "ASIA"]


def test_metrics_can_be_read_by_prometheus(served: Served) -> None:
    """Its own parser takes them; every region is there."""
    text = httpx.get(f"{served.url}/metrics").text
    families = {family.name: family for family in text_string_to_metric_families(text)}
    waiting = {sample.labels["region"]: sample.value for sample in families["beacon_queue_waiting"].samples}
    assert waiting == {"us": 0.0, "eu": 0.0, "asia": 0.0}
    assert families["beacon_queue_jobs"].type == "counter"


@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT", "PATCH", "OPTIONS"])
@pytest.mark.parametrize("path", ["/jobs", "/inference", "/jobs/x", "/queue/status", "/"])
@pytest.mark.parametrize("token", [None, "x" * 43])
def test_nothing_is_changed_without_the_token(
    served: Served, home: Path, method: str, path: str, token: str | None
) -> None:
    """Whatever else is in the request."""
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    answer = httpx.request(method, served.url + path, headers=headers)
    assert answer.status_code == 401
    is_one_line(answer, home)


def test_answers_need_the_token(served: Served) -> None:
    """They are read, but not by everybody on this machine."""
    assert httpx.get(f"{served.url}/jobs/x/results").status_code == 401
    assert httpx.get(f"{served.url}/jobs/x/results%0a").status_code == 404
    assert httpx.get(f"{served.url}/jobs/x/results", headers=served.authorized).status_code == 404


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example"}, 421),
        ({"host": "127.0.0.1.evil.example"}, 421),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://127.0.0.1:1"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
    ],
)
def test_other_hosts_and_pages_are_refused_with_the_right_token_too(
    served: Served, home: Path, headers: dict[str, str], status: int
) -> None:
    """DNS rebinding, and a page that somebody looks at."""
    with served.client(**headers) as client:
        answer = client.post("/jobs", content=JOB, headers={"content-type": "application/yaml"})
    assert answer.status_code == status
    is_one_line(answer, home)
    assert "evil" not in answer.text


def test_a_page_under_another_name_reads_nothing(served: Served) -> None:
    """After DNS rebinding a browser would let it."""
    for path in ("/", "/queue/status", "/metrics"):
        assert httpx.get(served.url + path, headers={"host": "rebound.example"}).status_code == 421


def test_our_own_page_may_post(served: Served) -> None:
    """With the token, from the origin that the request was sent to: here the job itself is refused."""
    with served.client(origin=served.url, **{"sec-fetch-site": "same-origin"}) as client:
        assert client.post("/jobs", json={}).status_code == 422


@pytest.mark.parametrize(
    "kind",
    [
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/html",
        "application/json; charset=utf-16",
        "application/jsonx",
    ],
)
def test_a_form_of_a_page_is_no_job(served: Served, home: Path, kind: str) -> None:
    """A web page can send these without asking; a job it cannot."""
    with served.client() as client:
        for path in ("/jobs", "/inference"):
            answer = client.post(path, content=JOB, headers={"content-type": kind})
            assert answer.status_code == 415
            is_one_line(answer, home)


def test_a_large_body_is_refused(served: Served, home: Path) -> None:
    """Whether its length is said before or not."""
    with served.client() as client:
        kind = {"content-type": "application/yaml"}
        said = client.post("/jobs", content=b"#" * 1_100_000, headers=kind)
        assert said.status_code == 413
        is_one_line(said, home)
    with served.client() as client:
        unsaid = client.post("/jobs", content=(b"#" * 10_000 for _ in range(110)), headers=kind)
        assert unsaid.status_code == 413


def test_a_slow_client_holds_nobody_up(served: Served) -> None:
    """Twenty that never finish their body; another is answered at once."""
    address = urlsplit(served.url)
    head = (
        f"POST /jobs HTTP/1.1\r\nHost: {address.netloc}\r\nAuthorization: Bearer {served.token}\r\n"
        "Content-Type: application/yaml\r\nContent-Length: 1000\r\n\r\nid: "
    )
    slow = [socket.create_connection((str(address.hostname), int(address.port or 0)), 5) for _ in range(20)]
    try:
        for each in slow:
            each.sendall(head.encode("ascii"))
        assert httpx.get(f"{served.url}/health", timeout=2).json()["status"] == "ok"
    finally:
        for each in slow:
            each.close()


@pytest.mark.parametrize(
    "raw",
    [
        b"\x00\x01\x02\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 1_000_000 + b"\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
    ],
)
def test_what_is_no_request_is_refused(served: Served, raw: bytes) -> None:
    """With a status of its own, and the connection is closed or goes on."""
    address = urlsplit(served.url)
    with socket.create_connection((str(address.hostname), int(address.port or 0)), 5) as connection:
        connection.sendall(raw)
        answer = connection.recv(10_000)
    assert re.match(rb"HTTP/1\.1 4(00|01|21|13|31) ", answer), answer[:100]
    assert httpx.get(f"{served.url}/health").status_code == 200


@pytest.mark.parametrize(
    ("job", "fault"),
    [
        (
            JOB.replace('[{id: q, text: "Why?"}]', "{file: /etc/passwd}"),
            "line 4, column 19: questions.file: a job from outside may name no file; write the questions out",
        ),
        (
            JOB + "executor: {openai: {base_url: 'http://169.254.169.254/', api_key_env: SECRET_TOKEN}}\n",
            OWN_EXECUTOR,
        ),
        (
            JOB + "executor: {openai: {base_url: 'https://x.example/v1', headers: {a: '${SECRET_TOKEN}'}}}\n",
            OWN_EXECUTOR,
        ),
        (JOB + "executor: secret\n", "line 5, column 11: executor: unknown executor 'secret'; known: default"),
        (JOB + "output: /etc\n", "line 5, column 1: output: unknown key"),
        ("a: &a [x]\nb: [*a]\n", "line 1, column 4: the anchor &a is not allowed; write values out"),
        ("x: !!python/object/apply:os.system [id]\n", "line 1, column 4: the tag !!python/object/apply:os.system"),
        ("[" * 3_000, "line 1, column 51: nested deeper than 50 levels"),
        ("", "is empty"),
        ("\ufeff", "is empty"),
    ],
)
def test_a_hostile_job_is_told_what_is_wrong_and_where(served: Served, home: Path, job: str, fault: str) -> None:
    """As one line, with every fault beside it."""
    with served.client() as client:
        answer = client.post("/jobs", content=job.encode(), headers={"content-type": "application/yaml"})
    assert answer.status_code == 422
    fits(answer, "/jobs", "post")
    assert is_one_line(answer, home).startswith(fault)


def test_every_fault_is_named(served: Served) -> None:
    """Not the first alone."""
    with served.client() as client:
        answer = client.post("/jobs", json={"id": "x", "regions": ["mars"], "models": [], "questions": []})
    assert [fault["key"] for fault in answer.json()["faults"]] == ["regions[0]", "models", "questions"]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"region": "mars"}, "region: unknown region 'mars'; known: us, eu, asia"),
        ({"prompt": ""}, "prompt: must not be empty"),
        ({"executor": "x"}, "executor: unknown executor 'x'; known: default"),
        ({"output": "/etc"}, "Object contains unknown field `output`"),
    ],
)
def test_a_wrong_question_is_told_which_field(served: Served, change: dict[str, Any], fault: str) -> None:
    """The fields of the original system's router, and their limits."""
    with served.client() as client:
        answer = client.post("/inference", json={**QUESTION, **change})
    assert answer.status_code == 422
    assert fits(answer, "/inference", "post")["error"] == fault


@pytest.mark.parametrize("wait", ["soon", "-1", "1e3", "4000", "nan", "٣"])
def test_a_wait_is_a_number_of_seconds(served: Served, wait: str) -> None:
    """Before anything is taken in."""
    with served.client() as client:
        answer = client.post("/inference", json=QUESTION, params={"wait": wait})
    assert answer.status_code == 400
    assert fits(answer, "/inference", "post")["error"] == "wait: must be seconds, from 0 to 3600"


@pytest.mark.parametrize("run", ["none", "..%2f..%2fserver-token", "%00", "20261121-000000-zzzz", "x" * 300])
def test_a_run_that_the_server_never_took_in_is_not_there(served: Served, home: Path, run: str) -> None:
    """Whatever it is called, nothing outside the server's own jobs is looked at."""
    with served.client() as client:
        for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/results")):
            answer = client.request(method, f"/jobs/{run}{path}")
            assert answer.status_code == 404
            is_one_line(answer, home)


def test_nothing_of_all_this_was_taken_in(served: Served, home: Path) -> None:
    """No job is known and none is on disk; the token was shown once."""
    assert sum(httpx.get(f"{served.url}/health").json()["jobs"].values()) == 0
    assert list((home / "state" / "server" / "jobs").iterdir()) == []
    assert json.dumps(served.lines).count(served.token) <= 1
