"""The configuration: which regions there are, what the workspace allows, where the state folder is.

Four sources, later ones win key by key (a region's keys one by one):

1. the defaults below
2. `beacon.toml` in the user's configuration folder (`~/.config/beacon` on Linux)
3. `beacon.toml` in the current folder
4. the environment

=========================  ===================  ========================================================
in `beacon.toml`           in the environment   what it is
=========================  ===================  ========================================================
`home = "…"`               BEACON_HOME          the state folder; a relative path starts at the file's folder
`regions_off = ["asia"]`   BEACON_REGIONS_OFF   regions that no run uses; in the environment with commas
`gpus_total = 10`          BEACON_GPUS_TOTAL    the workspace's GPUs, over all regions
`gpus_per_region = 3`      BEACON_GPUS_PER_REGION   its GPUs in one region
`queue = "redis://…"`      BEACON_QUEUE         where the queue is kept; a file in `home` unless given
`user = "ann"`             BEACON_USER          who takes tickets; the login name unless given
`patterns = ["mine.toml"]`                      more patterns by which answers are read
`[rates]`                                       what a GPU costs: see `rates`
`[caps]`                                        the queue's other caps: see `CAPS`
`[serve.executors.NAME]`                        an executor that a job may name: the block of a job file
`[regions.mars]`                                a region, new or changed, with any of the keys
`app = "mars"`                                  the suffix of its Modal app; the region's id unless given
`place = "Mars"`                                its name in prompts; the region's id unless given
`modal = ["mars-1"]`                            the regions that the app asks Modal for
`aliases = ["red"]`                             other names that mean this region
`health = "https://…{model.id}"`                an address that wakes a model's container there
=========================  ===================  ========================================================

Must not know what a job or a run is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from beacon_cli import rates, tables
from beacon_cli.errors import Fault, SpecError
from beacon_cli.model import JsonObject, Region
from beacon_cli.names import RegionNames, printable, quoted, suggestion

FILE = "beacon.toml"

REGIONS = (
    Region(id="us", app="us", place="the United States", modal=("us-east", "us-west"), aliases=("us-east",)),
    Region(id="eu", app="eu", place="Europe", modal=("eu-west", "eu-north"), aliases=("eu-west",)),
    Region(
        id="asia",
        app="apac",
        place="Asia",
        modal=("ap-southeast", "ap-northeast"),
        aliases=("apac", "asia-pacific"),
    ),
)
"""The regions of the default configuration; names are matched whatever their case."""

CAPS = ("jobs_at_once", "lease_seconds", "ageing", "jobs_waiting", "jobs_running", "executions_per_hour",
        "quarantine_seconds")  # fmt: skip
"""The keys of the table `[caps]`: what the queue of the workspace allows beside GPUs."""

_ENVIRONMENT = {
    "BEACON_HOME": "home",
    "BEACON_REGIONS_OFF": "regions_off",
    "BEACON_GPUS_TOTAL": "gpus_total",
    "BEACON_GPUS_PER_REGION": "gpus_per_region",
    "BEACON_QUEUE": "queue",
    "BEACON_USER": "user",
}
_REGION_ID = re.compile(r"[a-z][a-z0-9_-]{0,49}")
DEFAULT_EXECUTOR = "default"
"""The name that stands for beacon's own apps on Modal."""
_EXECUTOR_KINDS = ("modal", "openai", "simulated")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The configuration, checked.

    `regions` are all there are, `regions_off` the ids of those switched off; `queue` is the address of a Redis,
    empty for a file; `caps` has what was given of `CAPS`; `patterns` are files of the user's own patterns;
    `executors` are the blocks that a job may name, of JSON types, their form not yet checked; `rates` has passed
    `rates.check`.
    """

    home: Path
    regions: tuple[Region, ...] = REGIONS
    regions_off: tuple[str, ...] = ()
    gpus_total: int = 10
    gpus_per_region: int = 3
    queue: str = ""
    user: str = ""
    caps: dict[str, float] = {}
    executors: dict[str, JsonObject] = {}
    patterns: tuple[Path, ...] = ()
    rates: JsonObject = {}


def load(cwd: Path, environ: Mapping[str, str]) -> Settings:
    """The settings for a command started in `cwd` with this environment.

    Raises:
        SpecError: a configuration file cannot be read or a value is wrong; it holds every fault found.
    """
    from platformdirs import user_config_path, user_state_path

    gathered = _Gathered()
    gathered.read_file(user_config_path("beacon", appauthor=False) / FILE)
    gathered.read_file(cwd / FILE)
    gathered.read_environment(environ, cwd)
    regions = gathered.regions()
    off = gathered.off(RegionNames(regions))
    if gathered.faults:
        raise SpecError(tuple(gathered.faults))
    renamed = {"serve": "executors"}
    values = {renamed.get(key, key): value for key, (value, _) in gathered.values.items() if key != "regions_off"}
    return Settings(
        **{"home": user_state_path("beacon", appauthor=False)} | values,
        regions=regions,
        regions_off=off,
    )


class _Origin(msgspec.Struct, frozen=True):
    """Where a value was written: a file, or the environment with the variable's name as key."""

    file: str
    key: str


