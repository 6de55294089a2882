"""The reference pages hold against the code: what one names, the other has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from docs import reference
from tests.support.jobs import spec as sample

from beacon_cli import errors, rows, settings, signals, spec
from beacon_cli import events as ev
from beacon_cli.behaviour.script import Effect
from beacon_cli.display import jsonl
from beacon_cli.exports.parquet import COLUMNS
from beacon_cli.model import INFRASTRUCTURE, ErrorKind, JsonObject
from beacon_cli.operations.exporting import Format
from beacon_cli.plan import Plan
from beacon_cli.results import Standings
from beacon_cli.rows import Status
from beacon_cli.server import metrics, openapi, view
from beacon_cli.spec.checks import SETTINGS
from beacon_cli.templates import ARGUMENT_NAMES, CELL_NAMES, PROMPT_NAMES
from beacon_cli.tickets import Caps, Snapshot

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md")))
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`]+)`")


def page(name: str) -> str:
    """A page of the docs."""
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def table(name: str, heading: str, *, first: str) -> list[list[str]]:
    """The cells of the table below a heading whose first column is called `first`, row by row."""
    section = re.split(r"^#{1,3} ", page(name).partition(f"# {heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    lines = iter(section.splitlines())
    assert any(line.startswith(f"| {first} |") for line in lines), f"{name} has no such table below {heading}"
    next(lines)
    found = []
    for line in lines:
        if not line.startswith("|"):
            break
        found.append([cell.strip() for cell in line[1:-1].split("|")])
    return found


def named(cells: list[list[str]]) -> list[str]:
    """The names in code letters of each row's first cell."""
    return [name for row in cells for name in CODE.findall(row[0])]


def anchors(path: Path) -> set[str]:
    """What a link into the page may name: its headings, as they are made into anchors."""
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def keys(node: Any, defs: JsonObject, path: str = "") -> Iterator[tuple[str, JsonObject]]:
    """Every key of a job file by its path, `models[].id`, and what the schema says of it."""
    if not isinstance(node, dict):
        return
    if "$ref" in node:
        yield from keys(defs[node["$ref"].rpartition("/")[2]], defs, path)
    for part in chain(node.get("anyOf", ()), node.get("oneOf", ())):
        yield from keys(part, defs, path)
    yield from keys(node.get("items"), defs, f"{path}[]")
    for key, value in node.get("properties", {}).items():
        here = f"{path}.{key}" if path else key
        yield here, value
        yield from keys(value, defs, here)


def schema_keys() -> dict[str, JsonObject]:
    """Every key of a job file."""
    schema = spec.json_schema()
    return dict(keys(schema, schema["$defs"]))


def test_the_page_of_the_command_line_is_what_the_commands_say() -> None:
    """docs/cli.md is what `python docs/reference.py` writes."""
    assert page("cli.md") == reference.page(), "run: python docs/reference.py"


def test_the_page_of_the_command_line_depends_on_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Width and colour change nothing."""
    before = reference.page()
    for name, value in {"COLUMNS": "20", "TERMINAL_WIDTH": "20", "FORCE_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    assert reference.page() == before


def test_every_effect_of_a_script_is_explained() -> None:
    """The emulator's effects are those of the table, in the same order."""
    assert named(table("cli.md", "A script of failures", first="effect")) == [effect.value for effect in Effect]


def test_every_key_of_a_job_is_explained_with_its_default() -> None:
    """docs/jobs.md has a row for each key of the schema, and none more; the defaults are the schema's."""
    known = schema_keys()
    documented = table("jobs.md", "The keys", first="key")
    assert sorted(named(documented)) == sorted(known)
    for row in documented:
        (key,) = CODE.findall(row[0])
        if "default" in known[key]:
            default = known[key]["default"]
            assert CODE.findall(row[2]) == [str(default).lower() if isinstance(default, bool) else str(default)], (
                key
            )


