"""What is deployed: the apps' definitions as the SDK sends them, by `beacon deploy` and by `modal deploy`."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from modal_proto import api_pb2
from tests.support.deploying import Deployed, taking_deployments

from beacon_app import factory, settings
from beacon_app.settings import Place
from beacon_cli import wiring
from beacon_cli.errors import StartError, UsageError
from beacon_cli.operations import deploying

ROOT = Path(__file__).parents[2]
APPS = ROOT / "modal_apps"
HF = "my-hugging-face"
CLASSES = tuple(settings.GPU_OF)
FUNCTIONS = ("run_inference", "health", "download")


@pytest.fixture
def workspace(monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployed]:
    """A workspace that apps can be deployed to."""
    monkeypatch.delenv(settings.SECRET_VARIABLE, raising=False)
    with taking_deployments(monkeypatch) as kept:
        yield kept


def deploy(*regions: str, secret: str | None = None) -> list[deploying.Deployment]:
    """Deploy as the command does."""
    told: list[deploying.Deployment] = []
    deploying.deploy(deploying.chosen(regions), told.append, secret=secret, download=False)
    return told


@pytest.mark.parametrize("place", settings.PLACES, ids=lambda place: place.id)
def test_an_app_is_what_the_table_says(workspace: Deployed, place: Place) -> None:
    """Regions, GPUs, times, windows, counts and formats of all that is deployed are those of the table."""
    (told,) = deploy(place.id)
    name = settings.APP.format(app=place.app)
    assert (told.region, told.app, told.url) == (place.id, name, "https://modal.com/id/ap-" + "1".zfill(22))
    assert set(workspace.functions) == {*(f"{cls}.*" for cls in CLASSES), *FUNCTIONS}
    for function in workspace.functions.values():
        assert list(function.scheduler_placement.regions) == list(place.regions)
        assert function.autoscaler_settings.max_containers == 1
        assert function.autoscaler_settings.min_containers == 0
        assert (function.retry_policy.retries, function.app_name) == (0, name)
        assert {place.id, name} <= set(_environment(workspace, function).values())
        assert _formats(function) == {api_pb2.DATA_FORMAT_CBOR}
    for cls in CLASSES:
        served = workspace.functions[f"{cls}.*"]
        assert served.resources.gpu_config.gpu_type == settings.GPU_OF[cls]
        assert served.resources.gpu_config.count == 1
        assert served.resources.memory_mb == settings.MEMORY_MB[cls]
        assert (served.timeout_secs, served.startup_timeout_secs) == (900, 900)
        assert served.autoscaler_settings.scaledown_window == settings.SCALEDOWN_WINDOW
        assert served.checkpointing_enabled
        assert [parameter.name for parameter in served.class_parameter_info.schema] == ["model"]
        assert [(mount.mount_path, mount.read_only) for mount in served.volume_mounts] == [("/weights", True)]
        assert _environment(workspace, served)["HF_HUB_OFFLINE"] == "1"
    assert list(workspace.volumes) == [f"beacon-weights-{place.app}"]


def test_what_needs_no_gpu_has_none(workspace: Deployed) -> None:
    """The original's function, the app's health and the download hold no GPU of the workspace."""
    deploy("us")
    for name in FUNCTIONS:
        assert not workspace.functions[name].resources.gpu_config.gpu_type
    download = workspace.functions["download"]
    assert [(mount.mount_path, mount.read_only) for mount in download.volume_mounts] == [("/weights", False)]
    assert workspace.functions["run_inference"].timeout_secs == settings.STARTUP_TIMEOUT + settings.TIMEOUT


def test_the_secret_is_the_downloads_alone(workspace: Deployed) -> None:
    """The token that opens gated models is in no container that answers questions."""
    deploy("us", secret=HF)
    named = {key for key, request in workspace.secrets.items() if request.deployment_name == HF}
    holders = {name for name, function in workspace.functions.items() if named & set(function.secret_ids)}
    assert holders == {"download"}


def test_without_a_secret_none_is_asked_for(workspace: Deployed) -> None:
    """A workspace without any secret can deploy: the open models are served."""
    deploy("us")
    assert not [request for request in workspace.secrets.values() if request.deployment_name]


def test_every_file_that_a_container_imports_is_shipped(workspace: Deployed) -> None:
    """The package goes along whole, and Modal is told to look for its classes there."""
    deploy("us")
    files = {f"/root/beacon_app/{file.name}" for file in (APPS / "beacon_app").glob("*.py")}
    for function in workspace.functions.values():
        shipped = {name for mount in function.mount_ids for name in workspace.mounts[mount]}
        assert shipped == files
        assert function.module_name == "beacon_app.serving"
        assert function.definition_type == api_pb2.Function.DEFINITION_TYPE_FILE


def test_the_image_holds_the_versions_of_the_table(workspace: Deployed) -> None:
    """Serving containers have the pinned engine; what needs no model has a plain image."""
    deploy("us")
    assert "torch==2.13.0 transformers==5.23.0" in _commands(workspace, "Model.*")
    assert _commands(workspace, "ModelT4.*") == _commands(workspace, "Model.*") == _commands(workspace, "download")
    assert "torch" not in _commands(workspace, "run_inference")


def test_vllm_takes_several_questions_at_once(workspace: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the other engine a container takes several inputs, and its image holds that engine."""
    monkeypatch.setattr(settings, "ENGINE", "vllm")
    deploy("us")
    for cls in CLASSES:
        assert workspace.functions[f"{cls}.*"].max_concurrent_inputs == settings.INPUTS
        assert "vllm" in _commands(workspace, f"{cls}.*")


