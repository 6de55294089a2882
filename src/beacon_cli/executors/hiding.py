"""The secrets that an endpoint is given, taken out of whatever it sends back. Pure.

Must not know where they come from. An answer is evidence: a short value that stands in it by chance stays.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from beacon_cli.masking import MASK, masked

SHORTEST = 8
"""Servers of one's own take any word as a key (`EMPTY`, `ollama`): below this many characters it is none."""

_DEEPEST = 8
"""Backslashes before a character that is escaped several times, as in an error that a gateway quotes."""
_SECRETIVE = re.compile("key|token|auth|secret|pass|cookie|cred|session|bearer|sign", re.IGNORECASE)


def is_secretive(*names: str) -> bool:
    """Whether any of these names, of a header or of a variable, says that a credential is behind it."""
    return any(_SECRETIVE.search(name) for name in names)


class Secrets:
    """Texts that may stand nowhere but in a request."""

    def __init__(self, values: Iterable[str]) -> None:
        self._values = tuple(dict.fromkeys(value for value in values if len(value) >= SHORTEST))
        self._forms = [_Form(value) for value in self._values]

    def out_of(self, body: bytes) -> bytes:
        """The body with a mask in the place of each, in plain or as JSON may escape it."""
        for form in self._forms:
            body = form.out_of(body)
        return body

    def masked(self, text: str) -> str:
        """The text without them, nor whatever else looks like a credential."""
        return masked(text, self._values)


class _Form:
    """One secret, of printable ASCII, as it may be written in JSON."""

    def __init__(self, value: str) -> None:
        self._plain = value.encode()
        own = rb'|["\\]' if set(value) & {'"', "\\"} else b""
        self._escape = re.compile(rb"\\(?:/|u00[2-7]" + own + rb")")
        whole = b"".join(_written(letter) for letter in self._plain)
        # Other escapes are stepped over whole: what begins within one is not this secret.
        self._any = re.compile(b"(" + whole + rb")|\\(?:u[0-9A-Fa-f]{4}|[\"\\/bfnrt])")

    def out_of(self, body: bytes) -> bytes:
        if self._plain in body or self._escape.search(body):
            body = self._any.sub(lambda match: MASK.encode() if match[1] else match[0], body)
            return body.replace(self._plain, MASK.encode())  # in what is no JSON a backslash may stand before it
        return body


def _written(letter: int) -> bytes:
    """A pattern of every way in which JSON writes this character, and JSON within JSON, and of itself."""
    plain = re.escape(bytes([letter]))
    slashed = rb"\\{0,%d}" % _DEEPEST if chr(letter) in '/"' else b""
    if chr(letter) == "\\":
        slashed = rb"\\?"  # several in a row, each with many before it, would be looked for without end
    return rb"(?:%b%b|\\{1,%d}u(?i:%04x))" % (slashed, plain, _DEEPEST, letter)