def test_required_keys_are_said_to_be() -> None:
    """A key that the schema requires is marked so, and no other."""
    schema = spec.json_schema()
    parts = [schema, *schema["$defs"].values()]
    required = {key for part in parts for key in part.get("required", ())}
    marked = [row for row in table("jobs.md", "The keys", first="key") if row[2] == "required"]
    assert {name.rpartition(".")[2] for name in named(marked)} == required - {"file"}


def test_every_placeholder_is_explained() -> None:
    """The table has each placeholder with the places where it may stand."""
    documented = table("jobs.md", "Placeholders", first="placeholder")
    where = {row[0].strip("`{}"): tuple(cell == "yes" for cell in row[2:]) for row in documented}
    assert where == {name: (True, name in CELL_NAMES, name in PROMPT_NAMES) for name in ARGUMENT_NAMES}


def test_every_setting_that_can_be_ignored_is_named() -> None:
    """`ignore` takes what the page says."""
    sentence = re.search(r"^`ignore` takes (.+?)\.", page("jobs.md"), re.MULTILINE)
    assert sentence is not None
    assert CODE.findall(sentence[1]) == list(SETTINGS)


def test_the_default_regions_are_those_of_the_code() -> None:
    """Both tables of regions say what the default configuration has."""
    assert [
        (CODE.findall(row[0]), CODE.findall(row[1]), CODE.findall(row[2]), row[3])
        for row in table("jobs.md", "Regions", first="region")
    ] == [([r.id], list(r.aliases), [r.app], r.place) for r in settings.REGIONS]
    assert [
        (CODE.findall(row[0]), CODE.findall(row[1]), row[2], CODE.findall(row[3]), CODE.findall(row[4]))
        for row in table("configuration.md", "Regions", first="region")
    ] == [([r.id], [r.app], r.place, list(r.modal), list(r.aliases)) for r in settings.REGIONS]


def test_every_setting_of_the_configuration_is_explained() -> None:
    """Each variable that `settings` reads stands beside its key of `beacon.toml`, with its default."""
    documented = table("configuration.md", "The keys", first="in `beacon.toml`")
    pairs = {CODE.findall(row[0])[0]: CODE.findall(row[1]) for row in documented}
    assert pairs == {
        **{key: [variable] for variable, key in settings._ENVIRONMENT.items()},
        "patterns": [],
        "[rates]": [],
        "[caps]": [],
        "[serve.executors.NAME]": [],
        "[regions.NAME]": [],
    }
    shown = re.search(r"\[caps\]\n(.*?)```", page("configuration.md"), re.DOTALL)
    assert shown is not None
    assert [line.split()[0] for line in shown[1].splitlines()] == list(settings.CAPS)
    defaults = settings.Settings(home=Path("home"))
    said = {CODE.findall(row[0])[0]: CODE.findall(row[2]) for row in documented}
    for key in ("gpus_total", "gpus_per_region"):
        assert said[key] == [str(getattr(defaults, key))]
    for key in settings._REGION_READERS:
        assert re.search(rf"^{key} = ", page("configuration.md"), re.MULTILINE), key


def test_every_variable_that_the_code_reads_is_explained() -> None:
    """An environment variable that stands in the source stands in docs/configuration.md."""
    source = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py"))
    read = set(re.findall(r"\b(?:BEACON|MODAL)_[A-Z_]+[A-Z]\b", source)) - {"MODAL_IDENTITY_TOKEN"}
    explained = page("configuration.md")
    assert [name for name in sorted(read) if f"`{name}`" not in explained] == []


def test_every_field_of_a_row_is_explained() -> None:
    """docs/results.md has a row for each field of `results.jsonl`, in its order."""
    plan = Plan(sample())
    row = rows.row(Standings(), next(plan.executions()), None)
    assert named(table("results.md", "results.jsonl", first="field")) == list(row)


