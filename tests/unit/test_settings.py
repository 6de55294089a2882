from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import platformdirs
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from beacon_cli import settings
from beacon_cli.errors import Fault, SpecError
from beacon_cli.model import Region
from beacon_cli.settings import Settings

Configure = Callable[..., Settings]

KEYS = "home, regions_off, gpus_total, gpus_per_region, queue, user, caps, patterns, rates, serve, regions"


@pytest.fixture
def configure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Configure:
    """The settings from a user's file, a project's file and an environment."""
    user, project = tmp_path / "user", tmp_path / "project"
    user.mkdir()
    project.mkdir()
    monkeypatch.setattr(platformdirs, "user_config_path", lambda *_, **__: user)
    monkeypatch.setattr(platformdirs, "user_state_path", lambda *_, **__: tmp_path / "state")

    def load(project_text: str = "", *, user_text: str = "", **environ: str) -> Settings:
        for folder, text in ((user, user_text), (project, project_text)):
            (folder / "beacon.toml").write_bytes(text.encode("utf-8", "surrogatepass"))
        return settings.load(project, environ)

    return load


@pytest.fixture
def faults(configure: Configure, tmp_path: Path) -> Callable[..., list[str]]:
    """The faults of such a configuration, without the folder's name."""

    def found(project_text: str = "", *, user_text: str = "", **environ: str) -> list[str]:
        with pytest.raises(SpecError) as raised:
            configure(project_text, user_text=user_text, **environ)
        return [str(fault).replace(f"{tmp_path}/", "") for fault in raised.value.faults]

    return found


def test_without_any_source_the_defaults_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three regions, all on; ten GPUs, three in a region; the platform's state folder."""
    monkeypatch.setattr(platformdirs, "user_config_path", lambda *_, **__: tmp_path / "none")
    found = settings.load(tmp_path, {})
    assert [(region.id, region.app, region.place) for region in found.regions] == [
        ("us", "us", "the United States"),
        ("eu", "eu", "Europe"),
        ("asia", "apac", "Asia"),
    ]
    assert found.regions[1].modal == ("eu-west", "eu-north")
    assert (found.regions_off, found.gpus_total, found.gpus_per_region) == ((), 10, 3)
    assert found.home == platformdirs.user_state_path("beacon", appauthor=False)


def test_later_sources_win_key_by_key(configure: Configure, tmp_path: Path) -> None:
    """The project's file goes over the user's, the environment over both, and what is not said stays."""
    found = configure(
        'gpus_total = 6\n[regions.asia]\nplace = "the East"\n',
        user_text='home = "runs"\ngpus_total = 4\ngpus_per_region = 2\n[regions.asia]\nplace = "x"\napp = "far"\n',
        BEACON_GPUS_PER_REGION="1",
    )
    assert (found.gpus_total, found.gpus_per_region) == (6, 1)
    assert found.home == tmp_path / "user" / "runs"
    assert (found.regions[2].place, found.regions[2].app) == ("the East", "far")
    assert found.regions[2].modal == ("ap-southeast", "ap-northeast")


def test_the_environment_sets_every_plain_key(configure: Configure, tmp_path: Path) -> None:
    """Each variable means what its key in the file means; an empty one is as good as none."""
    found = configure(
        'regions_off = ["us"]\n',
        BEACON_HOME="here",
        BEACON_REGIONS_OFF="APAC, eu,asia",
        BEACON_GPUS_TOTAL="5",
        BEACON_GPUS_PER_REGION="",
        BEACON_OTHER="x",
    )
    assert found.home == tmp_path / "project" / "here"
    assert found.regions_off == ("asia", "eu")
    assert (found.gpus_total, found.gpus_per_region) == (5, 3)


def test_an_empty_list_in_the_environment_switches_all_regions_on(configure: Configure) -> None:
    """The environment can take back what a file switched off."""
    assert configure('regions_off = ["asia"]').regions_off == ("asia",)
    assert configure('regions_off = ["asia"]', BEACON_REGIONS_OFF="").regions_off == ()


