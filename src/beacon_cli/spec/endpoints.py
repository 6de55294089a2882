"""Whether a job's endpoints make sense: addresses that can be called, names that are known, no key typed in.

A fault here never repeats what may be a credential. Must not know what an endpoint is asked, or how.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from beacon_cli.masking import is_credential, masked
from beacon_cli.names import RegionNames, quoted, suggestion
from beacon_cli.spec.checks import find
from beacon_cli.spec.complaints import Complaint
from beacon_cli.spec.source import Document, Items, Loc

OPENAI: Loc = ("executor", "openai")

BY_BEACON = (
    "model",
    "messages",
    "stream",
    "stream_options",
    "n",
    "temperature",
    "max_tokens",
    "seed",
    "top_p",
    "stop",
)
"""Fields of a request that `extra` cannot set: they follow from the job, or change the form of the answer."""

_OF_THE_CONNECTION = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "host",
        "transfer-encoding",
    }
)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_REFERENCE = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*\}")
_KEYED = re.compile(r"(?:^|[-_.])(?:key|code|sig|sas|auth)$", re.IGNORECASE)
_LONGEST_NAME = 100


def endpoints(document: Document, names: RegionNames) -> Iterator[Complaint]:
    """Everything in the block `executor.openai`, beyond its form."""
    block = find(document.tree, *OPENAI)
    if not isinstance(block, Mapping):
        return
    yield from _addresses(document.tree, block, names)
    yield from _key_names(document.tree, block, names)
    yield from _models(document.tree, block)
    yield from _headers(block)
    for field in _mapping(block.get("extra")):
        if field in BY_BEACON:
            yield Complaint((*OPENAI, "extra", field), "is set by beacon; it cannot stand here", on_key=True)
        elif is_credential(field) and isinstance(block["extra"][field], str):
            yield Complaint((*OPENAI, "extra", field), "looks like a credential; send it by  headers", on_key=True)
    for loc, text in _texts(block.get("extra"), (*OPENAI, "extra")):
        if masked(text) != text:
            yield Complaint(loc, "looks like a credential, which does not belong into a job file")


def strands(document: Document) -> Iterator[Complaint]:
    """Several questions of one model at once are a matter of lanes."""
    tree = document.tree
    if find(tree, "in_flight") not in (None, "1") and find(tree, "schedule") != "lanes":
        yield Complaint(("in_flight",), "needs  schedule: lanes", on_key=True)


def _addresses(tree: Any, block: Mapping[str, Any], names: RegionNames) -> Iterator[Complaint]:
    given = block.get("base_url")
    loc: Loc = (*OPENAI, "base_url")
    if isinstance(given, str):
        yield from _address(given, loc)
        return
    covered: set[str] = set()
    yield from _region_keys(tree, given, loc, names)
    for name, address in _mapping(given).items():
        region = names.get(name)
        covered |= {region.id} if region else set()
        if isinstance(address, str):
            yield from _address(address, (*loc, name))
    if not isinstance(given, Mapping) or not given:
        return
    missing = [region for region in _regions(tree, names) if region not in covered]
    if missing:
        yield Complaint(loc, f"has no address for {', '.join(missing)}", on_key=True)


def _address(text: str, loc: Loc) -> Iterator[Complaint]:
    try:
        url = urlsplit(text)
        host, _port = url.hostname, url.port
    except ValueError:
        yield Complaint(loc, "is no address")
        return
    if "@" in url.netloc:
        yield Complaint(loc, "holds a user or a password; name the key's variable in  api_key_env")
    elif url.scheme not in {"http", "https"} or not host or any(char.isspace() for char in text):
        yield Complaint(loc, f"must begin with https:// or http:// and a host, not {quoted(masked(text))}")
    elif url.fragment:
        yield Complaint(loc, "must not have a part after #")
    elif url.path.rstrip("/").endswith("/chat/completions"):
        yield Complaint(loc, "ends in /chat/completions, which beacon adds; leave it out")
    elif masked(text) != text:
        yield Complaint(loc, "looks as if it held a credential; name the key's variable in  api_key_env")
    else:
        for name, _ in parse_qsl(url.query):
            if _is_keyed(name):
                message = f"has {quoted(name)}, which looks like a credential; send it by  headers"
                yield Complaint(loc, f"{message} , as {{api-key: '${{NAME}}'}}")


def _key_names(tree: Any, block: Mapping[str, Any], names: RegionNames) -> Iterator[Complaint]:
    given = block.get("api_key_env")
    loc: Loc = (*OPENAI, "api_key_env")
    found = {loc: given} if isinstance(given, str) else {(*loc, k): v for k, v in _mapping(given).items()}
    yield from _region_keys(tree, given, loc, names)
    for here, name in found.items():
        if not isinstance(name, str):
            continue
        if not _VARIABLE.fullmatch(name) or len(name) > _LONGEST_NAME or masked(name) != name:
            # What stands here may be the key: it is not repeated.
            yield Complaint(here, "must be the name of an environment variable, such as OPENAI_API_KEY")


def _region_keys(tree: Any, given: Any, loc: Loc, names: RegionNames) -> Iterator[Complaint]:
    seen: dict[str, str] = {}
    of_job = _regions(tree, names)
    for name in _mapping(given):
        here = (*loc, name)
        region = names.get(name)
        if region is None:
            yield Complaint(here, names.unknown(name), on_key=True)
        elif region.id in seen:
            yield Complaint(here, f"means {region.id}, as {quoted(seen[region.id])} does already", on_key=True)
        elif region.id not in of_job:
            yield Complaint(here, f"{quoted(name)} is not among the job's regions", on_key=True)
        else:
            seen[region.id] = name


def _models(tree: Any, block: Mapping[str, Any]) -> Iterator[Complaint]:
    listed = find(tree, "models")
    known = [
        name
        for item in (listed if isinstance(listed, Items) else [])
        if isinstance(name := item if isinstance(item, str) else find(item, "id"), str)
    ]
    for name in _mapping(block.get("models")):
        if name not in known:
            message = f"the job has no model {quoted(name)}{suggestion(name, known)}"
            yield Complaint((*OPENAI, "models", name), message, on_key=True)


def _headers(block: Mapping[str, Any]) -> Iterator[Complaint]:
    seen: set[str] = set()
    for name, value in _mapping(block.get("headers")).items():
        loc = (*OPENAI, "headers", name)
        low = name.casefold()
        if low in seen:
            yield Complaint(loc, "stands here twice: headers are the same whatever their case", on_key=True)
        seen.add(low)
        if low in _OF_THE_CONNECTION:
            yield Complaint(loc, "is set by beacon; it cannot stand here", on_key=True)
        elif low == "authorization" and block.get("api_key_env"):
            yield Complaint(loc, "is made from  api_key_env ; take one of them out", on_key=True)
        elif isinstance(value, str):
            yield from _header_value(loc, name, value)


def _header_value(loc: Loc, name: str, value: str) -> Iterator[Complaint]:
    rest = _REFERENCE.sub("", value)
    if not rest.isprintable() or not rest.isascii():
        yield Complaint(loc, "must be printable ASCII on one line")
    elif "${" in rest:
        yield Complaint(loc, "holds a ${ that is no ${NAME} of an environment variable")
    elif masked(rest) != rest or (_is_keyed(name) and rest == value):
        yield Complaint(loc, "looks like a credential: write ${NAME} and set that environment variable")


def _is_keyed(name: str) -> bool:
    """Whether a parameter of an address or a header with this name most likely holds a credential."""
    return is_credential(name) or bool(_KEYED.search(name))


def _regions(tree: Any, names: RegionNames) -> list[str]:
    """The ids of the job's regions, as far as they are known."""
    listed = find(tree, "regions")
    found = [names.get(name) for name in (listed if isinstance(listed, Items) else []) if isinstance(name, str)]
    return [region.id for region in found if region]


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _texts(value: Any, loc: Loc) -> Iterator[tuple[Loc, str]]:
    if isinstance(value, str):
        yield loc, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts(item, (*loc, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _texts(item, (*loc, index))
