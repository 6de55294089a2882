"""One JSON document: what is known of the run, what was asked, and every row of `results.jsonl`."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from beacon_cli import rows
from beacon_cli.collected import Collection

SCHEMA = 1
"""The version of the document's form. A later one may add fields."""


def export(collection: Collection) -> Iterator[bytes]:
    """The document, a row a line; ASCII, lone surrogates kept as escapes."""
    head = {
        "schema": SCHEMA,
        **collection.about(),
        "sampling": dict(collection.sampling),
        "questions": [msgspec.to_builtins(question) for question in collection.questions.values()],
    }
    yield rows.to_line(head).removesuffix(b"}\n") + b',"answers":['
    separator = b"\n"
    for row in collection.rows():
        yield separator + rows.to_line(dict(row)).rstrip()
        separator = b",\n"
    yield b"\n]}\n"
