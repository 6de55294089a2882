"""Jobs that a real `beacon serve` carries out, against a provider of its own with its own ledger."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from jsonschema import Draft202012Validator
from tests.support.ledger import peaks
from tests.support.serving import Served, serving

from beacon_cli.queues import sqlite
from beacon_cli.server import openapi

DOCUMENT = openapi.document("0")
QUESTION = {"model": "mistral-7b", "prompt": "Why?", "region": "EU-West", "temperature": 0.1, "max_tokens": 50}

Emulator: TypeAlias = Callable[..., AbstractContextManager[Mapping[str, str]]]
House: TypeAlias = Callable[..., AbstractContextManager["Rig"]]


class Rig:
    """A provider, and servers before it."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.environment = environment
        self.home = Path(environment["BEACON_HOME"])

    def serving(self, *options: str) -> AbstractContextManager[Served]:
        """A server for the body."""
        return serving(self.folder, self.environment, *options)

    def ledger(self) -> list[dict[str, Any]]:
        """What the provider has written down, without a line that it is still writing."""
        lines = (self.folder / "ledger.jsonl").read_text(encoding="ascii").split("\n")[:-1]
        return [json.loads(line) for line in lines]

    def alive(self) -> set[str]:
        """The calls that the provider has taken and that have not ended."""
        ended = {record["call"] for record in self.ledger() if record["event"] == "finished"}
        return {record["call"] for record in self.ledger() if record["event"] == "placed"} - ended

    def placed(self) -> Counter[str]:
        """How many calls there were of each execution."""
        return Counter(record["execution"] for record in self.ledger() if record["event"] == "placed")

    def results(self, run_id: str) -> list[dict[str, Any]]:
        """The rows that are on disk."""
        path = self.home / "runs" / run_id / "results.jsonl"
        return [json.loads(line) for line in path.read_text(encoding="ascii").splitlines()]

    def errors(self) -> str:
        """What servers have said of faults."""
        return (self.folder / "serve.err").read_text(encoding="utf-8")


@pytest.fixture
def house(tmp_path: Path, environment: dict[str, str], emulator: Emulator) -> House:
    """A provider for the body: `speed` times faster than life, with these rules of failure."""

    @contextmanager
    def build(speed: int = 300, rules: tuple[dict[str, Any], ...] = ()) -> Iterator[Rig]:
        (tmp_path / "script.json").write_text(json.dumps({"rules": rules}), encoding="ascii")
        options = ["--gpus", "1000", "--ledger", tmp_path / "ledger.jsonl", "--script", tmp_path / "script.json"]
        with emulator("--speed", str(speed), *options) as variables:
            yield Rig(tmp_path, {**environment, **variables})
        assert "Traceback" not in (tmp_path / "serve.err").read_text(encoding="utf-8")

    return build


def job(questions: int, *, name: str = "posted", **more: Any) -> dict[str, Any]:
    """A job for the EU, of one model."""
    return {
        "id": name,
        "regions": ["eu"],
        "models": ["mistral-7b"],
        "questions": [{"id": f"q{n}", "text": f"Question {n} of {name}?"} for n in range(questions)],
        **more,
    }


