"""What is wrong, and where: pydantic's errors in plain words, and every complaint as a fault with its place.

Must not know which complaints there are beyond a job file's form: `checks` finds those of its sense.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, get_args

import msgspec
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from beacon_cli.errors import Fault
from beacon_cli.names import printable, quoted, suggestion
from beacon_cli.spec.job import Part, QuestionFilePart
from beacon_cli.spec.source import Document, Loc, fault, key_path
from beacon_cli.templates import ARGUMENT_NAMES

MOST_FAULTS = 100
"""Nobody mends more at once."""

_WORDS = {
    "missing": "is missing",
    "string_type": "must be text",
    "list_type": "must be a list",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "too_short": "must not be empty",
    "float_type": "must be a number",
    "int_type": "must be a whole number",
    "bool_type": "must be true or false",
    "is_instance_of": "must be a word",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
}
_ROOT = {
    "list_type": "must be a list of questions",
    "model_type": "must be a mapping with id, regions, models, …",
}
_LIMITS = frozenset({"gt", "ge", "le"})


class Complaint(msgspec.Struct, frozen=True):
    """What is wrong with the value at `loc`, or with its key."""

    loc: Loc
    message: str
    on_key: bool = False


def shape(document: Document, form: type[BaseModel], part: type[Part]) -> tuple[Any, list[Complaint]]:
    """The document as `form`, or None and what stands in the way. Unknown keys are compared with `part`'s."""
    try:
        return form.model_validate(document.tree), []
    except ValidationError as error:
        return None, first(_complaint(details, part) for details in error.errors(include_url=False))


def first(complaints: Iterable[Complaint]) -> list[Complaint]:
    """As many as can be shown and one more, so that a flood costs nothing: each may look for the nearest name."""
    return list(islice(complaints, MOST_FAULTS + 1))


def faults(document: Document, complaints: Iterable[Complaint]) -> list[Fault]:
    """The document's own faults and these complaints, by place, `MOST_FAULTS` of them at most."""
    found = list(document.faults)
    for complaint in complaints:
        place = document.place(complaint.loc, key=complaint.on_key)
        found.append(fault(document.file, place, complaint.message, key_path(complaint.loc)))
    found.sort(key=lambda each: (each.line or 0, each.column or 0, each.key, each.message))
    if len(found) > MOST_FAULTS:
        more = Fault(file=found[0].file, message="there are more faults; mend these first")
        found = [*found[:MOST_FAULTS], more]
    return found


def _complaint(details: ErrorDetails, part: type[Part]) -> Complaint:
    kind, value = details["type"], details["input"]
    if kind == "extra_forbidden":
        key = str(details["loc"][-1])
        known = _keys(part, details["loc"][:-1])
        return Complaint(_plain(details["loc"]), f"unknown key{suggestion(key, known)}", on_key=True)
    return Complaint(_plain(details["loc"]), _message(details, kind, value), on_key="[key]" in details["loc"])


def _message(details: ErrorDetails, kind: str, value: Any) -> str:
    if kind == "value_error":
        return str(details["ctx"]["error"])
    if not details["loc"] and kind in _ROOT:
        return _ROOT[kind]
    if kind != "missing" and value is None:
        return "must not be empty"
    limits = {name: f"{limit:,}" for name, limit in details.get("ctx", {}).items() if name in _LIMITS}
    words = _WORDS[kind].format_map(limits) if kind in _WORDS else printable(details["msg"])
    if isinstance(value, dict):
        return words + unquoted(value)
    if isinstance(value, str):
        return f"{words}, not {printable(value, most=60) if limits else quoted(value)}"
    return words


def unquoted(value: dict[str, Any]) -> str:
    """What to add where YAML took a placeholder without quotes for a mapping."""
    name = next(iter(value), "")
    if len(value) == 1 and value[name] is None and name in ARGUMENT_NAMES:
        return f'; put the placeholder in quotes: "{{{name}}}"'
    return ""


def _keys(part: type[Part], loc: Loc) -> list[str]:
    """The keys that may stand in the mapping at `loc`."""
    for step in loc:
        if step == "<file>":
            part = QuestionFilePart
        elif step in part.model_fields:
            part = next(_parts(part.model_fields[str(step)].annotation), part)
    return list(part.model_fields)


def _parts(annotation: Any) -> Iterator[type[Part]]:
    if isinstance(annotation, type) and issubclass(annotation, Part):
        yield annotation
    for inner in get_args(annotation):
        yield from _parts(inner)


def _plain(loc: Loc) -> Loc:
    """`loc` without the marks that pydantic puts between the keys."""
    return tuple(step for step in loc if step not in {"<list>", "<file>", "[key]"})