def test_transformers_takes_one_question_at_a_time(workspace: Deployed) -> None:
    """One container, one input: questions of a container never share its random numbers."""
    deploy("us")
    assert {workspace.functions[f"{cls}.*"].max_concurrent_inputs for cls in CLASSES} <= {0, 1}


@pytest.mark.parametrize("place", settings.PLACES, ids=lambda place: place.id)
def test_plain_modal_deploy_works_from_anywhere(workspace: Deployed, place: Place, tmp_path: Path) -> None:
    """`modal deploy FILE` deploys a copy of the files from any folder, and ships the modules beside the file."""
    copied = tmp_path / "copied"
    shutil.copytree(APPS, copied, ignore=shutil.ignore_patterns("__pycache__"))
    (copied / "beacon_app" / "of_this_copy.py").write_text("", encoding="utf-8")
    file = copied / f"project_beacon_hf_{place.app}.py"
    command = [sys.executable, "-m", "modal", "deploy", str(file)]
    done = subprocess.run(command, cwd=tmp_path, env=dict(os.environ), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [request.name for request in workspace.published] == [settings.APP.format(app=place.app)]
    for function in workspace.functions.values():
        shipped = {name for mount in function.mount_ids for name in workspace.mounts[mount]}
        assert "/root/beacon_app/of_this_copy.py" in shipped


def test_all_regions_are_deployed_unless_some_are_named(workspace: Deployed) -> None:
    """Without `--region` every region that is on has its app deployed, in the configuration's order."""
    told = deploy()
    assert [each.region for each in told] == [place.id for place in settings.PLACES]
    assert [request.name for request in workspace.published] == [each.app for each in told]


def test_a_region_that_is_off_is_deployed_when_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is switched off is left out; by name it can be deployed, to be tried again."""
    monkeypatch.setenv("BEACON_REGIONS_OFF", "asia")
    assert [each.region for each in deploying.chosen([])] == ["us", "eu"]
    assert [each.region for each in deploying.chosen(["apac"])] == ["asia"]


def test_a_region_without_an_app_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A region of the user's own has no file of ours: refused by name, passed over otherwise."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "beacon.toml").write_text('[regions.mars]\napp = "mars"\n', encoding="utf-8")
    with pytest.raises(UsageError, match=r"region 'mars' has no app: there is no project_beacon_hf_mars\.py"):
        deploying.chosen(["mars"])
    assert "mars" not in [each.region for each in deploying.chosen([])]
    with pytest.raises(UsageError, match="unknown region"):
        deploying.chosen(["venus"])


def test_the_files_may_be_the_users_own(tmp_path: Path) -> None:
    """`--apps DIR` deploys a copy that somebody has changed, and refuses a folder that has none."""
    shutil.copytree(APPS, tmp_path / "mine")
    assert {Path(each.file).parent for each in deploying.chosen([], tmp_path / "mine")} == {tmp_path / "mine"}
    with pytest.raises(UsageError, match="no region that is switched on has an app in"):
        deploying.chosen([], tmp_path)


@pytest.mark.parametrize(
    ("arguments", "environment", "code", "said"),
    [
        (["--region", "venus"], {}, 2, "beacon: unknown region 'venus'; known: us, eu, asia\n"),
        ([], {}, 5, "beacon: no Modal credentials: run `modal token new`"),
        ([], {"MODAL_SERVER_URL": "http://127.0.0.1:1"}, 5, "beacon: http://127.0.0.1:1 cannot be reached"),
    ],
)
def test_what_cannot_be_deployed_is_one_line_and_a_code(
    tmp_path: Path, arguments: list[str], environment: dict[str, str], code: int, said: str
) -> None:
    """The command ends with its exit code and one line that says what to do, and stdout stays empty."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MODAL_")}
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        nobody = {"MODAL_CONFIG_PATH": str(tmp_path / "x.toml"), "MODAL_SERVER_URL": f"http://127.0.0.1:{port}"}
        done = subprocess.run(
            [sys.executable, "-m", "beacon_cli", "deploy", *arguments],
            cwd=tmp_path,
            env={**clean, **nobody, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (code, "", 1)
    assert done.stderr.startswith(said)


def test_one_app_that_fails_keeps_no_other_away(
    workspace: Deployed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A file that cannot be run is told in one line each, and the regions after it are deployed."""
    shutil.copytree(APPS, tmp_path / "apps")
    (tmp_path / "apps" / "project_beacon_hf_us.py").write_text("import nothing_of_the_kind", encoding="utf-8")
    (tmp_path / "apps" / "project_beacon_hf_eu.py").write_text("", encoding="utf-8")
    monkeypatch.setattr(deploying, "folder", lambda: tmp_path / "apps")
    told: list[deploying.Deployment] = []
    with pytest.raises(ExceptionGroup) as raised:
        deploying.deploy(deploying.chosen([]), told.append, secret=None, download=False)
    assert [each.region for each in told] == ["asia"]
    assert len(workspace.published) == 1
    said = [str(error) for error in raised.value.exceptions]
    assert all(isinstance(error, StartError) for error in raised.value.exceptions)
    assert "cannot be run: ModuleNotFoundError: No module named 'nothing_of_the_kind'" in said[0]
    assert said[1].endswith("project_beacon_hf_eu.py has no `app`")


def test_the_files_have_to_be_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where the files of the apps are missing, both places are named."""
    monkeypatch.setattr("beacon_cli.__file__", str(tmp_path / "src" / "beacon_cli" / "__init__.py"))
    with pytest.raises(StartError, match=r"expected in .*beacon_cli/modal_apps, or in .*/modal_apps; install"):
        deploying.folder()
    (tmp_path / "modal_apps").mkdir()
    assert deploying.folder() == tmp_path / "modal_apps"
    installed = tmp_path / "src" / "beacon_cli" / "modal_apps"
    installed.mkdir(parents=True)
    assert deploying.folder() == installed


class Fake:
    """Deploys nothing; its downloads give what they are told."""

    def __init__(self, gives: Any) -> None:
        self.gives = gives
        self.called: list[tuple[str, str]] = []

    async def deploy(self, file: str) -> str:
        """The file's name as its page."""
        return Path(file).name

    async def call(self, app: str, function: str) -> Any:
        """Remember who was called."""
        self.called.append((app, function))
        return self.gives


@pytest.mark.parametrize(
    ("gives", "kept"),
    [
        ({"llama3.2-1b": "abc", "mistral-7b": "Gated: no"}, {"llama3.2-1b": "abc", "mistral-7b": "Gated: no"}),
        ([], {}),
    ],
)
def test_weights_are_fetched_where_they_are_wanted(
    monkeypatch: pytest.MonkeyPatch, gives: Any, kept: dict[str, str]
) -> None:
    """`--download` calls the app's function once it is deployed, and shows what became of each model."""
    fake = Fake(gives)

    @asynccontextmanager
    async def deployer() -> Any:
        yield fake

    monkeypatch.setattr(wiring, "deployer", deployer)
    told: list[deploying.Deployment] = []
    deploying.deploy(deploying.chosen(["eu"]), told.append, secret=None, download=True)
    assert fake.called == [("project-beacon-hf-eu", "download")]
    assert told[0].weights == kept


def test_what_is_shown_is_safe_and_complete() -> None:
    """A line for the app and one for each model, harmless on a terminal; with `--json` a line of plain ASCII."""
    done = deploying.Deployment(
        region="eu", app="project-beacon-hf-eu", file="f.py", url="https://x", weights={"a\x1b[2J": "é"}
    )
    text, lines = io.StringIO(), io.StringIO()
    deploying.show(done, stream=text, as_json=False)
    deploying.show(done, stream=lines, as_json=True)
    assert text.getvalue() == "eu: project-beacon-hf-eu  https://x\n    a\\x1b[2J: é\n"
    assert lines.getvalue().isascii()
    assert json.loads(lines.getvalue())["weights"] == {"a\x1b[2J": "é"}


def test_the_options_of_a_class_are_those_of_the_table() -> None:
    """What the SDK's decorators are given is made from the table alone; a route only where one is named."""
    place = Place(id="us", app="us", regions=("us-east",), routing="us-west")
    options = factory.class_options(place, "Model")
    assert (options["retries"], options["max_containers"], options["scaledown_window"]) == (0, 1, 300)
    assert (options["region"], options["routing_region"]) == (["us-east"], "us-west")
    assert options["_experimental_restrict_output"] is True
    for own in settings.PLACES:
        assert "routing_region" not in factory.class_options(own, "Model")


def test_each_file_is_the_app_of_its_region() -> None:
    """The three files differ by their region, and each calls its app `app`."""
    for place in settings.PLACES:
        file = APPS / f"project_beacon_hf_{place.app}.py"
        spec = importlib.util.spec_from_file_location(file.stem, file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        assert module.app.name == settings.APP.format(app=place.app)


def _environment(workspace: Deployed, function: api_pb2.Function) -> dict[str, str]:
    return {name: value for key in function.secret_ids for name, value in workspace.secrets[key].env_dict.items()}


def _formats(function: api_pb2.Function) -> set[int]:
    methods = [list(method.supported_output_formats) for method in function.method_definitions.values()]
    return {form for forms in (function.supported_output_formats, *methods) for form in forms}


def _commands(workspace: Deployed, name: str) -> str:
    image = workspace.images[workspace.functions[name].image_id]
    below = [" ".join(workspace.images[base.image_id].dockerfile_commands) for base in image.base_images]
    return " ".join([*below, *image.dockerfile_commands])
