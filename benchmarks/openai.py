"""beacon at an OpenAI-compatible endpoint, everything included, beside a bare aiohttp loop in the same run.

python benchmarks/openai.py [--rounds 3]        prints a table; needs nothing but beacon itself

Whole processes, in turns: start, YAML, plan, queue, journal on disk, plain display, results; and on the other side
a script of twenty lines that asks and throws the answers away. CPU for each further request is the difference
between a long and a short run. The server runs in a process of its own.
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
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
LATENCY = 0.05
BARE = """
import asyncio, aiohttp, sys
url, requests, at_once = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
async def main():
    numbers = iter(range(requests))
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        async def lane():
            for number in numbers:
                body = {"model": "bench", "temperature": 0.1, "max_tokens": 500, "messages": [
                    {"role": "system", "content": "You are a helpful assistant."},
                    {"role": "user", "content": f"What is the answer to question {number}?"}]}
                async with session.post(url + "/chat/completions", json=body) as response:
                    answer = await response.json()
                    answer["choices"][0]["message"]["content"]
        await asyncio.gather(*(lane() for _ in range(at_once)))
asyncio.run(main())
"""


class Work(NamedTuple):
    """So many requests in so many regions, so many of them at once over all."""

    requests: int
    at_once: int
    regions: int

    @property
    def ideal(self) -> float:
        """Seconds that the latency alone takes."""
        return self.requests / self.at_once * LATENCY


class Spent(NamedTuple):
    """What a process took: wall seconds, CPU seconds, memory in MB, requests in flight at the server's peak."""

    wall: float
    cpu: float
    memory: float
    peak: int


def job(work: Work, url: str) -> str:
    """The job file of this work: one model, lanes, everything that may be in flight in flight."""
    names = ["us", "eu", "asia"][: work.regions]
    at_once = work.at_once // work.regions
    return f"""\
id: bench
regions: [{", ".join(names)}]
models: [bench]
questions: {{file: questions.jsonl}}
system_prompt: You are a helpful assistant.
sampling: {{temperature: 0.1, max_tokens: 500}}
limits: {{concurrency: {work.at_once}, per_region: {at_once}}}
schedule: lanes
in_flight: {at_once}
executor:
  openai: {{base_url: "{url}"}}
"""


@contextmanager
def serving() -> Iterator[str]:
    """The server, for the body."""
    command = [sys.executable, str(HERE / "server.py"), "--latency", str(LATENCY)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
        process.communicate()


def peak(url: str) -> int:
    """How many requests were in flight at once since this was asked last."""
    address = url.removesuffix("/v1") + "/stats"
    with urllib.request.urlopen(address) as answer:  # noqa: S310 - our own server
        return int(json.load(answer)["peak"])


def spent(command: Sequence[str], url: str, folder: Path) -> Spent:
    """Run a command and see what it took."""
    peak(url)
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment = {**kept, "BEACON_HOME": str(folder / "state")}
    began = time.perf_counter()
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{command[:3]} left with {process.returncode}")
    scale = 1024 if platform.system() == "Linux" else 1024 * 1024
    return Spent(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / scale, peak(url))


def commands(work: Work, url: str, folder: Path) -> dict[str, list[str]]:
    """Both sides of the comparison."""
    path = folder / f"{work.requests}-{work.at_once}" / "job.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(job(work, url), encoding="utf-8")
    lines = (
        json.dumps({"id": f"q{n}", "text": f"What is the answer to question {n}?"})
        for n in range(work.requests // work.regions)
    )
    (path.parent / "questions.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    beacon = str(Path(sys.executable).with_name("beacon"))
    return {
        "aiohttp": [sys.executable, "-c", BARE, url, str(work.requests), str(work.at_once)],
        "beacon": [beacon, "run", str(path)],
    }


def measured(work: Work, url: str, folder: Path, rounds: int) -> dict[str, list[Spent]]:
    """Both sides, in turns."""
    sides = commands(work, url, folder)
    taken: dict[str, list[Spent]] = {name: [] for name in sides}
    for number in range(rounds + 1):
        for name, command in sides.items():
            once = spent(command, url, folder)
            if number:  # the first round fills the caches, of bytecode too
                taken[name].append(once)
    return taken


def median(taken: list[Spent], field: str) -> float:
    """The middle one of these figures."""
    return float(statistics.median(getattr(each, field) for each in taken))


def table(rounds: int, works: Sequence[Work]) -> None:
    """Measure and print."""
    print(
        f"{platform.platform()}, {os.cpu_count()} CPUs, Python {platform.python_version()}, {LATENCY * 1000:g} ms"
    )
    print("requests at once  ideal             wall     CPU  memory  peak  wall / aiohttp")
    further: dict[tuple[str, int], list[tuple[int, float]]] = {}
    with serving() as url, tempfile.TemporaryDirectory() as folder:
        for work in works:
            taken = measured(work, url, Path(folder), rounds)
            bare = median(taken["aiohttp"], "wall")
            for name, each in taken.items():
                wall, cpu, memory = (median(each, field) for field in ("wall", "cpu", "memory"))
                further.setdefault((name, work.at_once), []).append((work.requests, cpu))
                most = max(one.peak for one in each)
                print(
                    f"{work.requests:8,} {work.at_once:7} {work.ideal:5.2f}s  {name:8}{wall:6.2f}s {cpu:6.2f}s "
                    f"{memory:4.0f} MB {most:5}  {wall / bare:.2f}"
                )
    for (name, at_once), points in further.items():
        (few, least), (many, most_cpu) = min(points), max(points)
        if many > few:
            each_more = (most_cpu - least) / (many - few) * 1000
            print(f"CPU for each further request, {at_once} at once, {name}: {each_more:.3f} ms")


def main() -> None:
    """Read the options, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--short", action="store_true", help="only 72 and 5,000 requests")
    options = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard) if soft < 4096 else soft, hard))
    works = [Work(72, 9, 3), Work(500, 10, 1), Work(1_500, 10, 1), Work(1_000, 100, 1), Work(5_000, 100, 1)]
    table(options.rounds, [works[0], *works[-2:]] if options.short else works)


if __name__ == "__main__":
    main()
