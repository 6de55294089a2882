"""Pools by name: what a job calls at Modal, as a key that any process can read, and the SDK's handle for it.

A key is canonical JSON, so that one pool has one key: `{"app", "function"}`, or `{"app", "cls", "method",
"parameters"}`; and `"environment"` where that is not the workspace's default. Knows nothing of calls or windows.

Two methods of one class, or a parameter left out and the same one given, are two keys for the same containers:
counted twice, and never too few.
"""

from __future__ import annotations

import json
from typing import Any, Self, TypeAlias

import modal
import msgspec
from modal.config import config

from beacon_cli import templates
from beacon_cli.executors.modal.bridge import theirs
from beacon_cli.model import JsonObject, ModalTarget, Model, Region
from beacon_cli.priming import prime

Handle: TypeAlias = "modal.Function[Any, Any, Any]"

_LONGEST_KEY = 16_384
_LONGEST_NAME = 200


class Unfound(Exception):
    """This pool cannot be looked up from here; the text says why."""


class Pool(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A function (`function`), or a class with the values of its parameters and the method that is called."""

    app: str
    function: str | None = None
    cls: str | None = None
    method: str | None = None
    parameters: JsonObject = {}
    environment: str = ""

    @classmethod
    def of(cls, target: ModalTarget, region: Region, model: Model) -> Self:
        """The pool that a job's target calls for this pair, in the environment that holds on this machine."""
        filled = templates.fill(
            {
                "app": target.app,
                "function": target.function,
                "cls": target.classes.get(model.id, target.cls),
                "method": target.method,
                "parameters": target.parameters,
            },
            templates.cell_values(region, model),
        )
        return cls(**filled, environment=_environment())

    @classmethod
    def parse(cls, key: str) -> Self | None:
        """The pool that a key means; None: it is no key as `key` writes them, whoever wrote it."""
        if len(key) > _LONGEST_KEY:
            return None
        try:
            pool = msgspec.convert(json.loads(key), cls)
        except (ValueError, RecursionError):
            return None
        return pool if _is_sound(pool) and pool.key() == key else None

    def key(self) -> str:
        """The pool as text, in printable ASCII."""
        if self.function is not None:
            said: dict[str, Any] = {"app": self.app, "function": self.function}
        else:
            said = {"app": self.app, "cls": self.cls, "method": self.method, "parameters": self.parameters}
        if self.environment:
            said["environment"] = self.environment
        return json.dumps(said, sort_keys=True, separators=(",", ":"))

    @property
    def called(self) -> str:
        """What is called within the app, for people to read."""
        return self.function if self.function is not None else f"{self.cls}.{self.method}"


prime(Pool)


def _is_sound(pool: Pool) -> bool:
    names = [pool.app, pool.called, *([pool.environment] if pool.environment else [])]
    if not all(name.isprintable() and 0 < len(name) <= _LONGEST_NAME for name in names):
        return False
    if pool.function is not None:
        return pool.cls is None and pool.method is None and not pool.parameters
    method = pool.method or ""
    return bool(pool.cls) and method.isidentifier() and not method.startswith("_")


async def find(pool: Pool, client: modal.Client) -> Handle:
    """Look a pool up at Modal.

    Raises:
        Unfound: it is of an environment that this machine's configuration hides, or its method is none.
        modal.exception.Error, TypeError: as the SDK raises them: not there, parameters that do not fit.
    """
    environment = pool.environment or None
    if environment is None and _environment():
        raise Unfound("it is in the workspace's default environment, and another one is configured here")
    if pool.function is not None:
        function: Handle = modal.Function.from_name(
            pool.app, pool.function, client=client, environment_name=environment
        )
    else:
        cls = modal.Cls.from_name(pool.app, pool.cls or "", client=client, environment_name=environment)
        await theirs(cls.hydrate.aio())
        function = getattr(cls(**pool.parameters), pool.method or "")
        if not isinstance(function, modal.Function):
            raise Unfound(f"{pool.called} is no method that can be called")
    await theirs(function.hydrate.aio())
    return function


def _environment() -> str:
    return str(config.get("environment") or "")
