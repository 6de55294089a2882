"""What a client posts, as a job file: checked like any other, and as one from outside.

JSON is read as JSON and written down anew, so that a job file is YAML whatever it came as. Must not know HTTP
beyond a body and its type.
"""

from __future__ import annotations

import json
import re
from typing import Annotated, Any

import msgspec

from beacon_cli import wiring
from beacon_cli.errors import Fault, SpecError
from beacon_cli.model import Spec
from beacon_cli.names import printable
from beacon_cli.plan import Plan
from beacon_cli.priming import prime
from beacon_cli.settings import Settings

JSON = "application/json"
YAML = frozenset({"application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml"})
"""The types of a body that is a job file."""

_FILE = "job"
_HIDDEN = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
"""What JSON lets stand in a text and YAML does not, or folds."""
_DEEPEST = 60
_FIELDS = {
    "regions[0]": "region",
    "models[0].id": "model",
    "models[0]": "model",
    "questions[0].text": "prompt",
    "sampling.temperature": "temperature",
    "sampling.max_tokens": "max_tokens",
}
"""Where the fields of `Inference` stand in its job."""


class Inference(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One question, as the original system's router took it; `executor` names one of the server's."""

    model: str
    prompt: str
    region: str
    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] | None = None
    max_tokens: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] | None = None
    executor: str = "default"


prime(Inference)


MOST_EXECUTIONS = 100_000
"""Of one posted job: a few lines can say as many as no machine can hold."""


class Posted(msgspec.Struct, frozen=True):
    """A job that was posted: the file to keep, and what it says."""

    file: bytes
    spec: Spec


def job(body: bytes, content_type: str, allowed: Settings) -> Posted:
    """The job in the body of a request of this type, one of `JSON` and `YAML`.

    Raises:
        SpecError: it is wrong; every fault is named, with its place where that is one of the body.
    """
    if content_type != JSON:
        return _sized(Posted(body, wiring.foreign_job(body, _FILE, allowed)))
    file = written(_json(body))
    try:
        return _sized(Posted(file, wiring.foreign_job(file, _FILE, allowed)))
    except SpecError as error:
        raise SpecError(tuple(_placeless(fault) for fault in error.faults)) from None


def _sized(posted: Posted) -> Posted:
    if (planned := sum(Plan(posted.spec).planned.values())) > MOST_EXECUTIONS:
        message = f"it has {planned:,} executions; a posted job may have {MOST_EXECUTIONS:,} at most"
        raise SpecError((Fault(file=_FILE, message=message),))
    return posted


def question(body: bytes, allowed: Settings) -> Posted:
    """The job with the one question in the body of a request.

    Raises:
        SpecError: it is wrong; every fault is named by its field.
    """
    try:
        asked = msgspec.json.decode(body, type=Inference)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SpecError((Fault(file=_FILE, message=printable(str(error))),)) from None
    sampling = {"temperature": asked.temperature, "max_tokens": asked.max_tokens}
    file = written(
        {
            "id": "inference",
            "regions": [asked.region],
            "models": [asked.model],
            "questions": [{"id": "prompt", "text": asked.prompt}],
            "sampling": {name: value for name, value in sampling.items() if value is not None} or None,
            "executor": asked.executor,
        }
    )
    try:
        return Posted(file, wiring.foreign_job(file, _FILE, allowed))
    except SpecError as error:
        raise SpecError(tuple(_of_a_field(fault) for fault in error.faults)) from None


def written(value: Any) -> bytes:
    """JSON types as a file that is JSON and YAML alike, and means the same as both.

    Raises:
        SpecError: a text in it holds half a character, or a number is none.
    """
    try:
        text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
        text.encode()
    except UnicodeEncodeError:
        fault = Fault(file=_FILE, message="a text holds half a character, which UTF-8 cannot carry")
        raise SpecError((fault,)) from None
    except ValueError:
        raise SpecError((Fault(file=_FILE, message="a number is too large"),)) from None
    return _HIDDEN.sub(lambda match: f"\\u{ord(match[0]):04x}", text).encode() + b"\n"


def _json(body: bytes) -> Any:
    try:
        value = json.loads(body, object_pairs_hook=_mapping, parse_constant=_no_number)
        _measure(value, _DEEPEST)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else printable(str(error))
        raise SpecError((Fault(file=_FILE, message=f"is not valid JSON: {reason}"),)) from None
    return value


def _mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is given twice")
    return found


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number")


def _measure(value: Any, left: int) -> None:
    if not left:
        raise RecursionError
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _measure(item, left - 1)


def _placeless(fault: Fault) -> Fault:
    return fault._replace(line=None, column=None)


def _of_a_field(fault: Fault) -> Fault:
    return _placeless(fault)._replace(key=_FIELDS.get(fault.key, fault.key))
