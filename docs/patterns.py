"""Writes src/beacon_cli/evidence/patterns.json from patterns.toml beside it: what patterns come to, worked out.

python docs/patterns.py
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

from beacon_cli.evidence import patterns, shipped

FOLDER = Path(shipped.__file__).parent


def made() -> bytes:
    """The file as it should be."""
    source = (FOLDER / "patterns.toml").read_bytes()
    found, faults = patterns.parse(tomllib.loads(source.decode()), "patterns.toml")
    if faults:
        sys.exit("\n".join(map(str, faults)))
    return shipped.written(source, found)


if __name__ == "__main__":
    (FOLDER / "patterns.json").write_bytes(made())
