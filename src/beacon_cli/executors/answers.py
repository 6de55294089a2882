"""What a remote function returned, made into an outcome. The border where foreign data is held to the agreed form.

A good answer is a mapping of JSON types with `response` (text); a failed one has `status: error` and `error`. What
else it holds is provenance. Nothing in it is trusted: neither types, nor sizes, nor depth, nor cycles.
"""

from __future__ import annotations

import re
from typing import Any

from beacon_cli.model import ErrorKind, Failed, Succeeded

PROVENANCE_BYTES = 64_000
MESSAGE_CHARACTERS = 2_000
DROPPED = "dropped_by_beacon"
"""The key in provenance that names what was left out: secrets, and what was too large."""

_NODES = 50_000
_DEPTH = 40
_LONGEST_INTEGER = 2**63
_NAME_CHARACTERS = 200
_SECRET = re.compile(
    r"(token|secret|password|passwd|credentials?|authorization|cookie|private_?key|api_?key)$|^(token|secret)_",
    re.IGNORECASE,
)


def outcome_of(returned: Any, answer_bytes: int) -> Succeeded | Failed:
    """The outcome that `returned` means. An answer over `answer_bytes` of UTF-8 is cut between characters."""
    if type(returned) is not dict:
        return bad_answer(f"the function returned {_kind(returned)} where a mapping is agreed")
    rest = {key: value for key, value in returned.items() if key not in {"response", "error", "status"}}
    try:
        provenance = _provenance(rest)
    except _NotJson as error:
        return bad_answer(f"the function's answer {error}")
    if returned.get("status") == "error":
        said = returned.get("error")
        message = said if type(said) is str and said else "the function failed and did not say why"
        return Failed(kind=ErrorKind.MODEL, message=shorten(message), transient=True, provenance=provenance)
    response = returned.get("response")
    if type(response) is not str:
        problem = f"`response` is {_kind(response)}" if "response" in returned else "there is no `response`"
        return bad_answer(f"{problem} where text is agreed")
    container = provenance.pop("container", None)
    if type(container) is not str:
        container = provenance.pop("task_id", None)
    cold = provenance.pop("cold_start", None)
    text, cut_from = cut(response, answer_bytes)
    return Succeeded(
        response=text,
        container=container[:_NAME_CHARACTERS] if type(container) is str else None,
        cold_start=cold if type(cold) is bool else None,
        cut_from=cut_from,
        provenance=provenance,
    )


def bad_answer(message: str) -> Failed:
    """The failure of an answer that is not of the agreed form: asking again would give another such."""
    return Failed(kind=ErrorKind.BAD_ANSWER, message=shorten(message), transient=False)


def shorten(message: str) -> str:
    """A message of at most `MESSAGE_CHARACTERS`, whose end says that it was longer."""
    if len(message) <= MESSAGE_CHARACTERS:
        return message
    return f"{message[:MESSAGE_CHARACTERS]} [...{len(message) - MESSAGE_CHARACTERS} more characters]"


def cut(text: str, most: int) -> tuple[str, int | None]:
    """`text`, at most `most` bytes of UTF-8 of it, and its whole length in bytes where it was cut."""
    if len(text) * 4 <= most:
        return text, None
    encoded = text.encode("utf-8", "surrogatepass")
    if len(encoded) <= most:
        return text, None
    end = most
    while end and encoded[end] & 0xC0 == 0x80:  # noqa: PLR2004 - the bytes within a UTF-8 character
        end -= 1
    return encoded[:end].decode("utf-8", "surrogatepass"), len(encoded)


class _NotJson(Exception):
    """Says what is in the data that JSON has no word for."""


class _Gauge:
    """Walks foreign data within limits; adds up its approximate size and names the secrets that it takes out."""

    def __init__(self) -> None:
        self.nodes = 0
        self.secrets: list[str] = []

    def size(self, value: Any, depth: int = 0) -> int:
        """The approximate size of `value` in bytes; secrets within it are removed."""
        self.nodes += 1
        if self.nodes > _NODES or depth > _DEPTH:
            raise _NotJson("is nested or branched beyond measure")
        kind = type(value)
        if kind is str:
            return len(value) + 2
        if value is None or kind is bool or kind is float:
            return 8
        if kind is int:
            if not -_LONGEST_INTEGER <= value < _LONGEST_INTEGER:
                raise _NotJson("holds an integer of more than 64 bits")
            return 20
        if kind is list:
            return sum(self.size(item, depth + 1) + 1 for item in value)
        if kind is dict:
            self.purge(value)
            return sum(len(key) + 4 + self.size(item, depth + 1) for key, item in value.items())
        raise _NotJson(f"holds {_kind(value)}, which is no JSON type")

    def purge(self, mapping: dict[Any, Any]) -> None:
        """Take out what is named like a secret."""
        for key in list(mapping):
            if type(key) is not str:
                raise _NotJson("has a key that is not text")
            if type(mapping[key]) is str and _SECRET.search(key):
                del mapping[key]
                self.secrets.append(key[:_NAME_CHARACTERS])


def _provenance(rest: dict[Any, Any]) -> dict[str, Any]:
    gauge = _Gauge()
    gauge.purge(rest)
    sizes = {key: len(key) + 4 + gauge.size(value) for key, value in rest.items()}
    dropped = gauge.secrets
    total = sum(sizes.values())
    while total > PROVENANCE_BYTES:
        largest = max(sizes, key=lambda key: sizes[key])
        total -= sizes.pop(largest)
        del rest[largest]
        dropped.append(largest[:_NAME_CHARACTERS])
    if dropped:
        rest[DROPPED] = dropped[:100]
    return rest


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    name = type(value).__name__[:_NAME_CHARACTERS]
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"
