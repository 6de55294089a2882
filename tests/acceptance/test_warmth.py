"""Containers started before anybody asks, kept, and let go: the installed commands, an emulated workspace."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import pytest
from tests.acceptance.conftest import BEACON, Beacon, Emulator

Record: TypeAlias = dict[str, Any]

JOB = """\
id: office
regions: [us, eu]
models: [{{id: m1}}, {{id: m2}}]
questions: [{{id: q, text: "why?"}}, {{id: r, text: "how?"}}]
{more}
"""
ALWAYS, NEVER = "Mon-Sun 00:00-24:00 UTC", "Mon 00:00-00:01 Pacific/Kiritimati"


class Office(Protocol):
    """The commands, in an emulated workspace."""

    def __call__(self, *arguments: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
        """Run `beacon ARGUMENTS…` there."""
        ...


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """What the provider has seen."""
    return tmp_path / "ledger.jsonl"


@pytest.fixture
def variables(request: pytest.FixtureRequest, emulator: Emulator, ledger: Path) -> Iterator[Mapping[str, str]]:
    """Twenty times faster than life unless a test asks for less: a container stays warm for six seconds."""
    with emulator("--speed", getattr(request, "param", "20"), "--ledger", ledger) as given:
        yield given


@pytest.fixture
def office(beacon: Beacon, variables: Mapping[str, str]) -> Office:
    """The commands there."""

    def run(*arguments: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
        return beacon(*arguments, **{**variables, **more})

    return run


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """Two models in two regions."""
    path = tmp_path / "office.yaml"
    path.write_text(JOB.format(more=""))
    return path


def seen(ledger: Path, event: str) -> list[Record]:
    """The ledger's lines of one kind."""
    records = [json.loads(line) for line in ledger.read_text().splitlines() if line.endswith("}")]
    return [record for record in records if record["event"] == event]


def test_prewarm_shows_each_container_and_how_long_it_took(office: Office, job: Path, ledger: Path) -> None:
    """Each model's container is started once, and told with its seconds; the code is 0 since all are ready."""
    done = office("prewarm", job, "--region", "eu")
    assert done.returncode == 0, done.stderr
    lines = [line.split("  ")[-1] for line in done.stdout.splitlines()]
    assert sorted(line.split(": ready in ")[0] for line in lines) == ["eu m1", "eu m2"]
    assert all(line.endswith("s (cold)") for line in lines)
    assert {(up["region"], up["pool"].split("/")[1]) for up in seen(ledger, "container_up")} == {
        ("eu", "Model(m1)"),
        ("eu", "Model(m2)"),
    }


@pytest.mark.parametrize("variables", ["6"], indirect=True)
def test_a_run_finds_what_was_prewarmed(office: Office, job: Path, ledger: Path) -> None:
    """GPUs of prewarmed containers count in the queue; the run takes the containers over, and none starts anew."""
    assert office("prewarm", job, "--region", "eu").returncode == 0
    counted = json.loads(office("queue-status", "--json", "--region", "eu").stdout)
    assert counted["gpus"]["idle"] == 2
    run = office("run", job, "--region", "eu", "-q")
    assert run.returncode == 0, run.stderr
    assert len(seen(ledger, "container_up")) == 2


