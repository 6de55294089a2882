"""beacon beside its peers on the same work: loops of aiohttp and httpx, promptfoo, curator, Inspect AI.

    python benchmarks/peers.py [--rounds 3] [--without inspect,curator] [--write benchmarks/peers.md]

Needs npm and Node beside beacon itself. The peers are installed into `build/peers`, each in an environment of its
own, once; nothing of them becomes a dependency. Every side is a whole process, one after the other in turns. All
ask `server.py` on loopback, which counts what really arrived and how much of it was in flight at once. Telemetry,
update checks, caches, viewers and rate limits are off or out of the way. The table is Markdown.
"""

from __future__ import annotations

import argparse
import importlib.metadata
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

HERE = Path(__file__).parent
PEERS = HERE.parent / "build" / "peers"
LATENCY = 0.05
MODEL = "gpt-4o-mini"
"""A name that every peer takes; the server serves any."""


class Work(NamedTuple):
    """So many requests, so many of them at once; `short` is one that ends soon, whoever does it."""

    requests: int
    at_once: int

    @property
    def ideal(self) -> float:
        """Seconds that the latency alone takes."""
        return self.requests / self.at_once * LATENCY


SMALL = Work(72, 9)
FEW, MANY = Work(500, 100), Work(5_000, 100)
FEW_BY_TEN, MANY_BY_TEN = Work(500, 10), Work(1_500, 10)


class Task(NamedTuple):
    """A work for one process: where the server is, and an empty folder of the process's own."""

    work: Work
    url: str
    folder: Path


class Spent(NamedTuple):
    """What a process took: wall and CPU seconds, memory in MB; requests and most in flight, as the server saw."""

    wall: float
    cpu: float
    memory: float
    requests: int
    peak: int


def script(name: str) -> str:
    """A file of ours that does the work in somebody's way."""
    return str(HERE / "sides" / f"{name}.py")


def aiohttp_loop(task: Task) -> list[str]:
    """Lanes over one session."""
    return [sys.executable, script("aiohttp_loop"), task.url, *map(str, task.work)]


def httpx_shared(task: Task) -> list[str]:
    """Lanes over one client."""
    return [sys.executable, script("httpx_loop"), task.url, *map(str, task.work), "1"]


def httpx_lanes(task: Task) -> list[str]:
    """Each lane over a client of its own."""
    return [sys.executable, script("httpx_loop"), task.url, *map(str, task.work), str(task.work.at_once)]


def inspect(task: Task) -> list[str]:
    """An evaluation of one task by its Python API; its log is written."""
    return [python("inspect"), script("inspect_task"), task.url, *map(str, task.work), str(task.folder)]


def curator(task: Task) -> list[str]:
    """An LLM class over a list of rows; its responses and dataset are written."""
    return [python("curator"), script("curator_rows"), task.url, *map(str, task.work), str(task.folder)]


def promptfoo(task: Task) -> list[str]:
    """`promptfoo eval` of a configuration file; its results are written as JSON, not into its database."""
    asked = [{"vars": {"question": f"What is the answer to question {n}?"}} for n in range(task.work.requests)]
    prompt = [
        {"role": "system", "content": "You are a helpful assistant."},
        {"role": "user", "content": "{{question}}"},
    ]
    settings = {"apiBaseUrl": task.url, "apiKey": "none", "temperature": 0.1, "max_tokens": 500}
    (task.folder / "tests.json").write_text(json.dumps(asked), encoding="utf-8")
    (task.folder / "prompt.json").write_text(json.dumps(prompt), encoding="utf-8")
    config = task.folder / "config.json"
    config.write_text(
        json.dumps(
            {
                "prompts": ["file://prompt.json"],
                "providers": [{"id": f"openai:chat:{MODEL}", "config": settings}],
                "tests": "file://tests.json",
            }
        ),
        encoding="utf-8",
    )
    options = ["--no-cache", "--no-write", "--no-table", "--no-progress-bar", "--no-share"]
    command = PEERS / "promptfoo" / "node_modules" / ".bin" / "promptfoo"
    written = ["-j", str(task.work.at_once), "-o", str(task.folder / "results.json")]
    return ["node", str(command), "eval", "-c", str(config), *options, *written]


