"""Whether a job makes sense: names that are known and unique, limits that are allowed, placeholders that hold.

Each check reads the document as it was written and passes over what has the wrong form, so that all faults are
found at once. Must not know how a job file is read or what becomes of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from beacon_cli import templates
from beacon_cli.names import RegionNames, quoted, suggestion
from beacon_cli.spec.complaints import Complaint, unquoted
from beacon_cli.spec.source import Document, Items, Loc
from beacon_cli.spec.values import MOST_AT_ENDPOINTS, whole

SETTINGS: dict[str, tuple[Loc, frozenset[str]]] = {
    "system_prompt": (("system_prompt",), frozenset({"system_prompt"})),
    "contexts": (("contexts",), frozenset({"system_prompt", "context.id"})),
    "temperature": (("sampling", "temperature"), frozenset({"sampling.temperature"})),
    "max_tokens": (("sampling", "max_tokens"), frozenset({"sampling.max_tokens"})),
    "seed": (("sampling", "seed"), frozenset({"sampling.seed"})),
    "top_p": (("sampling", "top_p"), frozenset({"sampling.top_p"})),
}
"""The settings that only an argument can carry: where each stands, and the placeholders that carry it (the largest
is the one to propose)."""


def regions(document: Document, names: RegionNames, off: Collection[str]) -> Iterator[Complaint]:
    """Regions are known, named once, and not all off; a model's, and those kept warm, are among the job's."""
    tree = document.tree
    yield from _region_list(document, ("regions",), names)
    listed = [names.get(name) for name in _texts(find(tree, "regions"))]
    of_job = {region.id for region in listed if region}
    if of_job and of_job <= set(off):
        yield Complaint(("regions",), "all of them are switched off in the configuration")
    of_models = [("models", index, "regions") for index, _ in enumerate(_items(find(tree, "models")))]
    for loc in (*of_models, ("keep_warm", "regions")):
        yield from _region_list(document, loc, names)
        for place, name in enumerate(_items(find(tree, *loc))):
            region = names.get(name) if isinstance(name, str) else None
            if region and None not in listed and region.id not in of_job:
                yield Complaint((*loc, place), f"{quoted(name)} is not among the job's regions")


def _region_list(document: Document, loc: Loc, names: RegionNames) -> Iterator[Complaint]:
    first: dict[str, tuple[str, int]] = {}
    for index, name in enumerate(_items(find(document.tree, *loc))):
        if not isinstance(name, str):
            continue
        here = (*loc, index)
        region = names.get(name)
        if region is None:
            yield Complaint(here, names.unknown(name))
        elif region.id in first:
            before, line = first[region.id]
            yield Complaint(
                here, f"{quoted(name)} means {region.id}, which {quoted(before)} on line {line} means already"
            )
        else:
            first[region.id] = (name, document.place(here)[0])


def unique(document: Document, *sections: Loc) -> Iterator[Complaint]:
    """The ids in each of these lists are different."""
    for loc in sections:
        lines: dict[str, int] = {}
        for index, item in enumerate(_items(find(document.tree, *loc))):
            name = item if isinstance(item, str) else find(item, "id")
            if not isinstance(name, str):
                continue
            here = (*loc, index) if isinstance(item, str) else (*loc, index, "id")
            if name in lines:
                yield Complaint(here, f"the id {quoted(name)} is used already on line {lines[name]}")
            else:
                lines[name] = document.place(here)[0]


def limits(document: Document, gpus_total: int, gpus_per_region: int) -> Iterator[Complaint]:
    """No limit is above the workspace's; endpoints take no GPU of it and have a limit of their own."""
    bound = "the workspace's limit"
    if isinstance(find(document.tree, "executor", "openai"), Mapping):
        gpus_total = gpus_per_region = MOST_AT_ENDPOINTS
        bound = "the limit at endpoints"
    for key, allowed in (("concurrency", gpus_total), ("per_region", gpus_per_region)):
        try:
            asked = whole(find(document.tree, "limits", key))
        except ValueError:
            continue
        if isinstance(asked, int) and asked > allowed:
            message = f"is {asked:,}, but {bound} is {allowed:,}; a job may lower it, never raise it"
            yield Complaint(("limits", key), message)


def placeholders(document: Document) -> Iterator[Complaint]:
    """Every placeholder is known where it stands, and has something to stand for."""
    tree = document.tree
    yield from _known(find(tree, "system_prompt"), ("system_prompt",), templates.PROMPT_NAMES)
    for index, context in enumerate(_items(find(tree, "contexts"))):
        loc = ("contexts", index, "system_prompt")
        yield from _known(find(context, "system_prompt"), loc, templates.PROMPT_NAMES)
    modal: Loc = ("executor", "modal")
    for key in ("app", "function", "cls", "method", "parameters"):
        yield from _known(find(tree, *modal, key), (*modal, key), templates.CELL_NAMES)
    arguments = find(tree, *modal, "arguments")
    yield from _known(arguments, (*modal, "arguments"), templates.ARGUMENT_NAMES)
    yield from _with_substance(arguments, (*modal, "arguments"), _set(tree))