class _Gathered:
    """What the sources said so far, and what was wrong with it."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.values: dict[str, tuple[Any, _Origin]] = {}
        self._tables: dict[str, dict[str, Any]] = {region.id: {} for region in REGIONS}
        self._origins: dict[str, _Origin] = {}

    def read_file(self, path: Path) -> None:
        """Take over what `path` says, if it is there."""
        file = printable(str(path))
        for key, value in self._toml(path, file).items():
            if key == "regions":
                self._read_regions(value, file)
            elif key in _READERS:
                self._take(key, value, _Origin(file, key), path.parent)
            else:
                known = [*_READERS, "regions"]
                self._fault(_Origin(file, _shown(key)), f"unknown key{suggestion(key, known)}")

    def read_environment(self, environ: Mapping[str, str], cwd: Path) -> None:
        """Take over the variables that are set and not empty."""
        for variable, key in _ENVIRONMENT.items():
            text = environ.get(variable, "")
            value: Any = text
            if key == "regions_off" and variable in environ:
                value = [name.strip() for name in text.split(",") if name.strip()]
            elif not text:
                continue
            elif key.startswith("gpus"):
                value = (
                    int(text) if text.isascii() and text.isdigit() and len(text) < len(str(_MOST_GPUS)) else text
                )
            self._take(key, value, _Origin("environment", variable), cwd)

    def regions(self) -> tuple[Region, ...]:
        """The regions as the sources leave them; a name that two of them claim is a fault."""
        given = {region.id: region for region in REGIONS}
        regions = tuple(
            msgspec.structs.replace(given.get(name, Region(id=name, app=name, place=name)), **table)
            for name, table in self._tables.items()
        )
        claimed: dict[str, str] = {}
        for region in regions:
            for name in (region.id, *region.aliases):
                owner = claimed.setdefault(name.casefold(), region.id)
                if owner != region.id:
                    origin = self._origins.get(region.id) or self._origins[owner]
                    self._fault(origin, f"the name {quoted(name)} means both {owner} and {region.id}")
        return regions

    def off(self, known: RegionNames) -> tuple[str, ...]:
        """The ids of the regions that are switched off, each once."""
        names, origin = self.values.get("regions_off", ((), _Origin("", "")))
        found: dict[str, None] = {}
        for name in names:
            region = known.get(name)
            if region is None:
                self._fault(origin, known.unknown(name))
            else:
                found[region.id] = None
        return tuple(found)

    def _toml(self, path: Path, file: str) -> dict[str, Any]:
        try:
            table = tables.read(path, file)
        except FileNotFoundError:
            return {}
        if isinstance(table, Fault):
            self.faults.append(table)
            return {}
        return table

    def _read_regions(self, tables: Any, file: str) -> None:
        if not isinstance(tables, dict):
            self._fault(_Origin(file, "regions"), "must be tables: [regions.NAME]")
            return
        for name, table in tables.items():
            origin = _Origin(file, f"regions.{_shown(name)}")
            if not _REGION_ID.fullmatch(name):
                self._fault(origin, "a region's id must be lower-case letters, digits, - and _, a letter first")
            elif not isinstance(table, dict):
                self._fault(origin, f"must be a table: [regions.{name}]")
            else:
                self._origins[name] = origin
                self._read_region(self._tables.setdefault(name, {}), table, origin)

    def _read_region(self, into: dict[str, Any], table: dict[str, Any], origin: _Origin) -> None:
        for key, value in table.items():
            here = _Origin(origin.file, f"{origin.key}.{_shown(key)}")
            reader = _REGION_READERS.get(key)
            if reader is None:
                self._fault(here, f"unknown key{suggestion(key, _REGION_READERS)}")
                continue
            try:
                into[key] = reader(value)
            except ValueError as error:
                self._fault(here, str(error))

    def _take(self, key: str, value: Any, origin: _Origin, folder: Path) -> None:
        try:
            read = _READERS[key](value)
        except ValueError as error:
            self._fault(origin, str(error))
            return
        if isinstance(read, Path):
            read = folder / read
        elif key == "patterns":
            read = tuple(folder / path for path in read)
        self.values[key] = (read, origin)

    def _fault(self, origin: _Origin, message: str) -> None:
        self.faults.append(Fault(file=origin.file, key=origin.key, message=message))


_MOST_GPUS = 100_000
_SECONDS = frozenset({"lease_seconds", "ageing", "quarantine_seconds"})
_LONGEST = 4096
"""Characters of a path."""


def _folder(value: Any) -> Path:
    text = _name(value)
    if "\0" in text:
        raise ValueError("must be the path of a folder")
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise ValueError(f"{quoted(text)} names a home folder that is not known") from None


def _gpus(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= _MOST_GPUS:
        raise ValueError(f"must be a whole number from 1 to {_MOST_GPUS:,}, not {quoted(str(value))}")
    return value


def _name(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("must be text, and not empty")
    if len(value) > _LONGEST:
        raise ValueError(f"must have {_LONGEST:,} characters at most")
    return value


def _label(value: Any) -> str:
    text = _name(value)
    if not text.isprintable() or text != text.strip():
        raise ValueError(f"{quoted(text)} must have printable characters alone and no space at its ends")
    return text


def _address(value: Any) -> str:
    text = _label(value)
    if not text.startswith(("redis://", "rediss://", "unix://")):
        raise ValueError('must be the address of a Redis, as "redis://host:6379/0" or "rediss://…"')
    return text


def _health(value: Any) -> str:
    text = _label(value)
    bare = text.replace("{model.id}", "").replace("{region.id}", "")
    if not text.startswith(("https://", "http://")) or {"{", "}"} & set(bare):
        raise ValueError(
            'must be an address as "https://…/health?model={model.id}"; {region.id} may stand in it too'
        )
    return text


def _caps(value: Any) -> dict[str, float]:
    if not isinstance(value, dict):
        raise ValueError("must be a table: [caps]")  # noqa: TRY004 - callers gather ValueErrors
    for key, number in value.items():
        if key not in CAPS:
            raise ValueError(f"unknown key {quoted(key)}{suggestion(key, CAPS)}")
        least, kinds = (1.0, (int, float)) if key in _SECONDS else (1, (int,))
        if isinstance(number, bool) or not isinstance(number, kinds) or not least <= number <= _MOST_GPUS:
            what = "seconds" if key in _SECONDS else "a whole number"
            raise ValueError(f"{key} must be {what} from 1 to {_MOST_GPUS:,}, not {quoted(str(number))}")
    return value


def _serve(value: Any) -> dict[str, JsonObject]:
    """The executors of the table `[serve]`: by name, each with the one block that a job file would have."""
    if not isinstance(value, dict) or set(value) - {"executors"}:
        raise ValueError("must hold nothing but tables: [serve.executors.NAME]")
    executors = value.get("executors", {})
    if not isinstance(executors, dict):
        raise ValueError("must hold nothing but tables: [serve.executors.NAME]")  # noqa: TRY004 - callers gather these
    for name, block in executors.items():
        if not _REGION_ID.fullmatch(name) or name == DEFAULT_EXECUTOR:
            raise ValueError(
                f"executors.{_shown(name)}: a name must be lower-case letters, digits, - and _, a letter first,"
                f" and not {quoted(DEFAULT_EXECUTOR)}"
            )
        if not isinstance(block, dict) or len(block) != 1 or not set(block) <= set(_EXECUTOR_KINDS):
            raise ValueError(f"executors.{name} needs exactly one of 'modal', 'openai' and 'simulated'")
        if not _is_json(block):
            raise ValueError(f"executors.{name} holds a date or a time; put it in quotes")
    return executors


def _is_json(value: Any) -> bool:
    if isinstance(value, dict | list):
        return all(map(_is_json, value.values() if isinstance(value, dict) else value))
    return isinstance(value, str | int | float)


def _list_of_names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError('must be a list of names, as ["a", "b"]')  # noqa: TRY004 - callers gather ValueErrors
    return tuple(_label(item) for item in value)


def _files(value: Any) -> tuple[Path, ...]:
    if not isinstance(value, list):
        raise ValueError('must be a list of files, as ["mine.toml"]')  # noqa: TRY004 - callers gather ValueErrors
    return tuple(_folder(item) for item in value)


def _shown(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]{1,60}", key) else quoted(key)


_READERS: dict[str, Callable[[Any], Any]] = {
    "home": _folder,
    "regions_off": _list_of_names,
    "gpus_total": _gpus,
    "gpus_per_region": _gpus,
    "queue": _address,
    "user": _label,
    "caps": _caps,
    "patterns": _files,
    "rates": rates.check,
    "serve": _serve,
}
_REGION_READERS: dict[str, Callable[[Any], Any]] = {
    "app": _label,
    "place": _label,
    "modal": _list_of_names,
    "aliases": _list_of_names,
    "health": _health,
}