def beacon(task: Task) -> list[str]:
    """`beacon run`: three regions at nine at once, else one; journal, plain progress and results are written."""
    regions = ["us", "eu", "asia"] if task.work == SMALL else ["us"]
    lanes = task.work.at_once // len(regions)
    (task.folder / "job.yaml").write_text(
        f"""\
id: bench
regions: [{", ".join(regions)}]
models: [{MODEL}]
questions: {{file: questions.jsonl}}
system_prompt: You are a helpful assistant.
sampling: {{temperature: 0.1, max_tokens: 500}}
limits: {{concurrency: {task.work.at_once}, per_region: {lanes}}}
schedule: lanes
in_flight: {lanes}
executor:
  openai: {{base_url: "{task.url}"}}
""",
        encoding="utf-8",
    )
    asked = (
        json.dumps({"id": f"q{n}", "text": f"What is the answer to question {n}?"})
        for n in range(task.work.requests // len(regions))
    )
    (task.folder / "questions.jsonl").write_text("\n".join(asked) + "\n", encoding="utf-8")
    return [str(Path(sys.executable).with_name("beacon")), "run", str(task.folder / "job.yaml")]


SIDES = {
    "aiohttp": aiohttp_loop,
    "beacon": beacon,
    "httpx, one client": httpx_shared,
    "httpx, a client a lane": httpx_lanes,
    "promptfoo": promptfoo,
    "curator": curator,
    "inspect": inspect,
}
OURS = ("aiohttp", "beacon")
HOW = {
    "aiohttp": "one session, no limit of connections, a lane for each request in flight; answers thrown away",
    "beacon": "`beacon run`, lanes: YAML, queue, journal synced to disk, plain progress, results, readings",
    "httpx, one client": "one `AsyncClient`, its limits taken off; answers thrown away",
    "httpx, a client a lane": "an `AsyncClient` for each lane; answers thrown away",
    "promptfoo": "`eval -j N`, no cache, no database, no table, no sharing; results as JSON",
    "curator": (
        "`max_concurrent_requests` N, limits of requests and tokens out of reach; no cache, viewer or display; "
        "asks once more at the start, to see what the limits are"
    ),
    "inspect": "`max_connections` and `max_samples` N, no display, no scorer, no live log, no calls in the log",
}


def quiet() -> dict[str, str]:
    """The variables that keep everybody's telemetry, update checks, caches and viewers off."""
    bundled = "lib/python*/site-packages/litellm/litellm_core_utils/tokenizers"
    tokenizers = next((PEERS / "curator").glob(bundled), Path())  # else it is fetched from the network
    return {
        "CURATOR_DISABLE_CACHE": "1",
        "CURATOR_DISABLE_RICH_DISPLAY": "1",
        "CURATOR_VIEWER": "0",
        "DO_NOT_TRACK": "1",
        "HF_DATASETS_OFFLINE": "1",
        "HF_HUB_OFFLINE": "1",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "PROMPTFOO_CACHE_ENABLED": "false",
        "PROMPTFOO_DISABLE_DEBUG_LOG": "1",
        "PROMPTFOO_DISABLE_ERROR_LOG": "1",
        "PROMPTFOO_DISABLE_REMOTE_GENERATION": "true",
        "PROMPTFOO_DISABLE_TELEMETRY": "1",
        "PROMPTFOO_DISABLE_UPDATE": "1",
        "TELEMETRY_ENABLED": "false",
        "TIKTOKEN_CACHE_DIR": str(tokenizers),
    }


def python(peer: str) -> str:
    """The interpreter of a peer's environment."""
    return str(PEERS / peer / "bin" / "python")


def install(wanted: Sequence[str]) -> None:
    """Make the environments that are not there yet."""
    for name, packages in (("inspect", ["inspect-ai", "openai"]), ("curator", ["bespokelabs-curator"])):
        if name in wanted and not (PEERS / name).exists():
            subprocess.run([sys.executable, "-m", "venv", str(PEERS / name)], check=True)
            subprocess.run([python(name), "-m", "pip", "install", "--quiet", *packages], check=True)
    folder = PEERS / "promptfoo"
    if "promptfoo" in wanted and not folder.exists():
        folder.mkdir(parents=True)
        (folder / "package.json").write_text('{"private": true}\n', encoding="utf-8")
        options = ["--no-audit", "--no-fund", "--no-update-notifier", "--ignore-scripts"]
        subprocess.run(["npm", "install", *options, "promptfoo"], check=True, cwd=folder)


def version(side: str) -> str:
    """What of this side is installed."""
    if side == "promptfoo":
        package = PEERS / "promptfoo" / "node_modules" / "promptfoo" / "package.json"
        node = subprocess.run(["node", "--version"], check=True, capture_output=True, text=True).stdout.strip()
        return f"{json.loads(package.read_text(encoding='utf-8'))['version']}, Node {node}"
    theirs = {"inspect": "inspect-ai", "curator": "bespokelabs-curator"}
    if side in theirs:
        script = f"import importlib.metadata as m; print(m.version({theirs[side]!r}))"
        return subprocess.run(
            [python(side), "-c", script], check=True, capture_output=True, text=True
        ).stdout.strip()
    return importlib.metadata.version("beacon-cli" if side == "beacon" else side.partition(",")[0])


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
        command = SIDES[side](Task(work, url, folder))
        kept = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        mine = {"BEACON_HOME": str(folder / "state"), "PROMPTFOO_CONFIG_DIR": str(folder / "promptfoo")}
        seen(url)
        took = folder / "took.json"
        with (folder / "output").open("w+", encoding="utf-8") as output:
            subprocess.run(
                [sys.executable, script("measured"), str(took), *command],
                env={**kept, **quiet(), **mine},
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


Taken = Mapping[tuple[str, Work], list[Spent]]


def measured(sides: Sequence[str], rounds: int, url: str) -> Taken:
    """Everything, in turns; the peers do the long works once, since they take minutes."""
    taken: dict[tuple[str, Work], list[Spent]] = {}
    for number in range(rounds + 1):
        works = [SMALL, FEW, MANY, FEW_BY_TEN, MANY_BY_TEN] if number else [SMALL]
        for work in works:
            for side in sides:
                if side not in OURS and (work in {FEW_BY_TEN, MANY_BY_TEN} or (work != SMALL and number > 1)):
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
            f"| {few['memory']:.0f} MB | {most['wall']:.2f} s | {ratio(taken, side, 'aiohttp', MANY):.2f} "
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
            times = ratio(taken, side, "beacon", SMALL)
            yield f"| the same, times faster than {side} | ≥ {least:g} | {times:.1f} |"
    yield f"| CPU a further request, over bare aiohttp | ≤ 2 | {each['beacon'] / each['aiohttp']:.2f} |"
    for side, most in (("promptfoo", 25), ("inspect", 50)):
        if side in sides:
            yield f"| the same, of {side}'s | ≤ 1/{most} | 1/{each[side] / each['beacon']:.0f} |"
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
        "The server saw every request of every run; `peak` is the most that it had in flight at once.",
    )
    lines = [
        "# beacon and its peers",
        "",
        f"Written by `python benchmarks/peers.py` on {datetime.now(UTC):%Y-%m-%d}: {machine}.",
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
        *(f"| {side} | {version(side)} | {HOW[side]} |" for side in sides),
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
