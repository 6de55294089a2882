"""What the server understands, as an OpenAPI document: `openapi.json` beside this file, with the version."""

from __future__ import annotations

import json
from importlib.resources import files

from beacon_cli.model import JsonObject


def document(version: str) -> JsonObject:
    """The document of the server of this version."""
    found: JsonObject = json.loads((files(__package__) / "openapi.json").read_bytes())
    found["info"]["version"] = version
    return found
