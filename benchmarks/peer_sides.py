"""Who is measured in `peers.py`, at what work: how each is started, set up, installed, and which version it is.

promptfoo and Inspect AI are started twice: as they come, and trimmed to what a loop of requests needs. Telemetry
and update checks are off everywhere, since they would wait for a network. Knows nothing of measuring.
"""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
PEERS = HERE.parent / "build" / "peers"
LATENCY = 0.05
MODEL = "gpt-4o-mini"
"""A name that every peer takes; the server serves any."""


class Work(NamedTuple):
    """So many requests, so many of them at once."""

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


class Side(NamedTuple):
    """One that is measured: how it is started, what it is called where it comes from, how it is set up.

    `variables` it is started with.
    """

    command: Callable[[Task], list[str]]
    package: str
    how: str
    variables: Mapping[str, str] = {}


def script(name: str) -> str:
    """A file of ours that does the work in somebody's way."""
    return str(HERE / "sides" / f"{name}.py")


def python(peer: str) -> str:
    """The interpreter of a peer's environment."""
    return str(PEERS / peer / "bin" / "python")


def aiohttp_loop(task: Task) -> list[str]:
    """Lanes over one session."""
    return [sys.executable, script("aiohttp_loop"), task.url, *map(str, task.work)]


def httpx_shared(task: Task) -> list[str]:
    """Lanes over one client."""
    return [sys.executable, script("httpx_loop"), task.url, *map(str, task.work), "1"]


def httpx_lanes(task: Task) -> list[str]:
    """Each lane over a client of its own."""
    return [sys.executable, script("httpx_loop"), task.url, *map(str, task.work), str(task.work.at_once)]


def pyreqwest_loop(task: Task) -> list[str]:
    """Lanes over one client of another library."""
    return [python("clients"), script("pyreqwest_loop"), task.url, *map(str, task.work)]


def pyqwest_loop(task: Task) -> list[str]:
    """Lanes over one client of a third."""
    return [python("clients"), script("pyqwest_loop"), task.url, *map(str, task.work)]


def inspect(task: Task) -> list[str]:
    """`inspect eval` of a file with a task, as on a command line; its log is written."""
    requests, at_once = task.work
    (task.folder / "task.py").write_text(
        f"""\
from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.solver import generate, system_message


@task
def bench():
    asked = [Sample(input=f"What is the answer to question {{n}}?") for n in range({requests})]
    return Task(dataset=MemoryDataset(asked), solver=[system_message("You are a helpful assistant."), generate()])
""",
        encoding="utf-8",
    )
    endpoint = ["--model", f"openai-api/bench/{MODEL}", "--model-base-url", task.url, "-M", "api_key=none"]
    sampling = ["--temperature", "0.1", "--max-tokens", "500"]
    width = ["--max-connections", str(at_once), "--max-samples", str(at_once)]
    command = str(Path(python("inspect")).with_name("inspect"))
    return [command, "eval", "task.py", *endpoint, *sampling, *width, "--log-dir", str(task.folder)]


def inspect_trimmed(task: Task) -> list[str]:
    """An evaluation of one task by its Python API; its log is written."""
    return [python("inspect"), script("inspect_task"), task.url, *map(str, task.work), str(task.folder)]


def curator(task: Task) -> list[str]:
    """An LLM class over a list of rows; its responses and dataset are written."""
    return [python("curator"), script("curator_rows"), task.url, *map(str, task.work), str(task.folder)]


def promptfoo(task: Task) -> list[str]:
    """`promptfoo eval` of a configuration file; its results are written as JSON, and into its database."""
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
    command = PEERS / "promptfoo" / "node_modules" / ".bin" / "promptfoo"
    written = ["-j", str(task.work.at_once), "-o", str(task.folder / "results.json")]
    return ["node", str(command), "eval", "-c", str(config), "--no-share", *written]


def promptfoo_trimmed(task: Task) -> list[str]:
    """The same with nothing but its results."""
    return [*promptfoo(task), "--no-cache", "--no-write", "--no-table", "--no-progress-bar"]


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


_OFFLINE = {
    "DO_NOT_TRACK": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_OFFLINE": "1",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "PROMPTFOO_DISABLE_REMOTE_GENERATION": "true",
    "PROMPTFOO_DISABLE_TELEMETRY": "1",
    "PROMPTFOO_DISABLE_UPDATE": "1",
    "TELEMETRY_ENABLED": "false",
}
_SILENT = {
    "PROMPTFOO_CACHE_ENABLED": "false",
    "PROMPTFOO_DISABLE_DEBUG_LOG": "1",
    "PROMPTFOO_DISABLE_ERROR_LOG": "1",
}
_CURATOR = {"CURATOR_DISABLE_CACHE": "1", "CURATOR_DISABLE_RICH_DISPLAY": "1", "CURATOR_VIEWER": "0"}