def test_home_may_begin_with_a_tilde(
    configure: Configure, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`~` is the user's home folder in the file and in the environment."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert configure('home = "~/b"').home == tmp_path / "b"
    assert configure(BEACON_HOME="~/b").home == tmp_path / "b"


def test_executors_that_a_job_may_name(configure: Configure) -> None:
    """A table for each, as the block of a job file; the project's file goes over the user's."""
    found = configure(
        "[serve.executors.mine.simulated]\nseed = 3\n", user_text="[serve.executors.theirs.simulated]\n"
    )
    assert found.executors == {"mine": {"simulated": {"seed": 3}}}


def test_files_of_patterns_are_found_from_the_folder_of_their_configuration(
    configure: Configure, tmp_path: Path
) -> None:
    """A relative path starts at the file that names it; the later source's list takes the earlier's place."""
    assert configure('patterns = ["a.toml", "/b.toml"]').patterns == (
        tmp_path / "project" / "a.toml",
        Path("/b.toml"),
    )
    assert configure(user_text='patterns = ["a.toml"]').patterns == (tmp_path / "user" / "a.toml",)
    assert configure("patterns = []", user_text='patterns = ["a.toml"]').patterns == ()


def test_a_region_can_be_added(configure: Configure) -> None:
    """A new region needs a table alone; app and place are its id unless given."""
    found = configure('[regions.mars]\nmodal = ["mars-1"]\naliases = ["Red", "the-planet"]\n[regions.moon]\n')
    assert found.regions[3:] == (
        Region(id="mars", app="mars", place="mars", modal=("mars-1",), aliases=("Red", "the-planet")),
        Region(id="moon", app="moon", place="moon"),
    )


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("gpus_totl = 3", "gpus_totl: unknown key; did you mean 'gpus_total'?"),
        ("region = 3", "region: unknown key; did you mean 'regions'?"),
        ("[regions.us]\nplaces = 'x'", "regions.us.places: unknown key; did you mean 'place'?"),
        (
            '"a\\u001bb" = 3',
            f"'a\\x1bb': unknown key; known: {KEYS}",
        ),
        ("gpus_total = 0", "gpus_total: must be a whole number from 1 to 100,000, not '0'"),
        ("gpus_total = true", "gpus_total: must be a whole number from 1 to 100,000, not 'True'"),
        ("gpus_per_region = '3'", "gpus_per_region: must be a whole number from 1 to 100,000, not '3'"),
        ("home = ''", "home: must be text, and not empty"),
        ('home = "a\\u0000"', "home: must be the path of a folder"),
        ("regions_off = 'asia'", 'regions_off: must be a list of names, as ["a", "b"]'),
        ("patterns = 'a.toml'", 'patterns: must be a list of files, as ["mine.toml"]'),
        ("patterns = ['']", "patterns: must be text, and not empty"),
        ("regions_off = ['aisa']", "regions_off: unknown region 'aisa'; did you mean 'asia'?"),
        ("regions = 3", "regions: must be tables: [regions.NAME]"),
        ("serve = 3", "serve: must hold nothing but tables: [serve.executors.NAME]"),
        ("[serve]\nport = 3", "serve: must hold nothing but tables: [serve.executors.NAME]"),
        (
            "[serve.executors.default.simulated]",
            (
                "serve: executors.default: a name must be lower-case letters, digits, - and _, a letter first,"
                " and not 'default'"
            ),
        ),
        (
            "[serve.executors.a]\nurl = 'x'",
            "serve: executors.a needs exactly one of 'modal', 'openai' and 'simulated'",
        ),
        (
            "[serve.executors.a.modal]\nsince = 2026-01-01",
            "serve: executors.a holds a date or a time; put it in quotes",
        ),
        ("[regions]\nus = 3", "regions.us: must be a table: [regions.us]"),
        (
            "[regions.US]",
            "regions.US: a region's id must be lower-case letters, digits, - and _, a letter first",
        ),
        (
            "[regions.us]\napp = ' x'",
            "regions.us.app: ' x' must have printable characters alone and no space at its ends",
        ),
        ("[regions.us]\nmodal = [1]", "regions.us.modal: must be text, and not empty"),
        ("[regions.mars]\naliases = ['EU']", "regions.mars: the name 'EU' means both eu and mars"),
        ("[regions.eu]\naliases = ['us-east']", "regions.eu: the name 'us-east' means both us and eu"),
        ("[regions.us]\naliases = ['apac']", "regions.us: the name 'apac' means both us and asia"),
    ],
)
def test_a_wrong_value_is_a_fault_of_its_key(faults: Callable[..., list[str]], text: str, fault: str) -> None:
    """A fault names the file, the key, what is wrong, and the nearest right name."""
    assert faults(text) == [f"project/beacon.toml: {fault}"]


def test_all_faults_of_all_sources_come_at_once(faults: Callable[..., list[str]]) -> None:
    """Files and environment are read to their end before anything is said."""
    assert faults(
        "x = 1\ngpus_total = 0", user_text="y = 1", BEACON_GPUS_TOTAL="ten", BEACON_REGIONS_OFF="mars"
    ) == [
        f"user/beacon.toml: y: unknown key; known: {KEYS}",
        f"project/beacon.toml: x: unknown key; known: {KEYS}",
        "project/beacon.toml: gpus_total: must be a whole number from 1 to 100,000, not '0'",
        "environment: BEACON_GPUS_TOTAL: must be a whole number from 1 to 100,000, not 'ten'",
        "environment: BEACON_REGIONS_OFF: unknown region 'mars'; known: us, eu, asia",
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("gpus_total = \n", "project/beacon.toml:1:14: not valid TOML: Invalid value"),
        (
            "home =",
            "project/beacon.toml: not valid TOML: Invalid value (at end of document)",
        ),
        ("a = " + "[" * 100_000, "project/beacon.toml: nested too deeply"),
        ("#" * 1_000_001, "project/beacon.toml: is larger than 1 MB"),
        ("\udce9", "project/beacon.toml: is not UTF-8; save it as UTF-8"),
    ],
)
def test_what_is_not_toml_is_refused(faults: Callable[..., list[str]], text: str, fault: str) -> None:
    """A file that cannot be read as TOML is one fault, with its place where the parser says it."""
    assert faults(text) == [fault]


def test_a_folder_in_the_files_place_is_refused(configure: Configure, tmp_path: Path) -> None:
    """What is there and cannot be read is not passed over."""
    configure()
    (tmp_path / "project" / "beacon.toml").unlink()
    (tmp_path / "project" / "beacon.toml").mkdir()
    with pytest.raises(SpecError, match="cannot be read"):
        settings.load(tmp_path / "project", {})


@given(
    text=st.text(max_size=80)
    | st.lists(st.sampled_from(["[regions.", "us", "]", "\n", "=", "'", "home", "[[", "{", "1"])).map("".join)
)
@hypothesis_settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_file_raises_anything_but_faults(text: str, configure: Configure) -> None:
    """Whatever stands in a configuration file is read or has faults, each of them one printable line."""
    faults: tuple[Fault, ...] = ()
    try:
        configure(text)
    except SpecError as error:
        faults = error.faults
    assert all(str(fault).isprintable() for fault in faults)
