from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from beacon_cli.events import from_line

WRITER = Path(__file__).parent / "journal_writer.py"


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("seed", range(4))
def test_every_append_that_returned_is_in_the_file(tmp_path: Path, seed: int, backend: str) -> None:
    """A writer killed at any moment leaves all that it was told is kept, in order, and at most one torn line."""
    rand = random.Random(seed)  # noqa: S311 - which moment it is is no secret
    path = tmp_path / "events.jsonl"
    with subprocess.Popen([sys.executable, WRITER, path, backend], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        for _ in range(rand.randrange(2000)):
            said += process.stdout.readline()
        time.sleep(rand.random() / 500)  # so that the kill falls between two answers, too
        process.kill()
        said += process.stdout.read()
    returned = [int(line) for line in said.splitlines(keepends=True) if line.endswith(b"\n")]
    *lines, torn = path.read_bytes().split(b"\n")
    kept = [int(from_line(line).at) for line in lines]
    assert kept == list(range(len(kept))), "the order of the calls is the order of the records"
    assert returned == list(range(len(returned))), "the order of the records is the order in which tasks go on"
    assert 0 <= len(kept) - len(returned) <= 10, "each of ten tasks has one append under way"
    if torn:
        with pytest.raises(json.JSONDecodeError):
            json.loads(torn)
