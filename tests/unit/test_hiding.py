"""Secrets taken out of what endpoints send, however it is written."""

from __future__ import annotations

import json
import string

from hypothesis import given
from hypothesis import strategies as st

from beacon_cli.executors.hiding import SHORTEST, Secrets

PRINTABLE = "".join(sorted(set(string.printable) - set(string.whitespace)))
KEYS = st.text(PRINTABLE, min_size=SHORTEST, max_size=60)


def written(key: str, ways: list[int]) -> str:
    """The key within a JSON string, each of its characters as it is or escaped."""
    forms = [
        (
            json.dumps(letter)[1:-1],
            f"\\u{ord(letter):04x}",
            f"\\u{ord(letter):04X}",
            "\\/" if letter == "/" else "",
        )
        for letter in key
    ]
    return "".join(choices[way % 4] or choices[0] for choices, way in zip(forms, ways * len(forms), strict=False))


@given(key=KEYS, before=st.text(), after=st.text(), ways=st.lists(st.integers(0, 3), min_size=1, max_size=9))
def test_no_key_is_left_however_json_writes_it(key: str, before: str, after: str, ways: list[int]) -> None:
    """A reader of the body finds no key in it, and the body is JSON still."""
    body = f'{{"a": {json.dumps(before)[:-1]}{written(key, ways)}{json.dumps(after)[1:]}}}'.encode()
    assert key in json.loads(body)["a"]
    read = json.loads(Secrets([key]).out_of(body))["a"]
    assert key not in read.replace(before, "", 1)


@given(body=st.binary(), key=KEYS)
def test_what_holds_no_key_is_left_as_it_is(body: bytes, key: str) -> None:
    """Any other body comes through to the byte."""
    assert Secrets([key]).out_of(body) == body or key.encode() in body or b"\\" in body


@given(key=st.text(PRINTABLE, max_size=SHORTEST - 1), body=st.text())
def test_a_short_key_is_a_word_like_others(key: str, body: str) -> None:
    """What is too short to be a key is left in answers."""
    assert Secrets([key]).out_of((body + key).encode()) == (body + key).encode()


def test_what_an_escape_ends_with_is_no_part_of_a_key() -> None:
    """A key that follows a character written as an escape is taken out, and the escape is left whole."""
    key = "00000000"
    body = f'"\\u0210{key}"'.encode()
    assert json.loads(Secrets([key]).out_of(body)).startswith("\u0210")


def test_a_backslash_in_plain_text_hides_no_key() -> None:
    """In what is no JSON a backslash before the key is a character like others."""
    assert b"never-4711" not in Secrets(["never-4711"]).out_of(b"C:\\never-4711")
