"""Placeholders: `{model.id}` in a job file's strings, filled once and never again. Pure; knows `model` alone.

A placeholder is a lower-case dotted name in braces; every other brace stays as typed, and `{{name}}` gives
`{name}`. A string that is exactly one placeholder takes the value with its type.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from beacon_cli.model import Context, Execution, Model, Region, Sampling

_PLACEHOLDER = re.compile(r"\{\{([a-z_][a-z0-9_.]*)\}\}|\{([a-z_][a-z0-9_]*(?:\.[a-z_][a-z0-9_]*)*)\}")

CELL_NAMES = ("region.id", "region.app", "region.place", "model.id")
"""What may stand where only region and model are known: app, function, class, method and parameters."""

PROMPT_NAMES = ("region.id", "region.place", "model.id")
"""What may stand in a system prompt."""

ARGUMENT_NAMES = (
    *CELL_NAMES,
    "prompt",
    "system_prompt",
    "question.id",
    "question.category",
    "context.id",
    "repeat",
    "execution.id",
    "attempt",
    "sampling.temperature",
    "sampling.max_tokens",
    "sampling.seed",
    "sampling.top_p",
)
"""What may stand in an argument."""


def names(value: Any) -> Iterator[str]:
    """The placeholders in a string, or in the strings of nested lists and mappings, in order."""
    if isinstance(value, str):
        yield from (match[2] for match in _PLACEHOLDER.finditer(value) if match[2])
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from names(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from names(item)


def fill(value: Any, values: Mapping[str, Any]) -> Any:
    """`value` with its placeholders replaced by `values`; what was put in is not looked at again.

    Raises:
        KeyError: a placeholder that `values` lacks; the spec has refused it before.
    """
    if isinstance(value, str):
        whole = _PLACEHOLDER.fullmatch(value)
        if whole and whole[2]:
            return values[whole[2]]
        return _PLACEHOLDER.sub(lambda match: str(values[match[2]]) if match[2] else "{" + match[1] + "}", value)
    if isinstance(value, Mapping):
        return {key: fill(item, values) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [fill(item, values) for item in value]
    return value


def cell_values(region: Region, model: Model) -> dict[str, Any]:
    """The values of `CELL_NAMES`."""
    return {
        "region.id": region.id,
        "region.app": region.app,
        "region.place": region.place,
        "model.id": model.id,
    }


def argument_values(execution: Execution, attempt: int, sampling: Sampling) -> dict[str, Any]:
    """The values of `ARGUMENT_NAMES` for one attempt."""
    context: Context | None = execution.context
    return {
        **cell_values(execution.region, execution.model),
        "prompt": execution.question.text,
        "system_prompt": execution.system_prompt,
        "question.id": execution.question.id,
        "question.category": execution.question.category,
        "context.id": context.id if context else None,
        "repeat": execution.repeat,
        "execution.id": execution.id,
        "attempt": attempt,
        "sampling.temperature": sampling.temperature,
        "sampling.max_tokens": sampling.max_tokens,
        "sampling.seed": sampling.seed,
        "sampling.top_p": sampling.top_p,
    }
