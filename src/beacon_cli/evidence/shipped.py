"""The shipped patterns as `patterns.json` keeps them: read, filled in and taken apart beforehand. Pure.

`patterns.toml` is what people write, and `python docs/patterns.py` makes the other file of it: working it out
takes twenty times as long as reading what came of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

import msgspec

from beacon_cli.evidence.finding import parts
from beacon_cli.evidence.patterns import Pattern
from beacon_cli.priming import prime


class _Shipped(msgspec.Struct, frozen=True):
    source: str
    patterns: tuple[Pattern, ...]


prime(_Shipped)


def written(source: bytes, patterns: Iterable[Pattern]) -> bytes:
    """The file for these patterns, each in a line; they are those of `source`, the bytes of `patterns.toml`."""
    parted = (msgspec.structs.replace(each, parts=parts(each, spaced=each.is_spaced)) for each in patterns)
    lines = b",\n".join(map(msgspec.json.encode, parted))
    return b'{"source": "%s", "patterns": [\n%s\n]}\n' % (_mark(source).encode(), lines)


def read(kept: bytes, source: bytes) -> tuple[Pattern, ...] | None:
    """The patterns in the file; None where it was made of another `source`."""
    found = msgspec.json.decode(kept, type=_Shipped)
    return found.patterns if found.source == _mark(source) else None


def _mark(source: bytes) -> str:
    return blake2b(source, digest_size=16).hexdigest()
