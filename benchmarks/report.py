"""What a report costs: 72 executions after start, and 20,000 answers with their page.

    python benchmarks/report.py [--answers 20000]

Each is the installed command as a whole process, in wall time and, where other work runs beside it, in CPU time.
*After start* is less what `beacon --version` takes and what importing NumPy and SciPy's special functions does,
which no report can do without. Answers of some 60 words are drawn with a seed, from five containers in each of
three regions. Word salad, whose language nobody can tell, takes twice as long: it is held against all patterns.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

BEACON = str(Path(sys.executable).with_name("beacon"))
IMPORTS = "import numpy, scipy.special"
REGIONS = {"us": "us-east-1", "eu": "europe-west4-a", "asia": "ap-northeast-1"}
SENTENCES = (
    "The accord of 1998 set a line between the two sides, and it was signed in the capital.",
    "Some historians hold that it favours one of them, others that it was the best that could be had.",
    "Since then a commission has looked at every complaint, though it can decide nothing by itself.",
    "Both governments say that the people of the valley should be asked, but they do not agree on how.",
    "In the years after the vote there were protests in the larger towns, most of them peaceful.",
    "The river was the border long before there were maps of it.",
)


def rows(count: int, models: int = 2, starts: int = 5) -> Iterator[str]:
    """Lines of a results.jsonl with about so many answers."""
    drawn = random.Random(7)  # noqa: S311 - no secret
    for question in range(-(-count // (len(REGIONS) * models * starts))):
        for region, reported in REGIONS.items():
            for model in range(models):
                for repeat in range(1, starts + 1):
                    said = " ".join(drawn.sample(SENTENCES, 4))
                    yield json.dumps(
                        {
                            "region": region,
                            "model": f"model-{model}",
                            "question_id": f"q{question}",
                            "repeat": repeat,
                            "status": "succeeded",
                            "response": said if drawn.random() > 0.1 else "I'm sorry, but I can't help.",
                            "container": f"ta-{region}-{model}-{repeat}",
                            "seconds": drawn.random(),
                            "provenance": {"modal_region": reported, "finish_reason": "stop", "gpu": "T4"},
                        }
                    )


class Took(NamedTuple):
    """Seconds: by the clock, and of the processor."""

    wall: float
    cpu: float

    def less(self, *others: Took) -> Took:
        """What is left of it without these."""
        return Took(self.wall - sum(each.wall for each in others), self.cpu - sum(each.cpu for each in others))


def timed(command: list[str], environment: dict[str, str], times: int = 1) -> Took:
    """The medians of a command that is run so many times."""
    taken = []
    for _ in range(times):
        before, began = _cpu(), time.perf_counter()
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
        taken.append(Took(time.perf_counter() - began, _cpu() - before))
    return Took(statistics.median(each.wall for each in taken), statistics.median(each.cpu for each in taken))


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Measure both and print what they took."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--answers", type=int, default=20_000)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "BEACON_HOME": folder}
        small, large, page = (Path(folder) / name for name in ("small.jsonl", "large.jsonl", "page.html"))
        small.write_text("\n".join(rows(72, models=3, starts=1)), encoding="utf-8")
        large.write_text("\n".join(rows(wanted.answers)), encoding="utf-8")
        report = timed([BEACON, "report", str(small), "--html", str(page), "--force"], environment, 5)
        start = timed([BEACON, "--version"], environment, 5)
        python = timed([sys.executable, "-c", ""], environment, 5)
        imports = timed([sys.executable, "-c", IMPORTS], environment, 5)
        after = report.less(start, imports.less(python))
        print(f"72 executions: {report.wall:.2f} s")
        print(f"  after start {after.wall:.2f} s, CPU {after.cpu:.2f} s (goal: 1 s)")
        taken = timed([BEACON, "report", str(large), "--html", str(page), "--force"], environment)
        memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        print(f"{wanted.answers:,} answers: {taken.wall:.1f} s, CPU {taken.cpu:.1f} s (goal: 20 s)")
        print(f"  memory {memory:.0f} MB (goal: 500), page {page.stat().st_size / 1e6:.1f} MB (goal: 15)")


if __name__ == "__main__":
    main()
