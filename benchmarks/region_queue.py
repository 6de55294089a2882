"""How fast is the queue? SQLite, and a Redis that this starts by itself, with all that is written synced to disk.

    python benchmarks/region_queue.py [--rounds 200] [--waiting 10000] [--folder .] [--stores sqlite,redis]
                                      [--processes 50]

Prints, in milliseconds: what taking a ticket and giving it back costs; how long after a turn is given back the
next process has it, asking as often as a run does; and with so many tickets waiting, what a claim, a renewal, a
snapshot cost.
With `--processes` alone: how much of a core so many `beacon run` use that wait for one turn, whole processes.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from beacon_cli.ports import Store
from beacon_cli.queues import redis, sqlite
from beacon_cli.tickets import Caps, Entered, Granted, HowEnded, Part, Request

DONE = Part(how=HowEnded.COMPLETED, succeeded=24, failed=0, seconds=60.0)
AGO = 1000.0
JOB = Path(__file__).resolve().parent.parent / "jobs" / "bias-detection.yaml"


def request(run: str) -> Request:
    """What a run of three models asks of one region."""
    return Request(
        run_id=run,
        job_id="bias",
        region="us",
        user="ann",
        holder=f"host:{run}",
        pools={"p1": 1, "p2": 1, "p3": 1},
        executions=24,
        models=("llama3.2-1b", "mistral-7b", "qwen2.5-1.5b"),
    )


def enter(store: Store, run: str) -> int:
    """Take a ticket; gives its number."""
    entrance = store.enter(request(run))
    if isinstance(entrance, Entered):
        return entrance.ticket
    raise RuntimeError(entrance)


def turn(store: Store, run: str) -> tuple[int, int]:
    """Take a ticket and its turn."""
    ticket = enter(store, run)
    answer = store.claim(ticket, f"host:{run}")
    if isinstance(answer, Granted):
        return ticket, answer.token
    raise RuntimeError(answer)


def took(act: Callable[[], object]) -> float:
    """Milliseconds."""
    began = time.perf_counter()
    act()
    return (time.perf_counter() - began) * 1000


def line(name: str, times: list[float]) -> None:
    """One line of the table."""
    times.sort()
    print(f"  {name:<44}{statistics.median(times):>9.2f}{times[int(len(times) * 0.95)]:>9.2f}{times[-1]:>9.2f}")


def handing_over(open_store: Callable[[], Store], rounds: int) -> list[float]:
    """From giving a turn back to the next process' having it; that one has a connection of its own."""
    with closing(open_store()) as store, closing(open_store()) as other:
        waits = []
        for number in range(rounds):
            ticket, token = turn(store, f"a{number}")
            second, granted = enter(other, f"b{number}"), threading.Event()
            tokens: list[int] = []

            def wait(second: int, number: int, granted: threading.Event, tokens: list[int]) -> None:
                while True:
                    answer = other.claim(second, f"host:b{number}")
                    if isinstance(answer, Granted):
                        tokens.append(answer.token)
                        granted.set()
                        return
                    time.sleep(other.poll_seconds)

            waiter = threading.Thread(target=wait, args=(second, number, granted, tokens))
            waiter.start()
            time.sleep(other.poll_seconds * (1 + number % 10 / 10))
            store.leave(ticket, token, DONE, {})
            began = time.perf_counter()
            granted.wait()
            waits.append((time.perf_counter() - began) * 1000)
            waiter.join()
            other.leave(second, tokens[0], DONE, {})
        return waits


