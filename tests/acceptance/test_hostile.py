"""A hostile provider, hostile files, hostile names: what the installed `beacon` shows and keeps of them."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from tests.acceptance.conftest import BEACON, LIMIT, Emulator
from tests.support.hostile import CORPUS
from tests.unit.display.safety import unsafe

SENT = {name: text for name, text in CORPUS.items() if name != "half characters"}
"""What CBOR and the emulator's script can carry."""
OURS = re.compile(r"\x1b\[(?:[0-9;]*m|[0-9]*[AJK]|\?(?:7|25)[lh])|\r+(?=\n)|\r(?=\x1b\[|[^\n])")
"""What the live display itself writes: colours, moves up, erasures, cursor and wrap off and on, line ends."""

Run: TypeAlias = Callable[..., "Ran"]


class Ran:
    """What a command left with and wrote, byte for byte."""

    def __init__(self, code: int, stdout: bytes, stderr: bytes) -> None:
        self.code = code
        self.stdout = stdout.decode()
        self.stderr = stderr.decode()

    def assert_safe(self) -> None:
        """Nothing on stdout or stderr that a terminal would obey, and no sign of a crash."""
        assert not unsafe(self.stdout, allowed="\n\t"), self.stdout
        assert not unsafe(self.stderr, allowed="\n\t"), self.stderr
        assert "Traceback" not in self.stderr, self.stderr
        assert "fault of beacon itself" not in self.stderr, self.stderr