def fits(body: Any, name: str) -> Any:
    """Hold a body against one of the schemas of /openapi.json."""
    Draft202012Validator({"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}).validate(
        body
    )
    return body


def test_a_question_gets_its_answer(house: House) -> None:
    """Through the queue, by the real SDK, kept as a run like any other."""
    with house() as rig, rig.serving() as served, served.client() as client:
        answer = client.post("/inference", json=QUESTION)
        assert answer.status_code == 200, answer.text
        row = fits(answer.json(), "Row")
        assert (row["region"], row["model"], row["status"]) == ("eu", "mistral-7b", "succeeded")
        assert row["response"]
        assert rig.results(row["run_id"]) == [row]
        queue = fits(client.get("/queue/status").json(), "Status")["queues"]["EU"]
        assert (queue["completed"], queue["executions"]["succeeded"]) == (1, 1)


@pytest.mark.parametrize(("params", "headers"), [({"wait": "0"}, {}), ({}, {"prefer": "respond-async"})])
def test_who_does_not_wait_is_told_where_to_look(
    house: House, params: dict[str, str], headers: dict[str, str]
) -> None:
    """202, a run id and its position; the answer is there later, for who has the token."""
    with house() as rig, rig.serving() as served, served.client() as client:
        answer = client.post("/inference", json=QUESTION, params=params, headers=headers)
        assert answer.status_code == 202
        run_id = fits(answer.json(), "Job")["run_id"]
        where = answer.headers["location"]
        assert where == f"/jobs/{run_id}"
        early = client.get(f"{where}/results")
        assert (early.status_code, early.json()["error"].partition(":")[0]) == (
            409,
            f"run {run_id} has no results",
        )
        assert served.until_over(run_id)["state"] == "finished"
        rows = client.get(f"{where}/results")
        assert rows.headers["content-type"] == "application/jsonl"
        assert [json.loads(line) for line in rows.text.splitlines()] == rig.results(run_id)
        assert fits(served.job(run_id), "Job")["executions"]["succeeded"] == 1


def test_a_model_that_fails_is_a_bad_gateway(house: House) -> None:
    """With the reason, and the row."""
    rules = ({"effect": "model_error", "message": "no \x1b[31mmemory"},)
    with house(rules=rules) as rig, rig.serving() as served, served.client() as client:
        answer = client.post("/inference", json=QUESTION)
        assert answer.status_code == 502
        assert fits(answer.json(), "NoAnswer")["error"].startswith("model: ")
        assert "\x1b" not in answer.text
        assert served.job(answer.json()["run_id"])["state"] == "finished"


HANGS = ({"effect": "hang", "question": "*of first?", "attempts": [1, 1]},)
"""A rule: the first attempt at a question of the job `first` hangs, up to its app's own limit of 900 s."""


def test_a_second_job_waits_for_the_first(house: House) -> None:
    """At position 1, in the same region, until the first is cancelled; the region never has more than its GPUs."""
    with house(speed=20, rules=HANGS) as rig, rig.serving() as served, served.client() as client:
        models = {"models": ["mistral-7b", "llama3.2-1b", "qwen2.5-1.5b"]}
        first = served.post(job(2, name="first", **models))
        served.until(first, lambda found: found["state"] == "running")
        second = served.post(job(2, name="second", **models))
        waiting = fits(served.until(second, lambda found: found["state"] == "waiting"), "Job")
        assert (waiting["position"], waiting["regions"][0]["region"]) == (1, "EU")
        queue = fits(client.get("/queue/status/eu").json(), "Region")
        assert (queue["queue_size"], queue["current_job"]["job_id"]) == (1, "first")
        assert [each["run_id"] for each in queue["waiting"]] == [second]
        assert client.delete(f"/jobs/{first}").status_code == 202
        assert served.until_over(second)["executions"]["succeeded"] == 6
    assert peaks(rig.ledger())["eu"] == 3
    assert rig.alive() == set()


def test_jobs_that_are_posted_together_wait_in_that_order(house: House) -> None:
    """Whichever of their processes is ready first."""
    with house() as rig, rig.serving() as served:
        store = sqlite.store(rig.home / "queue.db")
        store.pause("eu", paused=True)
        runs = [served.post(job(1, name=f"job{number}")) for number in range(4)]
        places = [served.until(run, lambda found: found["state"] == "waiting")["position"] for run in runs]
        assert places == [1, 2, 3, 4]
        store.pause("eu", paused=False)
        store.close()
        ended = [served.until_over(run)["executions"]["succeeded"] for run in runs]
        assert ended == [1, 1, 1, 1]
        asked = [record["execution"] for record in rig.ledger() if record["event"] == "placed"]
        assert asked == [rig.results(run)[0]["execution_id"] for run in runs]


def test_a_job_that_runs_can_be_cancelled(house: House) -> None:
    """Its calls end at the provider, and it is not gone on with."""
    with house(speed=60) as rig, rig.serving() as served, served.client() as client:
        run_id = served.post(job(50))
        served.until(run_id, lambda found: bool(found["executions"] and found["executions"]["succeeded"]))
        answer = client.delete(f"/jobs/{run_id}")
        assert answer.status_code == 202
        assert fits(answer.json(), "Job")["state"] == "cancelled"
        served.until(run_id, lambda _: not client.get("/queue/status/eu").json()["processing"])
        again = client.delete(f"/jobs/{run_id}")
        assert (again.status_code, again.json()["error"]) == (409, f"run {run_id} has ended: cancelled")
        assert served.stop() == 0
        assert rig.alive() == set()
        before = rig.placed()
    with rig.serving() as served:
        assert served.job(run_id)["state"] == "cancelled"
    assert rig.placed() == before


def test_a_job_that_waits_can_be_cancelled(house: House) -> None:
    """It leaves the queue without having asked anything."""
    with house(speed=20, rules=HANGS) as rig, rig.serving() as served, served.client() as client:
        first = served.post(job(1, name="first"))
        served.until(first, lambda found: found["state"] == "running")
        second = served.post(job(1, name="second"))
        served.until(second, lambda found: found["state"] == "waiting")
        assert client.delete(f"/jobs/{second}").status_code == 202
        served.until(second, lambda _: client.get("/queue/status/eu").json()["queue_size"] == 0)
        assert served.job(first)["state"] == "running"
        assert client.delete(f"/jobs/{first}").status_code == 202
    assert len(rig.placed()) == 1


def test_an_urgent_job_is_served_first_and_all_are_listed(house: House) -> None:
    """Posted last and urgent, a job stands before those that wait; GET /jobs has all, the newest first."""
    with house(speed=20, rules=HANGS) as rig, rig.serving() as served, served.client() as client:
        first = served.post(job(1, name="first"))
        served.until(first, lambda found: found["state"] == "running")
        usual = served.post(job(1, name="usual"))
        served.until(usual, lambda found: found["state"] == "waiting")
        urgent = served.post(job(1, name="urgent"), priority="high")
        served.until(urgent, lambda found: found["position"] == 1)
        assert served.job(usual)["position"] == 2
        listed = fits(client.get("/jobs").json(), "Jobs")
        assert [(each["run_id"], each["state"], each["priority"]) for each in listed["jobs"]] == [
            (urgent, "waiting", "high"),
            (usual, "waiting", "normal"),
            (first, "running", "normal"),
        ]
        assert fits(client.get("/jobs", params={"limit": 1}).json(), "Jobs")["total"] == 3
        for wrong in ({"limit": "0"}, {"limit": "x"}, {"limit": "9999"}):
            assert client.get("/jobs", params=wrong).status_code == 400
        assert client.post("/jobs", json=job(1), params={"priority": "now"}).status_code == 400
        for each in (usual, urgent, first):
            assert client.delete(f"/jobs/{each}").status_code == 202


def test_a_server_that_stops_goes_on_where_it_was(house: House) -> None:
    """SIGTERM in the middle: no call is left, nothing is paid for twice, the waiting job keeps waiting."""
    rules = ({"effect": "hang", "question": "Question 3 of first?", "attempts": [1, 1]},)
    with house(speed=20, rules=rules) as rig:
        with rig.serving() as served:
            first = served.post(job(6, name="first"))
            served.until(first, lambda found: bool(found["executions"] and found["executions"]["succeeded"] == 3))
            second = served.post(job(2, name="second"))
            served.until(second, lambda found: found["state"] == "waiting")
            assert served.stop() == 0
        assert rig.alive() == set()
        with rig.serving() as served:
            assert served.until_over(first)["executions"]["succeeded"] == 6
            assert served.until_over(second)["executions"]["succeeded"] == 2
        assert served.lines == [f"beacon serves {served.url}"]
        ended = [record for record in rig.ledger() if record.get("how") == "done"]
        done = Counter(record["execution"] for record in ended if record["execution"])  # others only warmed
        assert (len(done), max(done.values())) == (8, 1)


def test_a_server_that_is_killed_finds_its_jobs_again(house: House) -> None:
    """Their processes go on without it; the next one watches them, and carries out what had not begun."""
    rules = ({"effect": "slow", "question": "Question 2 of first?", "amount": 600},)
    with house(speed=100, rules=rules) as rig:
        with rig.serving("--processes", "1") as served:
            first = served.post(job(4, name="first"))
            second = served.post(job(1, name="second"))
            served.until(first, lambda found: bool(found["executions"] and found["executions"]["succeeded"]))
            assert served.job(second)["ahead"] == 0
            assert served.job(second)["state"] == "accepted"
            assert served.stop(signal.SIGKILL) == -signal.SIGKILL
        with rig.serving("--processes", "1") as served:
            assert served.until_over(first)["executions"]["succeeded"] == 4
            assert served.until_over(second)["executions"]["succeeded"] == 1
    assert set(rig.placed().values()) == {1}


def test_a_job_whose_process_dies_is_gone_on_with(house: House) -> None:
    """The server lives; the run is resumed, and each execution is recorded once."""
    with house(speed=60) as rig, rig.serving() as served:
        run_id = served.post(job(6))
        served.until(run_id, lambda found: bool(found["executions"] and found["executions"]["succeeded"]))
        lock = rig.home / "runs" / run_id / "lock"
        os.kill(int(lock.read_text(encoding="ascii")), signal.SIGKILL)
        assert served.until_over(run_id)["executions"]["succeeded"] == 6
        assert len(rig.results(run_id)) == 6
    assert "exit code -9" in rig.errors()


def test_a_job_that_cannot_start_says_why(tmp_path: Path, environment: dict[str, str]) -> None:
    """Nothing is asked; the client learns why, and no path of the server's."""
    nowhere = {
        **environment,
        "MODAL_SERVER_URL": "http://127.0.0.1:9",
        "MODAL_TOKEN_ID": "a",
        "MODAL_TOKEN_SECRET": "b",
    }
    with serving(tmp_path, nowhere) as served, served.client() as client:
        answer = client.post("/inference", json=QUESTION)
        assert answer.status_code == 503
        assert "cannot be reached" in answer.json()["error"]
        assert str(tmp_path) not in answer.text
        assert served.job(answer.json()["run_id"])["state"] == "failed"


def test_an_executor_of_the_configuration_by_its_name(tmp_path: Path, environment: dict[str, str]) -> None:
    """`[serve.executors.NAME]` is what a posted job may name, and its process finds it too."""
    (tmp_path / "beacon.toml").write_text("[serve.executors.pretend.simulated]\nspeed = 1000\n", encoding="ascii")
    with serving(tmp_path, environment) as served, served.client() as client:
        answer = client.post("/inference", json={**QUESTION, "executor": "pretend"})
        assert answer.status_code == 200, answer.text
        assert served.until_over(served.post({**job(2), "executor": "pretend"}))["executions"]["succeeded"] == 2