def measure(open_store: Callable[[], Store], rounds: int, waiting: int) -> None:
    """The whole table of one store."""
    print(f"  {'ms':<44}{'median':>9}{'95 %':>9}{'most':>9}")
    with closing(open_store()) as store:
        store.agree(Caps(lease_seconds=3600.0))
        tickets: list[int] = []
        entering = [took(lambda n=n: tickets.append(enter(store, f"r{n}"))) for n in range(rounds)]  # type: ignore[misc]
        leaving = [took(lambda each=each: store.leave(each, 0, DONE, {})) for each in tickets]  # type: ignore[misc]
        line("taking a ticket and giving it back", [sum(both) for both in zip(entering, leaving, strict=True)])
    line("a turn, from given back to taken", handing_over(open_store, min(rounds, 50)))
    with closing(open_store()) as store:
        turn(store, "first")
        began = time.perf_counter()
        tickets = [enter(store, f"w{number}") for number in range(waiting)]
        print(f"  {waiting} tickets taken in {time.perf_counter() - began:.1f} s; with them waiting:")
        last = waiting - 1
        line("  a claim of the first", [took(lambda: store.claim(tickets[0], "host:w0")) for _ in range(100)])
        line(
            "  a claim of the last", [took(lambda: store.claim(tickets[-1], f"host:w{last}")) for _ in range(100)]
        )
        line("  a renewal", [took(lambda: store.renew(f"host:w{last}")) for _ in range(100)])
        line("  a snapshot", [took(store.snapshot) for _ in range(10)])


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """A Redis of our own that syncs each write; gives its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", ""]
    command += ["--appendonly", "yes", "--appendfsync", "always"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            for _ in range(500):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.01)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            process.terminate()


def in_redis(url: str) -> Callable[[], Store]:
    """How to open a queue there that has been quiet for long enough."""
    redis.store(url, clock=lambda: time.time() - 10 * AGO).close()
    return lambda: redis.store(url)


@contextmanager
def provider() -> Iterator[dict[str, str]]:
    """An emulator of Modal in a process of its own; gives the variables that lead to it."""
    command = [sys.executable, "-m", "beacon_cli", "emulator"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None  # noqa: S101 - it was asked for
            lines = [process.stdout.readline().removeprefix("export ").strip() for _ in range(3)]
            pairs = (line.split("=", 1) for line in lines)
            yield {name: value.strip("'\"") for name, value in pairs}
        finally:
            process.terminate()


def crowd(where: dict[str, str], store: Store, processes: int, seconds: float = 30.0) -> None:
    """How much of a core so many `beacon run` use that wait for one region, once all of them do.

    `where` are the variables by which they find the queue.
    """
    command = [sys.executable, "-m", "beacon_cli", "run", str(JOB), "--region", "us"]
    with closing(store), provider() as modal:
        store.agree(Caps())
        turn(store, "first")
        environment = {**os.environ, **modal, **where}
        waiting: list[subprocess.Popen[bytes]] = []
        try:
            for number in range(processes):
                quiet = subprocess.DEVNULL
                waiting.append(subprocess.Popen(command, env=environment, stdout=quiet, stderr=quiet))
                while store.snapshot(0).regions["us"].queue_size <= number:
                    store.renew("host:first")
                    time.sleep(0.1)
            time.sleep(5.0)
            before, began = sum(_used(each.pid) for each in waiting), time.perf_counter()
            while time.perf_counter() - began < seconds:
                store.renew("host:first")
                time.sleep(1.0)
            used, took_all = sum(_used(each.pid) for each in waiting) - before, time.perf_counter() - began
            left = store.snapshot(0).regions["us"].queue_size
        finally:
            for each in waiting:
                each.kill()
                each.wait()
    print(f"  {left} `beacon run` that wait for one turn: {used / took_all:.1%} of a core over {took_all:.0f} s")


def _used(pid: int) -> float:
    """Seconds of processor time that a process has used so far; Linux."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--waiting", type=int, default=10_000)
    parser.add_argument("--folder", type=Path, default=Path())
    parser.add_argument("--stores", default="sqlite,redis")
    parser.add_argument("--processes", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        folder = Path(name).resolve()
        print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
        if "sqlite" in given.stores:
            print("SQLite")
            path = folder / "queue.db"
            if given.processes:
                crowd({"BEACON_HOME": str(folder)}, sqlite.store(path), given.processes)
            else:
                measure(lambda: sqlite.store(path), given.rounds, given.waiting)
        if "redis" in given.stores and shutil.which("redis-server"):
            print("Redis")
            with redis_server(folder) as url:
                opened = in_redis(url)
                if given.processes:
                    crowd({"BEACON_HOME": str(folder), "BEACON_QUEUE": url}, opened(), given.processes)
                else:
                    measure(opened, given.rounds, given.waiting)


if __name__ == "__main__":
    main()
