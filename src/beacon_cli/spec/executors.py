"""The executor that a job names: a block of the configuration in the place of its name.

A block of the configuration is made for many jobs. It is narrowed to what the job has: its regions, its models,
and the arguments that stand for something that it sets. Must not know where the blocks come from.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from beacon_cli import templates
from beacon_cli.model import JsonObject
from beacon_cli.names import RegionNames, quoted, suggestion
from beacon_cli.settings import DEFAULT_EXECUTOR
from beacon_cli.spec.checks import SETTINGS, find
from beacon_cli.spec.complaints import Complaint
from beacon_cli.spec.source import Block, Document, Items, Place, Plain

_LOC = ("executor",)


def settled(
    document: Document, executors: Mapping[str, JsonObject], names: RegionNames, *, foreign: bool
) -> tuple[Document, list[Complaint]]:
    """The document with the block that its executor's name stands for, and what is wrong with that.

    A `foreign` job may have no block of its own.
    """
    named = find(document.tree, *_LOC)
    known = [DEFAULT_EXECUTOR, *executors]
    if isinstance(named, str):
        if named in executors:
            block = _narrowed(executors[named], document.tree, names)
            if find(block, "openai", "base_url") == {}:
                nowhere = Complaint(_LOC, f"the executor {quoted(named)} has no address for the job's regions")
                return _with(document, None), [nowhere]
            return _with(document, planted(block, document.place(_LOC))), []
        complaint = Complaint(_LOC, f"unknown executor {quoted(named)}{suggestion(named, known)}")
        return _with(document, None), [] if named == DEFAULT_EXECUTOR else [complaint]
    if foreign and named is not None:
        message = f"a job from outside may have no executor of its own; name one of these: {', '.join(known)}"
        return _with(document, None), [Complaint(_LOC, message)]
    return document, []


def planted(value: Any, place: Place) -> Any:
    """JSON types as a parsed file has them, all of it at one place."""
    match value:
        case dict():
            block = Block()
            for key, item in value.items():
                block[str(key)] = planted(item, place)
                block.at[str(key)] = (place, place)
            return block
        case list():
            items = Items()
            items.extend(planted(item, place) for item in value)
            items.at = [place] * len(items)
            return items
        case bool():
            return Plain(str(value).lower())
        case int() | float():
            return Plain(repr(value))
    return value


def _with(document: Document, executor: Any) -> Document:
    tree = Block()
    tree.update(document.tree, executor=executor)
    tree.at = document.tree.at
    return msgspec.structs.replace(document, tree=tree)


def _narrowed(executor: JsonObject, tree: Any, names: RegionNames) -> JsonObject:
    """The block without what the job has nothing for."""
    kind, block = next(iter(executor.items()))
    if not isinstance(block, dict):
        return executor
    regions = {each.id for name in _listed(tree, "regions") if (each := names.get(name))}
    models = set(_listed(tree, "models"))
    narrowed = dict(block)
    for key in ("base_url", "api_key_env"):
        if isinstance(given := block.get(key), dict):
            narrowed[key] = {name: word for name, word in given.items() if _id(names, name) in regions}
    if narrowed.get("api_key_env") == {}:
        del narrowed["api_key_env"]
    if isinstance(given := block.get("models"), dict):
        narrowed["models"] = {name: word for name, word in given.items() if name in models}
    if isinstance(given := block.get("arguments"), dict):
        narrowed["arguments"] = {name: value for name, value in given.items() if _stands(value, tree)}
    return {kind: narrowed}


def _id(names: RegionNames, name: str) -> str | None:
    region = names.get(name)
    return region.id if region else None


def _listed(tree: Any, key: str) -> list[str]:
    """The names, or the ids, in one of the job's lists."""
    items = find(tree, key)
    named = (
        (item if isinstance(item, str) else find(item, "id") for item in items) if isinstance(items, Items) else ()
    )
    return [name for name in named if isinstance(name, str)]


def _stands(value: Any, tree: Any) -> bool:
    """Whether the job sets whatever an argument's placeholders stand for."""
    for name in templates.names(value):
        settings = [loc for loc, carriers in SETTINGS.values() if name in carriers]
        if settings and all(find(tree, *loc) in (None, []) for loc in settings):
            return False
    return True