@pytest.fixture
def run(tmp_path: Path, environment: dict[str, str]) -> Run:
    """Run `beacon ARGUMENTS…` without a terminal; keyword arguments are further variables."""

    def beacon(*arguments: str | Path, **more: str) -> Ran:
        done = subprocess.run(
            [str(BEACON), *map(str, arguments)],
            env={**environment, **more},
            cwd=tmp_path,
            capture_output=True,
            timeout=LIMIT,
            check=False,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    return beacon


def on_a_terminal(arguments: list[str], environment: dict[str, str], folder: Path) -> tuple[int, str]:
    """Run `beacon ARGUMENTS…` on a terminal of its own: its exit code and everything that it wrote."""
    ours, theirs = pty.openpty()
    written = bytearray()
    with subprocess.Popen(
        [str(BEACON), *arguments], env=environment, cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        deadline = time.monotonic() + LIMIT
        while time.monotonic() < deadline and select.select([ours], [], [], LIMIT)[0]:
            try:
                block = os.read(ours, 1 << 16)
            except OSError:  # Linux says so when the other side has closed
                break
            if not block:
                break
            written += block
        code = process.wait(LIMIT)
    os.close(ours)
    return code, written.decode()


def question(number: int) -> str:
    """The text of a question, which the provider's script knows it by."""
    return f"Question {number:03d}?"


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """One question for each text of the corpus, and one for each as an error; names as odd as a job may have."""
    path = tmp_path / "hostile.yaml"
    path.write_text(
        json.dumps(
            {
                "id": "job [/red] \u3164\ufe0f",
                "regions": ["us"],
                "models": ["[/red]model\u034f"],
                "questions": [
                    {"id": f"[bold]q{number}\U000e0100", "text": question(number)}
                    for number in range(2 * len(SENT))
                ],
                "retry": {"attempts": 1},
                "breaker": {"failures": 10_000},
            },
            ensure_ascii=False,
        ),
        encoding="utf-8",
    )
    return path


@pytest.fixture
def provider(tmp_path: Path, emulator: Emulator, environment: dict[str, str]) -> Iterator[dict[str, str]]:
    """The environment of a client of an emulator whose apps answer with the corpus, and fail with it."""
    rules: list[dict[str, Any]] = []
    for number, text in enumerate(SENT.values()):
        beside = {text: [text], "container": text, "gpu": text}
        rules += [
            {"effect": "bad_answer", "question": question(2 * number), "value": {"response": text, **beside}},
            {
                "effect": "bad_answer",
                "question": question(2 * number + 1),
                "value": {"status": "error", "error": text, **beside},
            },
        ]
    script = tmp_path / "script.json"
    script.write_text(json.dumps({"rules": rules}), encoding="utf-8")
    with emulator("--script", script) as address:
        yield {**environment, **address}


def test_answers_and_errors_are_safe_on_every_way_out(
    run: Run, provider: dict[str, str], job: Path, tmp_path: Path
) -> None:
    """The corpus as answers, errors and provenance: no raw control character on any way out, no text is lost."""
    done = run("run", job, "--run-id", "r1", "--output", tmp_path / "copy", **provider)
    done.assert_safe()
    assert done.code == 3
    streamed = run("run", job, "--run-id", "r2", "--json", **provider)
    streamed.assert_safe()
    assert streamed.stdout.isascii()
    for arguments in (
        ("show", "r1"),
        ("show", "r1", "--json"),
        ("runs",),
        ("runs", "--json"),
        ("plan", job),
        ("plan", job, "--json"),
        ("validate", job),
        ("reap", "--dry-run"),
        ("retry", "r1"),
    ):
        run(*arguments, **provider).assert_safe()
    for file in (*tmp_path.rglob("results.jsonl"), *tmp_path.rglob("events.jsonl")):
        assert all(byte == 0x0A or 0x20 <= byte < 0x7F for byte in file.read_bytes()), file
    rows = [json.loads(line) for line in (tmp_path / "copy" / "results.jsonl").read_bytes().splitlines()]
    assert [row["response"] for row in rows[0::2]] == list(SENT.values())
    said = [row["error"]["message"] for row in rows[1::2]]
    assert [text[:1_900] for text in said] == [text[:1_900] for text in SENT.values()]
    events = [json.loads(line) for line in streamed.stdout.splitlines()]
    answers = {event["answer"]["response"] for event in events if event["event"] == "attempt_succeeded"}
    assert answers == set(SENT.values())


def test_the_live_display_obeys_nobody_but_beacon(
    provider: dict[str, str], job: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    """On a real terminal, the only control sequences are the display's own."""
    del environment
    for arguments in (["run", str(job), "--run-id", "r1"], ["show", "r1"], ["runs"], ["plan", str(job)]):
        code, written = on_a_terminal(arguments, {**provider, "TERM": "xterm-256color"}, tmp_path)
        assert code in {0, 3}, written
        assert not unsafe(OURS.sub("", written)), arguments


SHORT = [text.replace("/", "").replace("\0", "")[:7] for text in CORPUS.values() if "\ud800" not in text]
NAMES = ["".join(SHORT[first::3]) for first in range(3)]
"""The beginnings of the corpus's texts in a few names, none too long for a file."""


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_names_on_the_command_line_are_safe(run: Run, name: str, tmp_path: Path) -> None:
    """A hostile file, run, region, model, question, option or command gets one safe line and code 2."""
    good = tmp_path / "good.yaml"
    good.write_text("id: j\nregions: [us]\nmodels: [m]\nquestions: [{id: q, text: Q}]\n")
    for arguments in (
        ("validate", f"{name}.yaml"),
        ("run", good, "--rehearse", "--run-id", f"../{name}"),
        ("plan", good, "--region", name, "--model", name, "--question", name),
        ("show", f"x{name}"),
        ("plan", good, "--limit", name),
        (f"x{name}",),
    ):
        done = run(*arguments)
        done.assert_safe()
        assert (done.code, len(done.stderr.splitlines())) == (2, 1), (arguments, done.stderr)
        assert done.stderr.startswith("beacon: ")
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_files_with_hostile_names_are_spoken_of_safely(run: Run, name: str, tmp_path: Path) -> None:
    """Hostile names of the job file, the output folder and the home: commands work, and their words are safe."""
    file, output, home = tmp_path / f"{name}.yaml", tmp_path / f"out{name}", tmp_path / f"home{name}"
    for code in (0, 2):
        done = run("init", file)
        done.assert_safe()
        assert done.code == code
    some = ("--limit", "1", "--region", "us", "--model", "llama3.2-1b")
    done = run("run", file, "--rehearse", "--speed", "300", *some, "--output", output, BEACON_HOME=str(home))
    done.assert_safe()
    assert done.code == 0
    assert (output / "results.jsonl").is_file()
    run("show", BEACON_HOME=str(home)).assert_safe()
    (home / "runs" / "x").write_text("no folder")
    (home / "runs" / "x").rename(home / "runs" / f"x{name}")
    run("runs", BEACON_HOME=str(home)).assert_safe()


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_configuration_is_spoken_of_safely(run: Run, name: str, tmp_path: Path) -> None:
    """Hostile text in beacon's variables and in `beacon.toml` is refused in safe words, each fault on its line."""
    done = run("runs", BEACON_REGIONS_OFF=name, BEACON_GPUS_TOTAL=name, BEACON_GPUS_PER_REGION=name, NO_COLOR=name)
    done.assert_safe()
    assert done.code == 2
    quoted = '"' + "".join(f"\\U{ord(char):08x}" for char in name) + '"'
    (tmp_path / "beacon.toml").write_text(
        f"{quoted} = 1\nregions_off = [{quoted}]\n[regions.{quoted}]\n"
        f"[regions.us]\n{quoted} = 1\nplace = {quoted}\n"
    )
    done = run("runs")
    done.assert_safe()
    assert (done.code, len(done.stderr.splitlines())) == (2, 5), done.stderr


def test_bytes_that_are_no_text_are_spoken_of_safely(tmp_path: Path, environment: dict[str, str]) -> None:
    """A file name that is not UTF-8 is escaped in every message."""
    odd = os.fsencode(tmp_path) + b"/\xff\x9b\x1b[2J.yaml"
    for command in (b"init", b"init", b"validate", b"plan"):
        done = subprocess.run(
            [os.fsencode(BEACON), command, odd], env=environment, cwd=tmp_path, capture_output=True, check=False
        )
        Ran(done.returncode, done.stdout, done.stderr).assert_safe()
        assert done.returncode in {0, 2}
    assert os.path.exists(odd)  # noqa: PTH110  pathlib knows no bytes


def test_a_locale_without_the_characters_ends_no_command(run: Run, job: Path) -> None:
    """Where the terminal's character set lacks a character, its escape is shown."""
    done = run("plan", job, PYTHONIOENCODING="ascii")
    done.assert_safe()
    assert (done.code, done.stdout.isascii()) == (0, True)
