"""What it costs to refuse small files that want to become large: `python benchmarks/bombs.py`.

The aim is 0.2 s of CPU time and 50 MB for each bomb. The tests count what the parser does; here are the seconds.
"""

from __future__ import annotations

import sys
import time
import tracemalloc
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.unit.spec.test_bombs import BOMBS

from beacon_cli import spec
from beacon_cli.errors import SpecError
from beacon_cli.settings import REGIONS

ALLOWED = spec.Allowed(regions=REGIONS)
TRIES = 5


def refused(data: bytes) -> str:
    """What is said of the bomb."""
    try:
        spec.parse(data, Path("bomb.yaml"), ALLOWED)
    except SpecError as error:
        return str(error)
    raise AssertionError("the bomb was let in")


def seconds(data: bytes) -> float:
    """CPU time of one refusal."""
    start = time.process_time()
    refused(data)
    return time.process_time() - start


def megabytes(data: bytes) -> float:
    """Python's own peak of memory during a refusal, beside the file and its text."""
    tracemalloc.start()
    try:
        refused(data)
        return max(0.0, (tracemalloc.get_traced_memory()[1] - 2 * len(data)) / 1e6)
    finally:
        tracemalloc.stop()


def main() -> None:
    """Print the table."""
    print(f"| bomb | file, kB | CPU, s (best of {TRIES}) | memory, MB |\n|---|---|---|---|")
    for name, text in BOMBS.items():
        data = text.encode()
        best = min(seconds(data) for _ in range(TRIES))
        print(f"| {name} | {len(data) / 1e3:,.1f} | {best:.4f} | {megabytes(data):.1f} |")


if __name__ == "__main__":
    main()
