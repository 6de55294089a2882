"""beacon beside its peers on the same work: loops of aiohttp and httpx, promptfoo, curator, Inspect AI.

    python -m benchmarks.peers [--rounds 3] [--without inspect,curator] [--write benchmarks/peers.md]

Needs npm and Node beside beacon itself. The peers are installed into `build/peers`, each in an environment of its
own, once; nothing of them becomes a dependency. Every side is a whole process, one after the other in turns; who
they are and how they are set up is in `peer_sides.py`. All ask `server.py` on loopback, which counts what really
arrived and how much of it was in flight at once. The table is Markdown.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from benchmarks.peer_sides import (
    FEW,
    FEW_BY_TEN,
    HERE,
    LATENCY,
    MANY,
    MANY_BY_TEN,
    SIDES,
    SMALL,
    Task,
    Work,
    environment,
    install,
    script,
    version,
)

OURS = ("aiohttp", "beacon")


class Spent(NamedTuple):
    """What a process took: wall and CPU seconds, memory in MB; requests and most in flight, as the server saw."""

    wall: float
    cpu: float
    memory: float
    requests: int
    peak: int


@contextmanager
def serving() -> Iterator[str]:
    """The server, for the body."""
    command = [sys.executable, str(HERE / "server.py"), "--latency", str(LATENCY)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
        process.communicate()


def seen(url: str) -> tuple[int, int]:
    """How many requests the server had since this was asked last, and how many were in flight at once."""
    address = url.removesuffix("/v1") + "/stats"
    with urllib.request.urlopen(address) as answer:  # noqa: S310 - our own server
        stats = json.load(answer)
    return int(stats["requests"]), int(stats["peak"])


def spent(side: str, work: Work, url: str) -> Spent:
    """Have one side do a work, and see what it took.

    Raises:
        RuntimeError: it failed, or the server did not see every request.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = SIDES[side].command(Task(work, url, folder))
        kept = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        mine = {"BEACON_HOME": str(folder / "state"), "PROMPTFOO_CONFIG_DIR": str(folder / "promptfoo")}
        seen(url)
        took = folder / "took.json"
        with (folder / "output").open("w+", encoding="utf-8") as output:
            subprocess.run(
                [sys.executable, script("measured"), str(took), *command],
                env={**kept, **environment(SIDES[side]), **mine},
                cwd=folder,
                stdout=output,
                stderr=output,
                check=True,
            )
            output.seek(0)
            told = output.read()[-2_000:]
        wall, cpu, memory, code = json.loads(took.read_text(encoding="utf-8"))
    requests, peak = seen(url)
    if code or requests < work.requests:
        raise RuntimeError(f"{side}: {requests} of {work.requests} requests, left with {code}: {told}")
    scale = 1024 if platform.system() == "Linux" else 1024 * 1024
    return Spent(wall, cpu, memory / scale, requests, peak)


def patiently(side: str, work: Work, url: str, tries: int = 3) -> Spent:
    """As `spent`; once more where it fails, and it is said: promptfoo's log sometimes falls over its own end."""
    for _ in range(tries - 1):
        try:
            return spent(side, work, url)
        except RuntimeError as error:
            print(f"once more: {str(error)[:200]}", file=sys.stderr, flush=True)
    return spent(side, work, url)


def _does(side: str, work: Work, number: int) -> bool:
    """Whether a side does a work in a round: the peers do the long ones once, since they take minutes."""
    if side in OURS or work == SMALL:
        return True
    return number == 1 and work in {FEW, MANY}


Taken = Mapping[tuple[str, Work], list[Spent]]


def measured(sides: Sequence[str], rounds: int, url: str) -> Taken:
    """Everything, in turns."""
    taken: dict[tuple[str, Work], list[Spent]] = {}
    for number in range(rounds + 1):
        works = [SMALL, FEW, MANY, FEW_BY_TEN, MANY_BY_TEN] if number else [SMALL]
        for work in works:
            for side in sides:
                if not _does(side, work, number):
                    continue
                once = patiently(side, work, url)
                if number:  # the first round fills the caches of bytecode
                    taken.setdefault((side, work), []).append(once)
                    print(f"{number}  {work.requests:5} {side:24} {once.wall:8.2f} s", file=sys.stderr, flush=True)
    return taken


def median(taken: Taken, side: str, work: Work, field: str) -> float:
    """The middle one of these figures."""
    return float(statistics.median(getattr(each, field) for each in taken[side, work]))


def ratio(taken: Taken, side: str, over: str, work: Work) -> float:
    """How many times as long a side took as another: the middle one of the rounds that both were run in.

    A machine's speed changes from minute to minute, and with it both.
    """
    pairs = zip(taken[side, work], taken[over, work], strict=False)
    return float(statistics.median(one.wall / other.wall for one, other in pairs))


def further(taken: Taken, side: str, few: Work, many: Work) -> float:
    """CPU milliseconds for each further request."""
    more = median(taken, side, many, "cpu") - median(taken, side, few, "cpu")
    return more / (many.requests - few.requests) * 1000


