"""Whatever the umask, what beacon keeps is its owner's alone."""

from __future__ import annotations

import stat
import subprocess
from pathlib import Path

import pytest
from tests.acceptance.conftest import BEACON, LIMIT, ROOT


@pytest.mark.parametrize("umask", [0o000, 0o777], ids=["none", "all"])
def test_everything_kept_is_private(tmp_path: Path, environment: dict[str, str], umask: int) -> None:
    """After a run, everything below the home is 0600 in folders of 0700, and so are the results put elsewhere."""
    output = tmp_path / "mine"
    output.mkdir(mode=0o755)
    home = Path(environment["BEACON_HOME"])
    done = subprocess.run(
        [
            *(str(BEACON), "run", str(ROOT / "jobs" / "bias-detection.yaml"), "--rehearse", "--speed", "300"),
            *("--limit", "1", "--region", "us", "--output", str(output)),
        ],
        env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=LIMIT, umask=umask, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in [home, *home.rglob("*")]}
    assert {path.name for path in modes} >= {"runs", "events.jsonl", "job.yaml", "results.jsonl", "lock"}
    assert {path: oct(mode) for path, mode in modes.items() if mode != (0o700 if path.is_dir() else 0o600)} == {}
    assert stat.S_IMODE((output / "results.jsonl").stat().st_mode) == 0o600
    assert stat.S_IMODE(output.stat().st_mode) == 0o755
