"""The kinds of value that a job file holds, each from the text that was typed to what it means.

Must not know which key holds what. A scalar is read by the kind that its place wants: `010`, `NO` and `1:30` are
text where text is wanted; a number in quotes is no number. Every complaint is a ValueError in plain words that
reads on after the key's name.
"""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, TypeAlias

from pydantic import AfterValidator, BeforeValidator, PlainValidator, WithJsonSchema

from beacon_cli import hours
from beacon_cli.model import Measure, Schedule
from beacon_cli.names import quoted, suggestion
from beacon_cli.spec.source import Plain

LONGEST_ID = 200
LONGEST_DURATION = 30 * 24 * 3600.0
MOST_AT_ENDPOINTS = 1_000
"""Executions in flight at endpoints, which take no GPU of the workspace."""

_WHOLE = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"[-+]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]{1,3})?")
_DURATION = re.compile(
    r"(?=[0-9])"
    r"(?:([0-9]{1,6}(?:\.[0-9]{1,6})?)h)?"
    r"(?:([0-9]{1,6}(?:\.[0-9]{1,6})?)m)?"
    r"(?:([0-9]{1,9}(?:\.[0-9]{1,6})?)s)?"
    r"(?:([0-9]{1,9}(?:\.[0-9]{1,6})?)ms)?"
)
_SECONDS = (3600.0, 60.0, 1.0, 0.001)
_DIGITS = 20
"""The longest number in 64 bits, its sign included."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,200}")


def text(value: str) -> str:
    """Text for people or models: anything but nothing.

    Raises:
        ValueError: only blanks, or text that UTF-8 cannot carry.
    """
    if not value.strip():
        raise ValueError("must not be empty")
    return _carried(value)


def label(value: str) -> str:
    """An id, or another short name: printable characters of any script.

    Raises:
        ValueError: it breaks the rule, which the message states.
    """
    if not value:
        raise ValueError("must not be empty")
    if len(value) > LONGEST_ID or not value.isprintable() or value != value.strip():
        raise ValueError(
            f"{quoted(value)} cannot be used: it must have 1 to {LONGEST_ID} printable characters "
            "and may not begin or end with a space"
        )
    return str(value)


def argument_name(value: str) -> str:
    """The name of an argument or a parameter, as Python writes them.

    Raises:
        ValueError: it is no such name.
    """
    if not _NAME.fullmatch(value) or len(value) > LONGEST_ID:
        raise ValueError(f"{quoted(value)} is no name for an argument; use letters, digits and underscores")
    return str(value)


def header_name(value: str) -> str:
    """The name of an HTTP header.

    Raises:
        ValueError: it is no such name.
    """
    if not _HEADER.fullmatch(value):
        raise ValueError(f"{quoted(value)} is no name for a header")
    return str(value)


def by_region(value: Any) -> Any:
    """One word for all regions, or a mapping from region to word.

    Raises:
        ValueError: neither.
    """
    if isinstance(value, str):
        return _unsaid(value)
    if isinstance(value, dict) and value and all(isinstance(word, str) for word in value.values()):
        return {label(region): _unsaid(word) for region, word in value.items()}
    raise ValueError("must be text, or a mapping from region to text")


def decimal(value: Any) -> Any:
    """A number as typed, without quotes, to a float; what is not a scalar is left for pydantic to refuse.

    Raises:
        ValueError: a scalar that is no number.
    """
    if not isinstance(value, str):
        return value
    number = float(value) if isinstance(value, Plain) and _DECIMAL.fullmatch(value) else math.nan
    if not math.isfinite(number):
        raise ValueError(_no_number("a number", value))
    return number


def whole(value: Any) -> Any:
    """A whole number as typed, without quotes, to an int; what is not a scalar is left for pydantic to refuse.

    Raises:
        ValueError: a scalar that is no whole number.
    """
    if not isinstance(value, str):
        return value
    if not isinstance(value, Plain) or not _WHOLE.fullmatch(value):
        raise ValueError(_no_number("a whole number", value))
    return _in_64_bits(value)


def flag(value: Any) -> Any:
    """`true` or `false`; what is not a scalar is left for pydantic to refuse.

    Raises:
        ValueError: another scalar.
    """
    if not isinstance(value, str):
        return value
    if not isinstance(value, Plain) or value not in {"true", "false"}:
        raise ValueError(f"must be true or false, not {quoted(value)}")
    return value == "true"


def seconds(value: Any) -> Any:
    """A duration such as `200ms`, `2s`, `15m`, `1h` or `1h30m` in seconds.

    Raises:
        ValueError: it is none, or longer than `LONGEST_DURATION`.
    """
    if not isinstance(value, str):
        raise ValueError("must be a duration such as 200ms, 2s, 15m or 1h")  # noqa: TRY004 - pydantic wants this one
    match = _DURATION.fullmatch(value)
    if match is None:
        unit = f"; did you mean {value}s?" if _WHOLE.fullmatch(value) else ""
        raise ValueError(f"must be a duration such as 200ms, 2s, 15m or 1h, not {quoted(value)}{unit}")
    total = sum(float(part) * unit for part, unit in zip(match.groups(), _SECONDS, strict=True) if part)
    if total > LONGEST_DURATION:
        raise ValueError("must be at most 30 days (720h)")
    return total


def schedule(value: Any) -> Any:
    """One of the schedules by name; what is not a scalar is left for pydantic to refuse.

    Raises:
        ValueError: there is no such schedule.
    """
    if not isinstance(value, str):
        return value
    known = [str(item.value) for item in Schedule]
    if value not in known:
        raise ValueError(f"unknown schedule {quoted(value)}{suggestion(value, known)}")
    return Schedule(value)


def measure(value: Any) -> Any:
    """One of the measures by name; what is not a scalar is left for pydantic to refuse.

    Raises:
        ValueError: there is no such measure.
    """
    if not isinstance(value, str):
        return value
    known = [str(item.value) for item in Measure]
    if value not in known:
        raise ValueError(f"unknown measure {quoted(value)}{suggestion(value, known)}; known: {', '.join(known)}")
    return Measure(value)


def _unsaid(value: str) -> str:
    """A label, whose complaint does not repeat what may be a credential."""
    try:
        return label(value)
    except ValueError:
        raise ValueError("must be printable text of one line") from None


def free(value: Any) -> Any:
    """A value whose kind nobody prescribes, as JSON types: plain scalars are numbers, true, false or else text.

    Raises:
        ValueError: text that UTF-8 cannot carry, or a number beyond 64 bits.
    """
    if isinstance(value, Plain):
        return _resolved(value)
    if isinstance(value, str):
        return _carried(value)
    if isinstance(value, dict):
        return {_carried(key): free(item) for key, item in value.items()}
    if isinstance(value, list):
        return [free(item) for item in value]
    return value


def _resolved(value: Plain) -> Any:
    if value in {"true", "false"}:
        return value == "true"
    if _WHOLE.fullmatch(value):
        return _in_64_bits(value)
    if _DECIMAL.fullmatch(value) and math.isfinite(float(value)):
        return float(value)
    return _carried(value)


def _in_64_bits(value: str) -> int:
    number = int(value) if len(value) <= _DIGITS else None
    if number is None or not -(2**63) <= number < 2**63:
        raise ValueError(f"the number {quoted(value)} does not fit into 64 bits")
    return number


def _no_number(wanted: str, value: str) -> str:
    if not isinstance(value, Plain) and _DECIMAL.fullmatch(value):
        return f"must be {wanted}; take the quotes off {quoted(value)}"
    return f"must be {wanted}, not {quoted(value)}"


def _carried(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        half = quoted(value[error.start])
        raise ValueError(f"holds {half}, half a character, which UTF-8 cannot carry") from None
    return str(value)


# Editors read `010` as a number and `no` as false: the schema lets them stand where beacon reads text.
_TYPED = ["string", "number", "boolean"]

Text: TypeAlias = Annotated[str, AfterValidator(text), WithJsonSchema({"type": _TYPED})]
Label: TypeAlias = Annotated[str, AfterValidator(label), WithJsonSchema({"type": _TYPED})]
Word: TypeAlias = Annotated[str, AfterValidator(label), WithJsonSchema({"type": "string", "minLength": 1})]
Decimal: TypeAlias = Annotated[float, BeforeValidator(decimal)]
Whole: TypeAlias = Annotated[int, BeforeValidator(whole)]
Flag: TypeAlias = Annotated[bool, BeforeValidator(flag)]
ScheduleName: TypeAlias = Annotated[Schedule, BeforeValidator(schedule)]
MeasureName: TypeAlias = Annotated[Measure, BeforeValidator(measure)]
ArgumentName: TypeAlias = Annotated[str, AfterValidator(argument_name)]
HeaderName: TypeAlias = Annotated[str, AfterValidator(header_name)]
ByRegion: TypeAlias = Annotated[
    str | dict[str, str],
    PlainValidator(by_region),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "minLength": 1},
                {"type": "object", "additionalProperties": {"type": "string"}, "minProperties": 1},
            ]
        }
    ),
]
Json: TypeAlias = Annotated[Any, PlainValidator(free), WithJsonSchema({})]


def business_hours(value: str) -> str:
    """Business hours, in one form.

    Raises:
        ValueError: it breaks the form, which the message states.
    """
    hours.parse(value)
    return " ".join(value.split())


HoursText: TypeAlias = Annotated[Word, AfterValidator(business_hours)]

Duration: TypeAlias = Annotated[
    float,
    BeforeValidator(seconds),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^(?=[0-9])([0-9.]+h)?([0-9.]+m)?([0-9.]+s)?([0-9.]+ms)?$",
            "examples": ["15m"],
        }
    ),
]