def rows(taken: Taken, sides: Sequence[str]) -> Iterator[str]:
    """The table of all sides."""
    over = "over aiohttp"
    small, many = (
        f"72 at 9 | {over} | CPU | memory",
        f"5,000 at 100 | {over} | CPU a further request | memory | peak",
    )
    yield f"| side | {small} | {many} |"
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for side in sides:
        few, most = ({f: median(taken, side, w, f) for f in Spent._fields} for w in (SMALL, MANY))
        yield (
            f"| {side} | {few['wall']:.2f} s | {ratio(taken, side, 'aiohttp', SMALL):.2f} | {few['cpu']:.2f} s "
            f"| {few['memory']:.0f} MB "
            f"| {most['wall']:.2f} s | {ratio(taken, side, 'aiohttp', MANY):.2f} "
            f"| {further(taken, side, FEW, MANY):.2f} ms | {most['memory']:.0f} MB "
            f"| {max(each.peak for each in taken[side, MANY])} |"
        )


def goals(taken: Taken, sides: Sequence[str]) -> Iterator[str]:
    """What beacon is meant to reach, with what it reached."""
    each = {side: further(taken, side, FEW, MANY) for side in sides}
    by_ten = further(taken, "beacon", FEW_BY_TEN, MANY_BY_TEN)
    peaks = {one.peak for one in taken["beacon", MANY]}
    yield "| goal of beacon | figure | reached |"
    yield "|---|---|---|"
    yield f"| 72 at 50 ms, 9 at once, over bare aiohttp | ≤ 1.4 | {ratio(taken, 'beacon', 'aiohttp', SMALL):.2f} |"
    for side, least in (("promptfoo", 3.7), ("inspect", 7.0)):
        if side in sides:
            times, trimmed = (ratio(taken, name, "beacon", SMALL) for name in (side, f"{side}, trimmed"))
            yield f"| the same, times faster than {side} | ≥ {least:g} | {times:.1f}; trimmed {trimmed:.1f} |"
    yield f"| CPU a further request, over bare aiohttp | ≤ 2 | {each['beacon'] / each['aiohttp']:.2f} |"
    for side, most in (("promptfoo", 25), ("inspect", 50)):
        if side in sides:
            times, trimmed = (each[name] / each["beacon"] for name in (side, f"{side}, trimmed"))
            yield f"| the same, of {side}'s | ≤ 1/{most} | 1/{times:.0f}; trimmed 1/{trimmed:.0f} |"
    long = ratio(taken, "beacon", "aiohttp", MANY)
    yield f"| 5,000 at 50 ms, 100 at once, over bare aiohttp | ≤ 1.5 | {long:.2f} |"
    yield f"| in flight at the peak, of 100 | 100 | {', '.join(map(str, sorted(peaks)))} |"
    yield f"| CPU a request at 100 at once, over that at 10 | ≤ 1.25 | {each['beacon'] / by_ten:.2f} |"
    yield f"| peak memory at 72 | ≤ 65 MB | {median(taken, 'beacon', SMALL, 'memory'):.0f} MB |"


def document(taken: Taken, sides: Sequence[str], rounds: int, loads: Sequence[float]) -> str:
    """The whole of it, as Markdown."""
    spread = [f"{side} {min(w := [e.wall for e in taken[side, SMALL]]):.2f} to {max(w):.2f}" for side in sides]
    machine = (
        f"{platform.system()}, {os.cpu_count()} CPUs, Python {platform.python_version()}; load average "
        f"{loads[0]:.1f} before and {loads[1]:.1f} after, of which the measuring itself is about 1"
    )
    method = (
        f"Whole processes in turns, against one server on loopback that answers after {LATENCY * 1000:g} ms.",
        f"Medians of {rounds} rounds, of ratios too; of what the peers do with 500 and 5,000 requests, one.",
        f"The latency alone takes {SMALL.ideal:.2f} s and {MANY.ideal:.2f} s.",
        "CPU is of the process and its children, memory of its largest process.",
        "promptfoo and Inspect AI run as they come, and trimmed; telemetry and update checks are off everywhere.",
        "The server saw every request of every run; `peak` is the most that it had in flight at once.",
    )
    lines = [
        "# beacon and its peers",
        "",
        f"Written by `python -m benchmarks.peers` on {datetime.now(UTC):%Y-%m-%d}: {machine}.",
        "",
        " ".join(method),
        "",
        *rows(taken, sides),
        "",
        f"Least to most of the rounds at 72, in seconds: {'; '.join(spread)}.",
        "",
        *goals(taken, sides),
        "",
        "| side | version | how it is set up |",
        "|---|---|---|",
        *(f"| {side} | {version(SIDES[side])} | {SIDES[side].how} |" for side in sides),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Read the options, install, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--without", default="", help="sides to leave out, with commas between")
    parser.add_argument("--write", type=Path, help="write the table into this file, not to the terminal")
    options = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard) if soft < 4096 else soft, hard))
    sides = [side for side in SIDES if side in OURS or side.partition(",")[0] not in options.without.split(",")]
    install(sides)
    before = os.getloadavg()[0]
    with serving() as url:
        taken = measured(sides, options.rounds, url)
    text = document(taken, sides, options.rounds, (before, os.getloadavg()[0]))
    if options.write:
        options.write.write_text(text, encoding="utf-8")
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
