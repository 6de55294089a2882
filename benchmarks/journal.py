"""How fast is the journal? Appends that wait for the disk, and reading all of it back.

    python benchmarks/journal.py [--executions 100000] [--in-flight 10] [--folder .]

Prints executions a second for the disk alone and for both event loops (three events an execution, each on disk
before the task goes on), and the time and memory that a fold of the finished file takes.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import anyio

from beacon_cli.events import AttemptStarted, AttemptSucceeded, CallPlaced, Event, RunStarted, to_line
from beacon_cli.journal import FileJournal, create
from beacon_cli.model import Model, Question, Region, SimulatedTarget, Spec, Succeeded
from beacon_cli.replay import recover

ANSWER = "An answer of two hundred characters, as a small model gives it when it is asked a plain question. " * 3


def run_started(executions: int) -> RunStarted:
    """The first event: one region with as many executions as asked for."""
    spec = Spec(
        id="benchmark",
        regions=(Region(id="us", app="us", place="the United States"),),
        models=(Model(id="m"),),
        questions=(Question(id="q", text="Why?"),),
        target=SimulatedTarget(),
    )
    return RunStarted(
        at=0.0, run_id="b", spec=spec, planned={"us": executions}, fingerprint="f", rehearsal=True, beacon="0"
    )


def execution_events(number: int) -> tuple[Event, Event, Event]:
    """What one execution adds to a journal."""
    key, at = f"{number:016x}", 1.7e9 + number / 1000
    return (
        AttemptStarted(
            at=at,
            execution=key,
            attempt=1,
            region="us",
            model="m",
            question="q",
            context=None,
            repeat=1,
            queued_at=at,
        ),
        CallPlaced(at=at, execution=key, attempt=1, call_id=f"fc-{key}"),
        AttemptSucceeded(
            at=at, execution=key, attempt=1, seconds=3.5, answer=Succeeded(response=ANSWER[:200], cold_start=False)
        ),
    )


async def carry_out(path: Path, executions: int, in_flight: int) -> None:
    """Append the events of all executions, as many tasks at once as may be in flight."""

    async def work(journal: FileJournal, numbers: Iterator[int]) -> None:
        for number in numbers:
            for event in execution_events(number):
                await journal.append(event)

    async with create(path) as journal:
        await journal.append(run_started(executions))
        numbers = iter(range(executions))
        async with anyio.create_task_group() as group:
            for _ in range(in_flight):
                group.start_soon(work, journal, numbers)


def peak_memory() -> float:
    """The most that this process has had in memory, in MB (2**20 bytes)."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    # On Linux `ru_maxrss` begins with what the parent had.
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def write_bare(path: Path, executions: int, in_flight: int) -> None:
    """Measure what the disk itself allows: the same lines, one write and one sync for as many as are in flight."""
    lines = [to_line(event) for number in range(in_flight) for event in execution_events(number)]
    groups = [b"".join(lines[at : at + in_flight]) for at in range(0, len(lines), in_flight)]
    begun = time.perf_counter()
    with path.open("wb", buffering=0) as file:
        for _ in range(0, executions, in_flight):
            for group in groups:
                file.write(group)
                os.fsync(file.fileno())
    seconds = time.perf_counter() - begun
    print(f"disk    alone    {executions / seconds:9,.0f} executions/s {seconds:7.1f} s")


def write(backend: str, path: Path, executions: int, in_flight: int) -> None:
    """Measure the appends on one event loop."""
    begun, worked = time.perf_counter(), time.process_time()
    anyio.run(carry_out, path, executions, in_flight, backend=backend)
    seconds, cpu = time.perf_counter() - begun, time.process_time() - worked
    print(f"append  {backend:8} {executions / seconds:9,.0f} executions/s {seconds:7.1f} s {cpu:7.1f} s CPU")


def read(path: Path) -> None:
    """Measure the fold, in a process of its own: memory that was used before would hide what it takes."""
    before = peak_memory()
    begun = time.perf_counter()
    standings = recover(path).standings
    seconds = time.perf_counter() - begun
    peak = peak_memory()
    print(
        f"fold    {standings.total('succeeded'):,} executions in {seconds:.2f} s,"
        f" peak {peak:.0f} MB, {peak - before:.0f} of them for it"
    )


def main() -> None:
    """Run every measurement and print one line for each."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--executions", type=int, default=100_000)
    parser.add_argument("--in-flight", type=int, default=10)
    parser.add_argument("--folder", type=Path, help="measure on this disk (default: the temporary folder's)")
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.read:
        return read(options.read)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        paths = {backend: Path(folder, f"{backend}.jsonl") for backend in ("asyncio", "trio")}
        write_bare(Path(folder, "bare"), options.executions, options.in_flight)
        for backend, path in paths.items():
            write(backend, path, options.executions, options.in_flight)
        sys.stdout.flush()
        subprocess.run([sys.executable, __file__, "--read", paths["asyncio"]], check=True)
    return None


if __name__ == "__main__":
    main()