def _known(value: Any, loc: Loc, allowed: Collection[str]) -> Iterator[Complaint]:
    for here, item in _leaves(value, loc):
        if isinstance(item, dict):
            hint = unquoted(item)
            if hint and here != loc:
                yield Complaint(here, f"is a mapping{hint}")
            continue
        for name in templates.names(item):
            if name in allowed:
                continue
            shown = quoted("{" + name + "}")
            if name in templates.ARGUMENT_NAMES:
                yield Complaint(here, f"the placeholder {shown} cannot be used here; known: {_shown(allowed)}")
            else:
                hint = suggestion(f"{{{name}}}", [f"{{{known}}}" for known in allowed])
                kept = f"to keep the braces as they are, write {{{shown[1:-1]}}}"
                yield Complaint(here, f"unknown placeholder {shown}{hint} ({kept})")


def _shown(names: Collection[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in names)


def _with_substance(arguments: Any, loc: Loc, given: set[str]) -> Iterator[Complaint]:
    for here, item in _leaves(arguments, loc):
        for name in templates.names(item) if isinstance(item, str) else ():
            behind = [setting for setting, (_, carriers) in SETTINGS.items() if name in carriers]
            if behind and given.isdisjoint(behind):
                message = f"'{{{name}}}' has nothing to stand for: the job sets no {' or '.join(behind)}"
                yield Complaint(here, message)


def carried(document: Document) -> Iterator[Complaint]:
    """Every setting reaches the models by an argument, or is ignored with the job's consent, and not otherwise."""
    tree = document.tree
    given = _set(tree)
    ignored = _texts(find(tree, "ignore"))
    arguments = find(tree, "executor", "modal", "arguments")
    if isinstance(arguments, Mapping):
        carrying = set(templates.names(arguments))
        yield from _not_carried(given - set(ignored), carrying)
    elif find(tree, "executor") is None or isinstance(find(tree, "executor", "openai"), Mapping):
        # beacon's own app, and every endpoint, gets whatever is given and not ignored
        carrying = {carrier for name in given - set(ignored) for carrier in SETTINGS[name][1]}
    else:
        carrying = set()
    yield from _ignored(find(tree, "ignore"), given, carrying)


def evidence(document: Document) -> Iterator[Complaint]:
    """The control questions are there, and container starts are asked for only where there are containers."""
    tree = document.tree
    loc = ("analysis", "control_category")
    control = find(tree, *loc)
    categories = [
        name for item in _items(find(tree, "questions")) if isinstance(name := find(item, "category"), str)
    ]
    if isinstance(control, str) and _items(find(tree, "questions")) and control not in categories:
        message = f"no question has the category {quoted(control)}{suggestion(control, categories)}"
        yield Complaint(loc, message)
    if isinstance(find(tree, "executor", "openai"), Mapping) and find(tree, "design", "container_starts"):
        yield Complaint(("design", "container_starts"), "endpoints have no containers that beacon could count")


def _not_carried(wanted: set[str], carrying: set[str]) -> Iterator[Complaint]:
    for name, (loc, carriers) in SETTINGS.items():
        if name in wanted and not carrying & carriers:
            message = (
                f"no argument of the executor carries this: add one with '{{{max(carriers)}}}', "
                f"or consent to leave it out with  ignore: [{name}]"
            )
            yield Complaint(loc, message, on_key=True)


def _ignored(names: Any, given: set[str], carrying: set[str]) -> Iterator[Complaint]:
    seen: set[str] = set()
    for index, name in enumerate(_items(names)):
        if not isinstance(name, str):
            continue
        loc = ("ignore", index)
        if name not in SETTINGS:
            yield Complaint(loc, f"{quoted(name)} is no setting that could be ignored{suggestion(name, SETTINGS)}")
        elif name in seen:
            yield Complaint(loc, f"{quoted(name)} is named twice")
        elif name not in given:
            yield Complaint(loc, f"the job sets no {name}, so there is nothing to ignore")
        elif carrying & SETTINGS[name][1]:
            message = f"{name} is carried by an argument, so it is not ignored; take it out here or there"
            yield Complaint(loc, message)
        seen.add(name)


def _set(tree: Any) -> set[str]:
    """The names of the settings that the job sets."""
    return {name for name, (loc, _) in SETTINGS.items() if find(tree, *loc) not in (None, [])}


def find(tree: Any, *loc: int | str) -> Any:
    """What stands at `loc`, or None."""
    for step in loc:
        if isinstance(tree, dict):
            tree = tree.get(step)
        elif isinstance(tree, list) and isinstance(step, int):
            tree = tree[step]
        else:
            return None
    return tree


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, Items) else []


def _texts(value: Any) -> list[str]:
    return [item for item in _items(value) if isinstance(item, str)]


def _leaves(value: Any, loc: Loc) -> Iterator[tuple[Loc, Any]]:
    """Texts with where they stand, and the mappings on the way to them."""
    if isinstance(value, str):
        yield loc, value
    elif isinstance(value, Mapping):
        yield loc, value
        for key, item in value.items():
            yield from _leaves(item, (*loc, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _leaves(item, (*loc, index))