def test_every_status_is_explained() -> None:
    """The statuses are those of the table."""
    assert named(table("results.md", "Statuses", first="status")) == [status.value for status in Status]


def test_every_event_is_explained_with_its_fields() -> None:
    """The table has each kind of event, in the order of `events`, with all of its fields."""
    documented = table("results.md", "The journal", first="event")
    assert {named([row])[0]: CODE.findall(row[1]) for row in documented} == {
        kind.__struct_config__.tag: [field.name for field in msgspec.structs.fields(kind) if field.name != "at"]
        for kind in get_args(ev.Event)
    }


def test_every_field_of_the_first_json_line_is_explained() -> None:
    """What `--json` says in `run_started` is what the table names."""
    plan = Plan(sample())
    started = ev.RunStarted(
        at=0.0,
        run_id="run",
        spec=plan.spec,
        planned=plan.planned,
        fingerprint=plan.fingerprint,
        rehearsal=True,
        beacon="0",
    )
    line = msgspec.json.decode(jsonl.line(started))
    assert sorted(named(table("results.md", "--json", first="field of `run_started`"))) == sorted(line)


def test_every_kind_of_error_is_explained() -> None:
    """Each kind has a row, which says whether it counts for the breaker."""
    documented = table("results.md", "Error kinds", first="kind")
    assert {named([row])[0]: row[3] for row in documented} == {
        kind.value: "yes" if kind in INFRASTRUCTURE else "no" for kind in ErrorKind
    }


def test_every_route_state_and_figure_of_the_server_is_explained() -> None:
    """The tables of docs/server.md are those of /openapi.json, of the jobs' states, and of /metrics."""
    document = openapi.document("0")
    routes = {
        f"{method.upper()} {path}": "yes" if "security" in operation else ""
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if not path.startswith("/page.")
    }
    documented = table("server.md", "Routes", first="route")
    assert {named([row])[0]: row[1] for row in documented} == routes
    assert named(table("server.md", "How a job stands", first="`state`")) == list(view.STATES)
    text = metrics.text(Snapshot(at=0.0, now=0.0, caps=Caps(), regions={}), ["us"], {"started": 1}, "0")
    shown = re.findall(r"^(\w+)\{(.*)\} ", text, flags=re.MULTILINE)
    assert {row[0].strip("`"): CODE.findall(row[1]) for row in table("server.md", "Figures", first="figure")} == {
        name: re.findall(r"(\w+)=", labels) for name, labels in shown
    }


def test_every_exit_code_is_explained() -> None:
    """The codes of the table are those of beacon's own errors and of the signals that end a run, and 0."""
    kinds: list[type[errors.BeaconError]] = [errors.BeaconError, *errors.BeaconError.__subclasses__()]
    codes = [int(row[0]) for row in table("results.md", "Exit codes", first="code")]
    assert codes == sorted({0, *(kind.exit_code for kind in kinds), *(128 + each for each in signals.STOPPING)})
    in_short = re.search(r"Exit codes: (.*?)\n\n", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert in_short is not None
    assert sorted(map(int, re.findall(r"(?:^|[·/\n] ?)(\d+)\b", in_short[1]))) == codes


def test_every_format_is_explained() -> None:
    """docs/exports.md has a row for each format of `beacon export`."""
    assert named(table("exports.md", "Exports", first="format")) == list(Format)


def test_every_column_of_parquet_is_explained() -> None:
    """The documented schema is the one that is written."""
    assert {CODE.findall(row[0])[0]: row[1] for row in table("exports.md", "Parquet", first="column")} == dict(
        COLUMNS
    )


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(path: Path) -> None:
    """A link within the project names a file that is there, and a heading that it has."""
    for target in LINK.findall(path.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        there = (path.parent / file).resolve() if file else path
        assert there.exists(), f"{path.name} links to {target}"
        assert not anchor or anchor in anchors(there), f"{path.name} links to {target}"