def test_prewarm_says_as_json_what_came(office: Office, job: Path) -> None:
    """With --json stdout is one list: region, model, whether it is ready, seconds, cold or not, container."""
    done = office("prewarm", job, "--model", "m1", "--json")
    rows = json.loads(done.stdout)
    assert [(row["region"], row["model"], row["ready"], row["cold"]) for row in rows] == [
        ("us", "m1", True, True),
        ("eu", "m1", True, True),
    ]
    assert all(row["seconds"] > 0 and row["container"].startswith("ta-") for row in rows)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--region", "mars"), 2, "unknown region 'mars'"),
        (("--model", "nobody"), 2, "no model 'nobody'"),
        (("--region", "asia"), 2, "in this job"),
    ],
)
def test_what_cannot_be_prewarmed_is_said(
    office: Office, job: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    """A wrong name is one line, and nothing was started."""
    done = office("prewarm", job, *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_app_that_is_not_there_is_said(office: Office, tmp_path: Path) -> None:
    """What is not deployed is named, with code 5."""
    path = tmp_path / "other.yaml"
    called = "app: nowhere, cls: Model, parameters: {model: x}, method: generate, arguments: {prompt: '{prompt}'}"
    more = f"executor: {{modal: {{{called}}}}}"
    path.write_text(JOB.format(more=more))
    done = office("prewarm", path)
    assert done.returncode == 5
    assert "not deployed on Modal" in done.stderr


def test_a_function_is_not_warmed_by_a_question_that_nobody_asked(
    office: Office, tmp_path: Path, ledger: Path
) -> None:
    """Where nothing but the model can be called, nothing is: the code is 3, and the way out is named."""
    path = tmp_path / "old.yaml"
    arguments = "{model_name: '{model.id}', prompt: '{prompt}'}"
    called = f"app: 'project-beacon-hf-{{region.app}}', function: run_inference, arguments: {arguments}"
    more = f"executor: {{modal: {{{called}}}}}"
    path.write_text(JOB.format(more=more))
    done = office("prewarm", path, "--region", "us")
    assert done.returncode == 3
    assert done.stdout.count("NOT READY: nothing can be called there but the model") == 2
    assert seen(ledger, "placed") == []


def test_a_busy_region_is_waited_for_only_on_request(office: Office, job: Path) -> None:
    """In a region that is paused no container is started: without --wait the code is 5."""
    assert office("queue", "pause", "--region", "us").returncode == 0
    done = office("prewarm", job, "--region", "us")
    assert done.returncode == 5
    assert "region us" in done.stderr


@pytest.mark.parametrize("variables", ["6"], indirect=True)
def test_cool_lets_the_containers_of_a_region_go(office: Office, job: Path, ledger: Path) -> None:
    """After `cool JOB --region` no container of it lives, nor counts in the queue; windows are as before."""
    assert office("prewarm", job, "--region", "us").returncode == 0
    done = office("cool", job, "--region", "us")
    assert (done.returncode, done.stderr) == (0, "")
    assert "us: no container of 2 models lives any more" in done.stdout
    assert len(seen(ledger, "container_down")) == 2
    assert json.loads(office("queue-status", "--json", "--region", "us").stdout)["gpus"]["in_use"] == 0
    scaled = seen(ledger, "scaled")
    assert {record["scaledown_window"] for record in scaled[-2:]} == {120.0}


def test_what_a_crash_kept_warm_is_put_back(
    office: Office, job: Path, ledger: Path, environment: dict[str, str], variables: Mapping[str, str]
) -> None:
    """A run with --keep-warm that is killed leaves a minimum of one; `doctor` names it and `cool` puts it back."""
    command = [str(BEACON), "run", str(job), "--region", "us", "--keep-warm", "--json", "-q"]
    with subprocess.Popen(
        command, env={**environment, **variables}, stdout=subprocess.PIPE, text=True, cwd=job.parent
    ) as run:
        assert run.stdout is not None
        next(line for line in run.stdout if '"warming"' in line)
        run.kill()
    assert {record["min_containers"] for record in seen(ledger, "scaled")} == {1}
    told = office("doctor", job).stdout
    assert told.count("changed its window and is gone") == 2
    cooled = office("cool")
    assert cooled.returncode == 0, cooled.stderr
    assert cooled.stdout.count("its window is 120 s again") == 2
    assert {record["min_containers"] for record in seen(ledger, "scaled")[-2:]} == {0}
    assert office("cool").stdout == "no window is changed: nothing to put back\n"


def test_a_run_that_is_stopped_at_once_says_what_it_leaves_kept(
    office: Office, job: Path, environment: dict[str, str], variables: Mapping[str, str]
) -> None:
    """The second signal leaves containers kept warm: that they cost money is said, and what ends it."""
    command = [str(BEACON), "run", str(job), "--region", "us", "--keep-warm", "--json", "-q"]
    with subprocess.Popen(
        command,
        env={**environment, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=job.parent,
    ) as run:
        assert run.stdout is not None
        assert run.stderr is not None
        next(line for line in run.stdout if '"warming"' in line)
        run.send_signal(signal.SIGSTOP)  # both are there when it goes on: the first has no time to do its work
        run.send_signal(signal.SIGINT)
        run.send_signal(signal.SIGTERM)
        run.send_signal(signal.SIGCONT)
        said = run.stderr.read()
    assert "the windows of 2 pools were changed and are not put back" in said
    assert office("cool").stdout.count("its window is 120 s again") == 2


def test_a_run_keeps_its_containers_for_its_turn_alone(office: Office, job: Path, ledger: Path) -> None:
    """With --keep-warm the minimum is one while the run lasts, and none after it."""
    done = office("run", job, "--region", "us", "--keep-warm", "-q")
    assert done.returncode == 0, done.stderr
    minimums = [record["min_containers"] for record in seen(ledger, "scaled")]
    assert sorted(minimums[:2]) == [1, 1]
    assert sorted(minimums[-2:]) == [0, 0]


def test_business_hours_are_kept_from_cron(office: Office, job: Path, ledger: Path, tmp_path: Path) -> None:
    """Within its hours `warm --apply` keeps a container of each model, which `doctor` tells; outside, none."""
    job.write_text(JOB.format(more=f'keep_warm: {{hours: "{ALWAYS}", regions: [eu]}}'))
    said = office("warm", job)
    assert said.stdout == f"{ALWAYS}: now, eu\n"
    assert not ledger.read_text().count("scaled")
    assert office("warm", job, "--apply").returncode == 0
    kept = [(record["region"], record["min_containers"]) for record in seen(ledger, "scaled")]
    assert kept == [("eu", 1), ("eu", 1)]
    assert json.loads(office("queue-status", "--json", "--region", "eu").stdout)["gpus"]["idle"] == 2
    first = next((tmp_path / "state" / "windows").glob("*.json"))
    first.write_text(json.dumps(json.loads(first.read_text()) | {"at": 0.0}))
    found = [
        each["grade"] for each in json.loads(office("doctor", "--json").stdout) if each["about"] == "kept warm"
    ]
    assert sorted(found) == ["look", "ok"], "nobody follows business hours for more than a day"
    job.write_text(JOB.format(more=f'keep_warm: {{hours: "{NEVER}", regions: [eu]}}'))
    over = office("warm", job, "--apply")
    assert over.returncode == 0
    assert over.stdout.count("its window is 120 s again") == 2
    assert [record["min_containers"] for record in seen(ledger, "scaled")[2:]] == [0, 0]


def test_a_job_without_hours_cannot_be_kept(office: Office, job: Path) -> None:
    """The line says what to write."""
    done = office("warm", job, "--apply")
    assert done.returncode == 2
    assert "has no keep_warm" in done.stderr


def test_probe_measures_a_region_that_is_off_and_leaves_nothing(office: Office, ledger: Path) -> None:
    """Each container of a region that is switched off starts from cold, is told, and is gone again."""
    done = office("probe", "--region", "asia", BEACON_REGIONS_OFF="asia")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("(cold)") == 3
    assert "asia: the slowest container started in" in done.stdout
    assert len(seen(ledger, "container_up")) == len(seen(ledger, "container_down")) == 3
    refused = office("prewarm", "--region", "asia", BEACON_REGIONS_OFF="asia")
    assert refused.returncode == 2
    assert "beacon probe" in refused.stderr


def test_doctor_says_that_all_is_well(office: Office, job: Path) -> None:
    """With credentials, apps and an empty queue no finding would stop a run, and the code is 0."""
    done = office("doctor", job, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {each["grade"] for each in found} == {"ok"}
    about = {each["about"] for each in found}
    cells = {"us m1", "us m2", "eu m1", "eu m2"}
    assert about == {"state folder", "queue", "leftovers", "us app", "eu app", *cells, "GPUs"}
    assert all("version" in each["said"] for each in found if each["about"].endswith("app"))


def test_doctor_holds_the_apps_against_the_configuration(office: Office, job: Path, tmp_path: Path) -> None:
    """An app that may run elsewhere than its region, or ends a call before the job would, is named as such."""
    (tmp_path / "beacon.toml").write_text('[regions.us]\nmodal = ["us-west"]\n')
    job.write_text(JOB.format(more="limits: {timeout: 30m}"))
    done = office("doctor", job, "--json")
    found = {each["about"]: each for each in json.loads(done.stdout)}
    assert done.returncode == 0, "slower or elsewhere, and yet a run can start"
    assert "may run in us-east, and us is us-west" in found["us m1"]["said"]
    assert "ends a call after 15:00, and the job's limits.timeout is 30:00" in found["eu m1"]["said"]
    assert "beacon deploy --region eu" in found["eu m1"]["remedy"]


def test_doctor_says_what_would_stop_a_run(office: Office, job: Path) -> None:
    """Wrong credentials, or a queue of other caps: one finding each with its remedy, and code 5."""
    lost = office("doctor", job, MODAL_TOKEN_SECRET="as-wrong")  # noqa: S106 - it is wrong
    assert lost.returncode == 5
    assert "stop  provider" in lost.stdout
    assert office("prewarm", job, "--model", "m1").returncode == 0
    other = office("doctor", job, BEACON_GPUS_TOTAL="4")
    assert other.returncode == 5
    assert "gpus_total is 10 there and 4 here" in other.stdout
    assert "-> set them alike in beacon.toml" in other.stdout
