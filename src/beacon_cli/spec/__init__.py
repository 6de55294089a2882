"""The job file: from YAML that a person wrote to `model.Spec`, with every fault named at once.

The face of the room: `load` for a file, `json_schema` for editors, `template` for who starts. Must not know the
configuration's sources or what a run does with a spec.
"""

from beacon_cli.spec.load import Allowed, load, parse
from beacon_cli.spec.schema import json_schema, template
from beacon_cli.spec.source import read

__all__ = ["Allowed", "json_schema", "load", "parse", "read", "template"]