SIDES = {
    "aiohttp": Side(
        aiohttp_loop,
        "aiohttp",
        "one session, no limit of connections, a lane for each request in flight; answers thrown away",
    ),
    "beacon": Side(
        beacon,
        "beacon-cli",
        "`beacon run`, lanes: YAML, queue, journal synced to disk, plain progress, results, readings",
    ),
    "httpx, one client": Side(
        httpx_shared, "httpx", "one `AsyncClient`, its limits taken off; answers thrown away"
    ),
    "httpx, a client a lane": Side(httpx_lanes, "httpx", "an `AsyncClient` for each lane; answers thrown away"),
    "pyreqwest": Side(
        pyreqwest_loop,
        "pyreqwest",
        "one client; answers thrown away. Who stops waiting does not end the request: beacon cannot stand on it",
    ),
    "pyqwest": Side(pyqwest_loop, "pyqwest", "one client; answers thrown away"),
    "promptfoo": Side(promptfoo, "promptfoo", "`promptfoo eval -j N`, as it comes; results as JSON as well"),
    "promptfoo, trimmed": Side(
        promptfoo_trimmed, "promptfoo", "no cache, no database, no logs, no table; results as JSON", _SILENT
    ),
    "curator": Side(
        curator,
        "bespokelabs-curator",
        "`max_concurrent_requests` N, limits of requests and tokens out of reach; no cache, viewer or display; "
        "asks once more at the start, to see what the limits are",
        _CURATOR,
    ),
    "inspect": Side(
        inspect,
        "inspect-ai",
        "`inspect eval` with `--max-connections` and `--max-samples` N, as it comes",
    ),
    "inspect, trimmed": Side(
        inspect_trimmed,
        "inspect-ai",
        "its Python API, the same N; no display, no scorer, no live log, no calls in the log, no servers",
    ),
}


def environment(side: Side) -> dict[str, str]:
    """The variables that a side is started with: telemetry and update checks off, and what is its own."""
    bundled = "lib/python*/site-packages/litellm/litellm_core_utils/tokenizers"
    tokenizers = next((PEERS / "curator").glob(bundled), Path())  # else it is fetched from the network
    return {**_OFFLINE, **side.variables, "TIKTOKEN_CACHE_DIR": str(tokenizers)}


_ENVIRONMENTS = {
    "clients": ("pyreqwest", "pyqwest"),
    "curator": ("bespokelabs-curator",),
    "inspect": ("inspect-ai", "openai"),
}
"""The virtual environments in the folder of the peers, and what is installed in each."""


def install(wanted: Sequence[str]) -> None:
    """Make the environments that are not there yet, of the sides with these names."""
    needed = {SIDES[name].package for name in wanted}
    for peer, packages in _ENVIRONMENTS.items():
        if needed & set(packages) and not (PEERS / peer).exists():
            subprocess.run([sys.executable, "-m", "venv", str(PEERS / peer)], check=True)
            subprocess.run([python(peer), "-m", "pip", "install", "--quiet", *packages], check=True)
    folder = PEERS / "promptfoo"
    if "promptfoo" in needed and not folder.exists():
        folder.mkdir(parents=True)
        (folder / "package.json").write_text('{"private": true}\n', encoding="utf-8")
        options = ["--no-audit", "--no-fund", "--no-update-notifier", "--ignore-scripts"]
        subprocess.run(["npm", "install", *options, "promptfoo"], check=True, cwd=folder)


def version(side: Side) -> str:
    """What of this side is installed."""
    if side.package == "promptfoo":
        package = PEERS / "promptfoo" / "node_modules" / "promptfoo" / "package.json"
        node = subprocess.run(["node", "--version"], check=True, capture_output=True, text=True).stdout.strip()
        return f"{json.loads(package.read_text(encoding='utf-8'))['version']}, Node {node}"
    for peer, packages in _ENVIRONMENTS.items():
        if side.package in packages:
            asked = f"import importlib.metadata as m; print(m.version({side.package!r}))"
            told = subprocess.run([python(peer), "-c", asked], check=True, capture_output=True, text=True)
            return told.stdout.strip()
    return importlib.metadata.version(side.package)
