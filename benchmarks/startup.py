"""What a command costs to start: `--help` and `validate` against the least that their libraries allow.

    python benchmarks/startup.py [--runs 9]

Each pair runs in turn (A B A B …) as whole processes; the figure is the ratio of wall times pair by pair, since a
machine's speed drifts. `--help` is held against a Typer application of as many empty commands, `validate` against
a script that imports typer, yaml and pydantic's BaseModel and defines the same models.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
"""Without the variable by which Python compiles every module anew at each start."""
BEACON = str(Path(sys.executable).with_name("beacon"))
JOB = str(Path(__file__).parents[1] / "jobs" / "bias-detection.yaml")

EMPTY = """
import typer
app = typer.Typer(no_args_is_help=True)
def command(name):
    def empty(): "Do it."
    empty.__name__ = name
    return empty
for name in "run resume retry reap plan validate schema init runs show report compare emulator".split():
    app.command()(command(name))
@app.callback()
def options(version: bool = False, debug: bool = False): "Options."
app()
"""

LEAST = """
from pathlib import Path
from typing import Annotated
import typer, yaml
from pydantic import BaseModel
class Question(BaseModel): id: str; text: str; category: str = ""
class Model(BaseModel): id: str; regions: list[str] | None = None
class Context(BaseModel): id: str; system_prompt: str
class Sampling(BaseModel):
    temperature: float | None = None; max_tokens: int | None = None; seed: int | None = None
    top_p: float | None = None
class Limits(BaseModel):
    concurrency: int = 10; per_region: int = 3; timeout: str = "15m"; run_timeout: str | None = None
    answer_bytes: int = 1000000
class Retry(BaseModel): attempts: int = 4; first: str = "2s"; factor: float = 2; longest: str = "60s"
class Breaker(BaseModel): failures: int = 3
class Modal(BaseModel):
    app: str; cls: str | None = None; function: str | None = None; parameters: dict[str, str] = {}
    method: str | None = None; arguments: dict[str, str] = {}
class Simulated(BaseModel): seed: int = 0; speed: float = 1; cold: bool = True
class Executor(BaseModel): modal: Modal | None = None; simulated: Simulated | None = None
class Job(BaseModel):
    id: str; description: str = ""; regions: list[str]; models: list[Model]; questions: list[Question]
    system_prompt: str | None = None; contexts: list[Context] = []; repeats: int = 1
    sampling: Sampling = Sampling(); limits: Limits = Limits(); retry: Retry = Retry()
    breaker: Breaker = Breaker()
    schedule: str = "lockstep"; executor: Executor; ignore: list[str] = []
app = typer.Typer()
@app.command()
def validate(job: Annotated[Path, typer.Argument()]):
    typer.echo(len(Job.model_validate(yaml.safe_load(job.read_text())).questions))
app()
"""


def seconds(command: list[str]) -> float:
    """The wall time of a whole process."""
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env=ENVIRONMENT)
    return time.perf_counter() - began


def compare(name: str, ours: list[str], theirs: list[str], runs: int) -> None:
    """Print the ratio of the two, pair by pair."""
    seconds(ours), seconds(theirs)
    pairs = [(seconds(ours), seconds(theirs)) for _ in range(runs)]
    ratios = sorted(mine / other for mine, other in pairs)
    middle = statistics.median(mine for mine, _ in pairs)
    print(
        f"{name:16} {middle:.2f} s; over its least: min {ratios[0]:.2f}  median {statistics.median(ratios):.2f}  "
        f"max {ratios[-1]:.2f}, {runs} pairs"
    )


def main() -> None:
    """Run both comparisons."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=9)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder:
        empty, least = Path(folder) / "empty.py", Path(folder) / "least.py"
        empty.write_text(EMPTY)
        least.write_text(LEAST)
        compare("beacon --help", [BEACON, "--help"], [sys.executable, str(empty), "--help"], runs)
        compare("beacon validate", [BEACON, "validate", JOB], [sys.executable, str(least), JOB], runs)


if __name__ == "__main__":
    main()
