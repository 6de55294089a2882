"""Endpoints seen from the command line: what `doctor` says of them, keys that expire, and that none leaves."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from subprocess import CompletedProcess

import anyio
import pytest
from tests.acceptance.conftest import BEACON
from tests.support.endpoint import Asked, Reply, answer, plain, raw, serving

pytestmark = pytest.mark.anyio

KEY = "sesame/4711-open+wide"
JOB = """\
id: endpoints
regions: {regions}
models: [m1, m2]
questions: [{{id: q, text: "What is 2+2?"}}]
retry: {{attempts: 1}}
executor:
  openai:
    base_url: {url}
    api_key_env: SOME_KEY
    models: {{m1: meta/m1}}
"""


@pytest.fixture
def anyio_backend() -> str:
    """The server is asyncio's."""
    return "asyncio"


class Office:
    """`beacon` in an environment of its own, beside the server in this process."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.environment = environment

    async def __call__(self, url: str, *arguments: str, **more: str) -> CompletedProcess[str]:
        """Run `beacon ARGUMENTS… JOB` for a job at this address."""
        job = self.folder / "job.yaml"
        regions = "[us, eu]" if url.startswith("{") else "[us]"
        job.write_text(JOB.format(url=url, regions=regions))
        environment = {**self.environment, "SOME_KEY": KEY, **more}
        with anyio.fail_after(60):
            done = await anyio.run_process(
                [str(BEACON), *arguments, str(job)], env=environment, cwd=self.folder, check=False
            )
        return CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())

    def written(self) -> str:
        """Everything that was left on disk, but the job file."""
        files = [path for path in self.folder.rglob("*") if path.is_file()]
        return "\n".join(path.read_text(errors="replace") for path in files)


@pytest.fixture
def office(tmp_path: Path, environment: dict[str, str]) -> Office:
    """See `Office`."""
    return Office(tmp_path, environment)


def listing(*names: str) -> Reply:
    """A list of models as OpenAI, vLLM and Ollama give it."""
    return plain(200, json.dumps({"object": "list", "data": [{"id": name} for name in names]}).encode())


LISTINGS: dict[str, tuple[Reply, int, str, str]] = {
    "all": (listing("meta/m1", "m2:latest", "m3"), 0, "ok", "lists meta/m1 and m2"),
    "one is missing": (listing("meta/m1", "m3"), 0, "look", "does not list m2 among its 2 models"),
    "no list": (plain(404, b"{}"), 0, "look", "does not list its models (HTTP 404)"),
    "no JSON": (plain(200, b"<html>"), 0, "look", "does not list its models (an answer of another form)"),
    "none": (listing(), 0, "look", "does not list its models (an empty list)"),
    "of a key for questions alone": (plain(403, b"{}"), 0, "look", "does not list its models (HTTP 403)"),
    "a failure": (plain(503, b"{}"), 0, "look", "does not list its models (HTTP 503)"),
    "refused": (plain(401, KEY.encode()), 5, "stop", "refuses the key in SOME_KEY (HTTP 401)"),
    "broken": (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"), 5, "stop", "cannot be reached"),
    "hostile": (listing("\x1b[2J\u202e" + KEY, "m2" * 9999), 0, "look", "does not list meta/m1, m2"),
}


@pytest.mark.parametrize("name", LISTINGS)
async def test_doctor_asks_each_endpoint_for_its_models(office: Office, name: str) -> None:
    """Whether it answers, takes the key and has the job's models; one that does not say is worth a look."""
    reply, code, grade, words = LISTINGS[name]
    async with serving(answer()) as server:
        server.models = reply
        done = await office(server.url, "doctor", "--json")
    assert done.returncode == code, done.stderr
    found = {each["about"]: each for each in json.loads(done.stdout)}
    about = found["us endpoint"]
    assert about["grade"] == grade
    assert words in about["said"]
    assert KEY not in done.stdout + done.stderr
    assert "\x1b" not in done.stdout
    assert done.stderr == ""


async def test_doctor_says_that_regions_share_an_address(office: Office) -> None:
    """Regions behind one address, however it is written, cannot differ by their region: that is worth a look."""
    async with serving(answer()) as server:
        server.models = listing("meta/m1", "m2")
        both = f'{{us: "{server.url}", eu: "{server.url}/"}}'
        shared = await office(both, "doctor", "--json")
        alone = await office(server.url, "doctor", "--json")
    said = [each["said"] for each in json.loads(shared.stdout) if each["about"] == "regions"]
    assert said == ["us and eu have one address: no difference between them comes from the region"]
    assert "one address" not in alone.stdout


