"""What a remote function returned, made into an outcome. The border where foreign data is held to the agreed form.

A good answer is a mapping of JSON types with `response` (text); a failed one has `status: error` and `error`. What
else it holds is provenance. Nothing in it is trusted: neither types, nor sizes, nor depth, nor cycles.
"""

from __future__ import annotations

import math
from typing import Any

from beacon_cli.masking import is_credential, is_suspect, masked
from beacon_cli.model import ErrorKind, Failed, JsonObject, Succeeded

PROVENANCE_BYTES = 64_000
MESSAGE_CHARACTERS = 2_000
DROPPED = "dropped_by_beacon"
"""The key in provenance that names what was left out: credentials, and what was too large."""

_AGREED = frozenset({"response", "error", "status", DROPPED})
_NODES = 50_000
_DEPTH = 40
_LONGEST_INTEGER = 2**63
_NAME_CHARACTERS = 200
_MOST_NAMES = 100
_FEW = 30
_FEW_CHARACTERS = 1_000


def outcome_of(returned: Any, answer_bytes: int) -> Succeeded | Failed:
    """The outcome that `returned` means. An answer over `answer_bytes` of UTF-8 is cut between characters."""
    if type(returned) is not dict:
        return bad_answer(f"the function returned {_kind(returned)} where a mapping is agreed")
    rest = {key: value for key, value in returned.items() if key not in _AGREED}
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
    """A message without credentials, of at most `MESSAGE_CHARACTERS`, whose end says that it was longer."""
    # Cut after masking: half a credential is not known by its looks.
    kept = masked(message[: 4 * MESSAGE_CHARACTERS])
    if len(kept) <= MESSAGE_CHARACTERS and len(message) <= 4 * MESSAGE_CHARACTERS:
        return kept
    return f"{kept[:MESSAGE_CHARACTERS]} [...{len(message) - MESSAGE_CHARACTERS} more characters]"


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


class _Copy:
    """Copies foreign data within limits, without its credentials; adds up its size and names what it left out."""

    def __init__(self) -> None:
        self.size = 0
        """Bytes so far, about those that the data takes as JSON in UTF-8."""
        self.left_out: list[str] = []
        self._nodes = 0

    def of(self, value: Any, depth: int = 0) -> Any:
        """The value, of JSON types alone. A number that JSON does not have (NaN, Infinity) becomes null."""
        self._nodes += 1
        self.size += 8
        if self._nodes > _NODES or depth > _DEPTH:
            raise _NotJson("is nested or branched beyond measure")
        kind = type(value)
        if value is None or kind is bool:
            return value
        if kind is str:
            return self._text(value)
        if kind is float:
            return value if math.isfinite(value) else None
        if kind is int:
            if not -_LONGEST_INTEGER <= value < _LONGEST_INTEGER:
                raise _NotJson("holds an integer of more than 64 bits")
            return value
        if kind is list:
            return [self.of(item, depth + 1) for item in value]
        if kind is dict:
            return {key: self.of(item, depth + 1) for key, item in value.items() if self._keeps(key, item)}
        raise _NotJson(f"holds {_kind(value)}, which is no JSON type")

    def _text(self, text: str) -> str:
        self.size += len(text.encode("utf-8", "surrogatepass"))
        return text

    def _keeps(self, key: Any, value: Any) -> bool:
        if type(key) is not str:
            raise _NotJson("has a key that is not text")
        self._text(key)
        # A number or a flag is a count or a setting: `token: 5`, `password: false`.
        if type(value) in {str, list, dict} and is_credential(key):
            self.left_out.append(key[:_NAME_CHARACTERS])
            return False
        return True


def _provenance(rest: dict[Any, Any]) -> JsonObject:
    return _harmless(rest) or _held_to_limits(rest)


def _harmless(rest: dict[Any, Any], *, nested: bool = False) -> JsonObject | None:
    """A copy of what is small, flat but for one level, and holds nothing to be masked or left out, as most are.

    None where any of that is in doubt: `_held_to_limits` looks closer.
    """
    kept: JsonObject = {}
    texts: list[str] = []
    for key, value in rest.items():
        kind = type(value)
        if type(key) is not str or (kind in {str, dict} and is_credential(key)):
            return None
        texts.append(key)
        if kind is str:
            texts.append(value)
            kept[key] = value
        elif kind is dict and not nested and (inner := _harmless(value, nested=True)) is not None:
            kept[key] = inner
        elif _is_plain(value):
            kept[key] = value
        else:
            return None
    said = "\n".join(texts)
    return kept if len(said) <= _FEW_CHARACTERS and len(rest) <= _FEW and not is_suspect(said) else None


def _is_plain(value: Any) -> bool:
    if type(value) is int:
        return -_LONGEST_INTEGER <= value < _LONGEST_INTEGER
    return value is None or type(value) is bool or (type(value) is float and math.isfinite(value))


def _held_to_limits(rest: dict[Any, Any]) -> JsonObject:
    copy = _Copy()
    kept: JsonObject = {}
    sizes: dict[str, int] = {}
    for key, value in rest.items():
        before = copy.size
        kept |= copy.of({key: value})
        sizes[key] = copy.size - before
    dropped = copy.left_out
    total = copy.size
    while total > PROVENANCE_BYTES:
        largest = max(sizes, key=lambda key: sizes[key])
        total -= sizes.pop(largest)
        if largest in kept:
            del kept[largest]
            dropped.append(largest[:_NAME_CHARACTERS])
    if dropped:
        kept[DROPPED] = dropped[:_MOST_NAMES]
    return {masked(key): _masked(value) for key, value in kept.items()}


def _masked(value: Any) -> Any:
    """The value, small already, with credentials masked in all of its texts."""
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, list):
        return [_masked(item) for item in value]
    if isinstance(value, dict):
        return {masked(key): _masked(item) for key, item in value.items()}
    return value


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    name = type(value).__name__[:_NAME_CHARACTERS]
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"
