"""beacon as processes of their own without the second that its imports cost: forked from one that has them.

`Nursery` starts that one and asks it for more; run as a module, this is what it starts. What a fork does is what
`python -m beacon_cli` does from its first line on; only the start of Python and the imports lie behind it.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

_POLLING = 0.002


class Forked:
    """A forked beacon, to be used like a `subprocess.Popen` whose outputs are piped text."""

    def __init__(self, nursery: Nursery, pid: int, out: Path, err: Path) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._nursery = nursery
        self._out = out
        self._err = err

    def poll(self) -> int | None:
        """The exit code; None: it still runs."""
        if self.returncode is None:
            self.returncode = self._nursery.ask({"poll": self.pid})
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal to a process that has not been seen to end."""
        if self.poll() is None:
            os.kill(self.pid, number)  # its number is its own until the nursery has been asked again

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for the end; what was written on stdout and stderr."""
        until = time.monotonic() + (timeout or 1e9)
        while self.poll() is None:
            if time.monotonic() > until:
                raise subprocess.TimeoutExpired(f"beacon, process {self.pid}", timeout or 0.0)
            time.sleep(_POLLING)
        return self._out.read_text(encoding="utf-8"), self._err.read_text(encoding="utf-8")


class Nursery:
    """A process that has imported beacon and forks it on request. Close it when done."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-m", "tests.support.forks", str(theirs.fileno())]
        self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()])
        theirs.close()
        self._lines = ours.makefile("rw", encoding="ascii")
        ours.close()

    def start(self, arguments: list[str], environment: dict[str, str], folder: Path) -> Forked:
        """Fork a beacon with these arguments, in this folder."""
        self._count += 1
        out, err = (self._folder / f"{self._count}.{name}" for name in ("out", "err"))
        out.touch()  # a kill may come before the fork has got so far
        err.touch()
        order = {
            "arguments": arguments,
            "environment": environment,
            "folder": str(folder),
            "out": str(out),
            "err": str(err),
        }
        return Forked(self, self.ask(order), out, err)

    def ask(self, order: dict[str, Any]) -> Any:
        """Send one order and wait for what is said to it."""
        self._lines.write(json.dumps(order) + "\n")
        self._lines.flush()
        return json.loads(self._lines.readline())

    def close(self) -> None:
        """End it, once its forks have ended or not."""
        self._lines.close()
        self._process.wait()


def _serve(descriptor: int) -> None:
    """Follow orders until nobody gives any."""
    with socket.socket(fileno=descriptor) as connection, connection.makefile("rw", encoding="ascii") as lines:
        for line in lines:
            order = json.loads(line)
            said = _poll(order["poll"]) if "poll" in order else _fork(order, connection)
            lines.write(json.dumps(said) + "\n")
            lines.flush()


def _poll(pid: int) -> int | None:
    found, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if found else None


def _fork(order: dict[str, Any], connection: socket.socket) -> int:
    pid = os.fork()
    if pid:
        return pid
    connection.detach()
    os.closerange(3, 64)
    for number, name, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, order["out"], os.O_WRONLY),
        (2, order["err"], os.O_WRONLY),
    ):
        os.dup2(os.open(name, flags), number)
    os.closerange(3, 64)
    os.environ.clear()
    os.environ.update(order["environment"])
    os.chdir(order["folder"])
    sys.argv[1:] = order["arguments"]
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    _be_beacon()
    return 0  # pragma: no cover - it has left


def _be_beacon() -> None:
    from beacon_cli.__main__ import main

    code: object = 0
    try:
        main()
    except SystemExit as leaving:
        code = leaving.code
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):
                stream.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


def _import_all() -> None:
    """What a run imports, down to the SDK. None of it starts a thread."""
    import beacon_cli.cli.exits
    import beacon_cli.cli.run
    import beacon_cli.display.choice
    import beacon_cli.executors.modal
    import beacon_cli.operations.carry_out
    import beacon_cli.operations.looking
    import beacon_cli.operations.reaping
    import beacon_cli.queues.sqlite  # noqa: F401 - imported to be there


if __name__ == "__main__":
    _import_all()
    _serve(int(sys.argv[1]))