async def test_the_end_of_a_run_and_its_report_say_it_too(office: Office) -> None:
    """Whoever never asked the doctor learns it where the differences are read."""
    said = "us and eu have one address: no difference between them comes from the region"
    async with serving(answer()) as server:
        both = f'{{us: "{server.url}", eu: "{server.url}/"}}'
        ran = await office(both, "run", "--run-id", "shared")
    report = await anyio.run_process(
        [str(BEACON), "report", "shared", "--json"], env=office.environment, cwd=office.folder
    )
    assert said in " ".join(ran.stdout.split())
    assert f"{said}." in json.loads(report.stdout)["notes"]


async def test_doctor_names_a_key_that_is_not_set(office: Office) -> None:
    """Without the variable no run can start, and its name is said."""
    async with serving(answer()) as server:
        done = await office(server.url, "doctor", SOME_KEY="")
    assert done.returncode == 5
    assert "not set in the environment: SOME_KEY" in done.stdout


ESCAPED = KEY.replace("/", "\\/")


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (answer(f"your key is {KEY}", system_fingerprint=KEY), 0),
        (plain(401, f'{{"error": {{"message": "no: {ESCAPED}"}}}}'.encode(), x_request_id=KEY), 3),
        (raw(f"{KEY} is no HTTP\r\n\r\n".encode()), 3),
    ],
)
async def test_a_key_leaves_by_no_way_out(office: Office, reply: Reply, code: int) -> None:
    """Output, errors with `--debug`, journal and results of a run hold no key, whatever the endpoint does."""
    async with serving(reply) as server:
        done = await office(server.url, "--debug", "run")
    assert done.returncode == code, done.stderr
    said = done.stdout + done.stderr + office.written()
    assert "us" in said
    for secret in (KEY, ESCAPED, KEY[:12]):
        assert secret not in said


async def test_a_key_that_expires_is_renewed_by_retry(office: Office, tmp_path: Path) -> None:
    """A region stops where its key expires; a retry with a new one asks what has no answer, and nothing twice."""
    fresh = "token-of-the-next-hour"
    answered: list[str] = []

    async def reply(asked: Asked, writer: asyncio.StreamWriter) -> None:
        question = asked.json["messages"][-1]["content"]
        if len(answered) >= 20 and fresh not in asked.headers["authorization"]:
            await plain(403, b'{"Message": "Bearer Token has expired"}')(asked, writer)
            return
        answered.append(question)
        await answer()(asked, writer)

    questions = [{"id": f"q{number}", "text": f"{number}?"} for number in range(60)]
    about = {"id": "expiring", "regions": ["us"], "models": ["m"], "questions": questions}
    async with serving(reply) as server:
        target = {"openai": {"base_url": server.url, "api_key_env": "SOME_KEY"}}
        (tmp_path / "expiring.json").write_text(json.dumps({**about, "executor": target}))
        said = []
        for arguments, key in ((("run", "expiring.json", "--run-id", "r"), KEY), (("retry", "r"), fresh)):
            environment = {**office.environment, "SOME_KEY": key}
            done = await anyio.run_process(
                [str(BEACON), *arguments], env=environment, cwd=office.folder, check=False
            )
            said.append((done.returncode, done.stdout.decode()))
    assert [code for code, _ in said] == [3, 0]
    assert "refused for their credentials (renew them, then: beacon retry)" in " ".join(said[0][1].split())
    assert sorted(answered) == sorted(each["text"] for each in questions)
    assert len(server.asked) < 60 + 10


async def test_a_fault_of_beacon_itself_shows_no_key(office: Office) -> None:
    """A traceback names code, never values."""
    async with serving(answer()) as server:
        secure = server.url.replace("http://", "https://")
        done = await office(secure, "--debug", "run", SSL_CERT_FILE="/nowhere/at.all", SOME_KEY=KEY)
        bad = await office(server.url, "--debug", "run", SOME_KEY=f"{KEY}\u00fc")
    assert done.returncode == bad.returncode == 5
    assert "SSL_CERT_FILE" in done.stderr
    assert KEY not in done.stdout + done.stderr + bad.stdout + bad.stderr


@pytest.mark.parametrize(
    "url",
    [
        "https://user:pass-word-1@us.example/v1",
        "https://us.example/v1?key=AIzaSyD4711aaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "https://us.example/v1?api-key=4711aaaa4711",
        "https://us.example/v1?api-version=1&subscription-key=4711aaaa4711",
        "https://us.example/v1?access_token=4711aaaa4711",
        "https://us.example/v1?code=4711aaaa4711",
        "https://us.example/v1?sig=4711aaaa4711",
    ],
)
async def test_a_key_in_an_address_is_refused(office: Office, url: str) -> None:
    """Neither before the host nor after the question mark may a key stand in a job file; it is not repeated."""
    done = await office(url, "validate")
    assert done.returncode == 2, done.stdout
    assert "base_url" in done.stderr
    assert "4711" not in done.stderr
    assert "pass-word" not in done.stderr
