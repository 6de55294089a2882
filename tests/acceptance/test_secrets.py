"""Canaries in the environment and in configuration files: no crash and no error brings one to light."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from tests.acceptance import saboteur
from tests.acceptance.conftest import BEACON, LIMIT, ROOT, Emulator
from tests.unit.display.safety import unsafe

from beacon_cli.__main__ import main

CANARY = "C4N4RYc4n4ry"
CANARIES = {
    "MODAL_TOKEN_ID": f"ak-{CANARY}0000000001",
    "MODAL_TOKEN_SECRET": f"as-{CANARY}0000000002",
    "MODAL_IDENTITY_TOKEN": f"eyJhbGciOi.{CANARY}.{CANARY}",
    "BEACON_QUEUE_TOKEN": CANARY,
    "BEACON_REDIS_URL": f"redis://user:{CANARY}@localhost:6379/0",
    "HF_TOKEN": f"hf_{CANARY}",
    "DATABASE_PASSWORD": f"{CANARY} with 'quotes' and \"more\"",
}
JOB = "id: j\nregions: [us]\nmodels: [llama3.2-1b]\nquestions: [{id: q, text: Q}]\nretry: {attempts: 1}\n"
PLACES = (
    "beacon_cli.wiring:settings",
    "beacon_cli.wiring:job",
    "beacon_cli.wiring:executor",
    "beacon_cli.wiring:display",
    "beacon_cli.selection:narrow",
    "beacon_cli.plan:Plan.cells",
    "beacon_cli.plan:Plan.waves",
    "beacon_cli.runs:Runs.create",
    "beacon_cli.runs:RunFolder.writing",
    "beacon_cli.runs:RunFolder.write_results",
    "beacon_cli.journal:create",
    "beacon_cli.engine:run",
    "beacon_cli.policy:after",
    "beacon_cli.conduct:Recorder.emit",
    "beacon_cli.results:Standings.apply",
    "beacon_cli.rows:to_line",
    "beacon_cli.replay:result_rows",
    "beacon_cli.templates:fill",
    "beacon_cli.executors.modal:ModalExecutor.__aenter__",
    "beacon_cli.executors.modal:ModalExecutor.prepare",
    "beacon_cli.executors.modal:ModalExecutor.attempt",
    "beacon_cli.executors.modal.calls:outcome_of",
    "beacon_cli.emulator.server:running",
    "beacon_cli.display.plain:Telling.lines",
    "beacon_cli.display.summary:summary",
)
"""Where beacon is made to crash, one at a time."""


def assert_silent(stdout: str, stderr: str, state: Path) -> None:
    """No canary in what was written, on screens or below the folder, and nothing that a terminal obeys."""
    for what, text in (("stdout", stdout), ("stderr", stderr)):
        assert CANARY not in text, f"{what}: {text}"
        assert not unsafe(text, allowed="\n\t"), what
    for path in state.rglob("*"):
        assert path.is_dir() or CANARY.encode() not in path.read_bytes(), path


@pytest.fixture
def restored() -> Iterator[None]:
    """`main` takes over signals, error hooks and loggers of the process; the test gives them back."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    handlers = [signal.getsignal(number) for number in numbers]
    with pytest.MonkeyPatch.context() as kept:
        kept.setattr(sys, "excepthook", sys.excepthook)
        kept.setattr(sys, "unraisablehook", sys.unraisablehook)
        kept.setattr(threading, "excepthook", threading.excepthook)
        kept.setattr(warnings, "showwarning", warnings.showwarning)
        kept.setattr(logging, "lastResort", logging.lastResort)
        yield
    for number, handler in zip(numbers, handlers, strict=True):
        signal.signal(number, handler)


