"""A real `beacon serve` as a process of its own, and a client of it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec

BEACON = Path(sys.executable).with_name("beacon")
PATIENCE = 60.0
"""Seconds after which something that was waited for is a failure."""
OVER = frozenset({"finished", "failed", "interrupted", "cancelled", "set aside"})
"""The states of a job that has ended."""


class Served(msgspec.Struct, frozen=True):
    """A server that answers: its address, its token, its process, and where it writes."""

    url: str
    token: str
    process: subprocess.Popen[str]
    lines: list[str]

    @property
    def authorized(self) -> dict[str, str]:
        """The header that lets a request change something."""
        return {"authorization": f"Bearer {self.token}"}

    @contextmanager
    def client(self, **headers: str) -> Iterator[httpx.Client]:
        """A client that has the token."""
        with httpx.Client(base_url=self.url, headers={**self.authorized, **headers}, timeout=PATIENCE) as client:
            yield client

    def post(self, job: str | dict[str, Any], **params: str) -> str:
        """Post a job, as YAML or as JSON; gives its run id."""
        with self.client() as client:
            if isinstance(job, str):
                answer = client.post(
                    "/jobs", content=job, headers={"content-type": "application/yaml"}, params=params
                )
            else:
                answer = client.post("/jobs", json=job, params=params)
        assert answer.status_code == 202, answer.text
        assert answer.headers["location"] == f"/jobs/{answer.json()['run_id']}"
        return str(answer.json()["run_id"])

    def job(self, run_id: str) -> dict[str, Any]:
        """How a job stands."""
        with self.client() as client:
            found: dict[str, Any] = client.get(f"/jobs/{run_id}").json()
        return found

    def until(self, run_id: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait until a job stands so."""
        began = time.monotonic()
        while not holds(found := self.job(run_id)):
            assert time.monotonic() - began < PATIENCE, found
            time.sleep(0.02)
        return found

    def until_over(self, run_id: str) -> dict[str, Any]:
        """Wait until a job has ended."""
        return self.until(run_id, lambda found: found["state"] in OVER)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End the server; gives its exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


@contextmanager
def serving(folder: Path, environment: Mapping[str, str], *options: str) -> Iterator[Served]:
    """Run `beacon serve --port 0 OPTIONS…` in a folder for the body; faults that it tells are in `serve.err`."""
    command = [str(BEACON), "serve", "--port", "0", *options]
    with (
        (folder / "serve.err").open("a", encoding="utf-8") as errors,
        subprocess.Popen(
            command, env=dict(environment), cwd=folder, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process,
    ):
        try:
            assert process.stdout is not None
            lines = [process.stdout.readline().rstrip("\n")]
            assert lines[0].startswith("beacon serves "), (folder / "serve.err").read_text(encoding="utf-8")
            url = lines[0].rpartition(" ")[2].replace("0.0.0.0", "127.0.0.1")  # noqa: S104 - what it may have said
            token = (Path(environment["BEACON_HOME"]) / "server-token").read_text(encoding="ascii").strip()
            _until_it_answers(url)
            yield Served(url, token, process, lines)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(PATIENCE)
            if process.stdout is not None:
                lines += process.stdout.read().splitlines()


def _until_it_answers(url: str) -> None:
    began = time.monotonic()
    while True:
        try:
            assert httpx.get(f"{url}/health", timeout=5).status_code == 200
        except httpx.TransportError:
            assert time.monotonic() - began < PATIENCE
            time.sleep(0.02)
        else:
            return
