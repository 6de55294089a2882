"""The ports: what the engine needs from the world outside, as Protocols. The contract stands in the docstrings.

`tests/contracts` holds every adapter against it. Knows `model` and `events`; no adapter is known here.
"""

from __future__ import annotations

from beacon_cli.ports.run import (
    Begun,
    Containers,
    Deployer,
    Display,
    Emit,
    Endpoints,
    Executor,
    Journal,
    Listener,
    Listing,
    MayPlace,
    Over,
    Placed,
    Queue,
    Turn,
    Version,
    always,
)
from beacon_cli.ports.store import Store

__all__ = [
    "Begun",
    "Containers",
    "Deployer",
    "Display",
    "Emit",
    "Endpoints",
    "Executor",
    "Journal",
    "Listener",
    "Listing",
    "MayPlace",
    "Over",
    "Placed",
    "Queue",
    "Store",
    "Turn",
    "Version",
    "always",
]
