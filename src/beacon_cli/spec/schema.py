"""What editors and beginners get: the JSON Schema of a job file, and a commented job file to start from."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from beacon_cli.model import JsonObject
from beacon_cli.spec.job import Job

_BOUNDS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum"}
_UNITS = ((3600, "h"), (60, "m"), (1, "s"))


def json_schema() -> JsonObject:
    """The JSON Schema (draft 2020-12) of a job file as people write it: durations are strings with a unit.

    It knows the form alone. Names, limits and placeholders are checked when the job is loaded.
    """
    schema = Job.model_json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "beacon job",
        **_tidy({key: value for key, value in schema.items() if key != "title"}),
    }


def template() -> str:
    """A commented job file that loads as it is."""
    return (files("beacon_cli.spec") / "template.yaml").read_text(encoding="utf-8")


def _tidy(node: Any, *, names: bool = False) -> Any:
    """Bounds in JSON Schema's words, and no titles that only repeat a name. `names`: the keys are a job's own."""
    if isinstance(node, list):
        return [_tidy(item) for item in node]
    if not isinstance(node, dict):
        return node
    if names:
        return {key: _tidy(item) for key, item in node.items()}
    duration = "pattern" in node
    tidy: JsonObject = {}
    for key, value in node.items():
        if key == "title" or (key in _BOUNDS and duration) or (key == "default" and value is None):
            continue
        if key == "default" and duration:
            tidy[key] = _written(value)
        else:
            word: str = _BOUNDS.get(key) or key
            tidy[word] = _tidy(value, names=key in {"properties", "$defs"})
    return tidy


def _written(seconds: float) -> str:
    """A duration as people write it, in the largest unit that leaves no rest."""
    size, unit = next((size, unit) for size, unit in _UNITS if seconds % size == 0)
    return f"{seconds / size:g}{unit}"