@pytest.mark.usefixtures("restored")
@pytest.mark.parametrize("debug", [False, True], ids=["plain", "debug"])
@pytest.mark.parametrize("place", PLACES)
def test_no_crash_tells_a_secret(
    place: str,
    debug: bool,  # noqa: FBT001 - a parameter
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Crashed at each of these places, with everything in hand, beacon says that it is broken, and no secret."""
    for name, value in {**CANARIES, "BEACON_HOME": str(tmp_path / "state"), "HOME": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "job.yaml").write_text(JOB)
    holder, name = saboteur.broken(place)
    monkeypatch.setattr(holder, name, saboteur.crash)
    command = ["run", "job.yaml", "--rehearse", "--speed", "1000"]
    monkeypatch.setattr(sys, "argv", ["beacon", *(["--debug"] if debug else []), *command])
    with pytest.raises(SystemExit):
        main()
    written = capsys.readouterr()
    assert "sabotaged" in written.err
    assert_silent(written.out, written.err, tmp_path / "state")
    if debug and "Traceback" in written.err:
        assert "crash" in written.err


@pytest.mark.parametrize(
    "place",
    [
        "beacon_cli.emulator.provider:Provider.place",  # within the emulator's thread, whose library logs
        "beacon_cli.journal:_Writer._commit",  # within the writer's thread
        "beacon_cli.display.outlet:_Pipe.put",  # within the display's thread
        "beacon_cli.cli.exits:_lines",  # while an error is told
    ],
)
def test_no_crash_in_a_process_of_its_own_tells_a_secret(
    place: str, tmp_path: Path, environment: dict[str, str]
) -> None:
    """The same, where threads, loggers and Python itself write what nobody caught."""
    (tmp_path / "job.yaml").write_text(JOB)
    command = [
        sys.executable,
        "-m",
        "tests.acceptance.saboteur",
        place,
        "--debug",
        "run",
        str(tmp_path / "job.yaml"),
    ]
    done = subprocess.run(
        [*command, "--rehearse", "--speed", "1000", "--region", "nowhere" if "exits" in place else "us"],
        env={**environment, **CANARIES}, cwd=ROOT, capture_output=True, timeout=LIMIT, check=False,
    )  # fmt: skip
    stderr = done.stderr.decode()
    assert "sabotaged" in stderr
    assert_silent(done.stdout.decode(), stderr, tmp_path / "state")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("beacon.toml", f'api_token = "{CANARY}"\n'),
        ("beacon.toml", f"token = {CANARY}\n"),
        ("beacon.toml", f'[queue]\nredis = "redis://user:{CANARY}@localhost"\n'),
        ("home/.config/beacon/beacon.toml", f'home = "~{CANARY}"x\n'),
        ("home/.modal.toml", f'[default]\ntoken_id = "ak-{CANARY}"\ntoken_secret = "as-{CANARY}"\n'),
        ("home/.modal.toml", f"[default]\ntoken_id = ak-{CANARY}\n"),
        ("home/.modal.toml", f'[default]\ntoken_id = 5\ntoken_secret = ["as-{CANARY}"]\n'),
    ],
    ids=["unknown key", "broken", "unknown table", "user's own", "Modal's", "Modal's, broken", "Modal's, odd"],
)
def test_no_configuration_file_is_quoted(
    name: str, text: str, tmp_path: Path, environment: dict[str, str], emulator: Emulator
) -> None:
    """Files that hold credentials, right or broken, are spoken of without what they say; Modal refuses these."""
    file = tmp_path / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    (tmp_path / "job.yaml").write_text(JOB)
    with emulator() if "modal" in name else nullcontext() as address:
        server = {"MODAL_SERVER_URL": address["MODAL_SERVER_URL"]} if address else {}
        for debug in ([], ["--debug"]):
            done = subprocess.run(
                [str(BEACON), *debug, "run", "job.yaml"],
                env={**environment, **server, "PYTHONWARNINGS": "default"},
                cwd=tmp_path, capture_output=True, timeout=LIMIT, check=False,
            )  # fmt: skip
            assert done.returncode != 0
            assert_silent(done.stdout.decode(), done.stderr.decode(), tmp_path / "state")
