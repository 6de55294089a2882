from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from beacon_cli import spec
from beacon_cli.model import (
    Analysis,
    BreakerRule,
    Context,
    DesignRule,
    Limits,
    Measure,
    ModalTarget,
    Model,
    Question,
    RetryRule,
    Sampling,
    Schedule,
    SimulatedTarget,
    Spec,
)

LoadText = Callable[[str], Spec]

JOBS = Path(__file__).parents[3] / "jobs"
HEAD = "id: j\nregions: [us, eu]\nmodels: [m]\n"
BASE = HEAD + "questions: [{id: q, text: Why?}]\n"


def test_questions_in_flight_at_a_class_may_exceed_the_gpus(load_text: LoadText) -> None:
    """One container for each model answers them all: limits grow with `in_flight`, the models at once do not."""
    job = load_text(BASE + "schedule: lanes\nin_flight: 8\nlimits: {concurrency: 80, per_region: 24}\n")
    assert (job.limits.concurrency, job.limits.per_region, job.limits.models_at_once) == (80, 24, 3)


def test_a_budget_is_in_usd(load_text: LoadText) -> None:
    """What a run may cost; nothing is set by default."""
    assert load_text(BASE + "budget: 2.50\n").budget == 2.5
    assert load_text(BASE).budget is None


def test_a_small_job_gets_every_default(load_text: LoadText) -> None:
    """What the file does not say is what the vocabulary and the workspace say."""
    job = load_text(BASE)
    assert [region.id for region in job.regions] == ["us", "eu"]
    assert job.models == (Model(id="m"),)
    assert job.questions == (Question(id="q", text="Why?"),)
    assert (job.sampling, job.limits, job.retry, job.breaker) == (
        Sampling(),
        Limits(models_at_once=3),
        RetryRule(),
        BreakerRule(),
    )
    assert (job.schedule, job.repeats, job.system_prompt, job.contexts) == (Schedule.LOCKSTEP, 1, None, ())
    assert (job.description, job.regions_off, job.ignore) == ("", (), ())


def test_everything_that_a_job_may_say_arrives(load_text: LoadText) -> None:
    """Each key of the job file has its place in the spec."""
    job = load_text(
        "id: j\ndescription: d\nregions: [eu, us]\nmodels: [{id: m, regions: [us]}, {id: n}]\n"
        "questions: [{id: q, category: c, text: Why?}]\nsystem_prompt: In {region.place}\n"
        "contexts: [{id: c, system_prompt: 'For {model.id}'}]\nrepeats: 2\n"
        "sampling: {temperature: 1, max_tokens: 5, seed: -1, top_p: .5}\n"
        "limits: {concurrency: 4, per_region: 2, timeout: 1m30s, run_timeout: 1h30m, answer_bytes: 10}\n"
        "retry: {attempts: 1, first: 200ms, factor: 1.5, longest: 0.5h}\nbreaker: {failures: 9}\n"
        "schedule: lanes\nexecutor: {simulated: {seed: 3, speed: 2.5, cold: false}}\nignore: [seed]\n"
    )
    assert [region.id for region in job.regions] == ["eu", "us"]
    assert job.models == (Model(id="m", regions=("us",)), Model(id="n"))
    assert job.questions == (Question(id="q", text="Why?", category="c"),)
    assert job.system_prompt == "In {region.place}"
    assert job.contexts == (Context(id="c", system_prompt="For {model.id}"),)
    assert job.sampling == Sampling(temperature=1.0, max_tokens=5, seed=-1, top_p=0.5)
    assert job.limits == Limits(
        concurrency=4, per_region=2, timeout=90.0, run_timeout=5400.0, answer_bytes=10, models_at_once=3
    )
    assert job.retry == RetryRule(attempts=1, first=0.2, factor=1.5, longest=1800.0)
    assert (job.breaker, job.schedule, job.repeats) == (BreakerRule(failures=9), Schedule.LANES, 2)
    assert job.target == SimulatedTarget(seed=3, speed=2.5, cold=False)
    assert (job.id, job.description, job.ignore) == ("j", "d", ("seed",))


@pytest.mark.parametrize(
    "typed",
    [
        "NO",
        "010",
        "1:30",
        "on",
        "1e3",
        "0x1F",
        "3.0",
        "true",
        "2024-01-01",
        "llama3.2-1b",
        "a/b-C.1",
        "ü ß",
        "名前",
    ],
)
def test_scalars_keep_what_was_typed(load_text: LoadText, typed: str) -> None:
    """YAML's guesses about plain words change no id and no text."""
    job = load_text(
        f"id: {typed}\nregions: [us]\nmodels: [{typed}, {{id: m}}]\nquestions: [{{id: {typed}, text: {typed}}}]\n"
    )
    assert (job.id, job.models[0].id, job.questions[0].id, job.questions[0].text) == (typed,) * 4
    assert {type(text) for text in (job.id, job.models[0].id, job.questions[0].text)} == {str}


@pytest.mark.parametrize("nothing", ["", "~", "null", "Null", "NULL"])
def test_nothing_means_absent(load_text: LoadText, nothing: str) -> None:
    """A key with nothing behind it is as good as a key that is not there."""
    assert load_text(BASE + f"description: {nothing}\nsampling: {nothing}\nrepeats: {nothing}\n") == load_text(
        BASE
    )


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("us", "us"),
        ("US", "us"),
        ("us-east", "us"),
        ("EU", "eu"),
        ("eu-west", "eu"),
        ("ASIA", "asia"),
        ("APAC", "asia"),
        ("apac", "asia"),
        ("Asia-Pacific", "asia"),
    ],
)
def test_a_region_has_several_names(load_text: LoadText, typed: str, meant: str) -> None:
    """Aliases are resolved when the file is read, whatever their case."""
    job = load_text(BASE.replace("[us, eu]", f"[{typed}]").replace("[m]", f"[{{id: m, regions: [{typed}]}}]"))
    assert job.regions[0].id == meant
    assert job.models[0].regions == (meant,)


def test_container_starts_make_repeats(load_text: LoadText) -> None:
    """A design of so many container starts asks each question at least so often, or as often as the job says."""
    assert load_text(BASE + "design: {container_starts: 5}\n").repeats == 5
    assert load_text(BASE + "repeats: 7\ndesign: {container_starts: 5}\n").repeats == 7
    assert load_text(BASE).design == DesignRule()


def test_an_analysis_is_declared_or_not(load_text: LoadText) -> None:
    """What a job declares arrives with the defaults of the rest; a job without `analysis` declares nothing."""
    assert load_text(BASE).analysis is None
    declared = load_text(BASE + "analysis: {primary: chrf, smallest_gap: 0.2, question: Why so?}\n").analysis
    assert declared == Analysis(primary=Measure.CHRF, smallest_gap=0.2, question="Why so?")


def test_regions_that_are_off_are_kept_apart(allowed: spec.Allowed) -> None:
    """A region that the configuration switched off is named in the spec and not planned."""
    off = spec.Allowed(regions=allowed.regions, regions_off=("asia",))
    text = BASE.replace("[us, eu]", "[APAC, us]").replace("[m]", "[m, {id: n, regions: [apac]}]")
    job = spec.parse(text.encode(), Path("job.yaml"), off)
    assert [region.id for region in job.regions] == ["us"]
    assert job.regions_off == ("asia",)
    assert job.models[1].regions == ("asia",)


def test_the_workspace_sets_the_limits_that_a_job_leaves_open(allowed: spec.Allowed) -> None:
    """Without a word in the job the workspace's limits hold; a job may only lower them."""
    narrow = spec.Allowed(regions=allowed.regions, gpus_total=4, gpus_per_region=2)
    job = spec.parse((BASE + "limits: {per_region: 1}\n").encode(), Path("job.yaml"), narrow)
    assert (job.limits.concurrency, job.limits.per_region) == (4, 1)


@pytest.mark.parametrize(
    ("settings", "arguments"),
    [
        ("", set()),
        ("system_prompt: x", {"system_prompt"}),
        ("contexts: [{id: c, system_prompt: x}]", {"system_prompt"}),
        ("sampling: {seed: 1, top_p: 1}", {"seed", "top_p"}),
        ("sampling: {seed: 1, temperature: 0}\nignore: [seed]", {"temperature"}),
        ("system_prompt: x\nignore: [system_prompt]", set()),
        ("system_prompt: x\ncontexts: [{id: c, system_prompt: x}]\nignore: [system_prompt, contexts]", set()),
    ],
)
def test_without_an_executor_beacons_own_app_gets_what_the_job_sets(
    load_text: LoadText, settings: str, arguments: set[str]
) -> None:
    """The default executor has an argument for each setting of the job, and no other."""
    target = load_text(BASE + settings).target
    assert isinstance(target, ModalTarget)
    assert (target.cls, target.method, target.parameters) == ("Model", "generate", {"model": "{model.id}"})
    assert set(target.arguments) == {"prompt", "execution_id", "attempt"} | arguments


def test_the_default_executor_is_the_one_that_the_example_spells_out(load_text: LoadText) -> None:
    """Leaving the executor out of the main example changes nothing."""
    text = (JOBS / "bias-detection.yaml").read_text(encoding="utf-8")
    assert load_text(text.partition("executor:")[0]) == load_text(text)


def test_free_values_become_json_types(load_text: LoadText) -> None:
    """In arguments a plain scalar is a number, true or false where it is one beyond doubt, and else text."""
    job = load_text(
        BASE + "executor: {modal: {app: a, function: f, arguments: {"
        "a: 1, b: -2.5, c: 1e3, d: true, e: NO, f: 010, g: '1', h: ~, i: [1, {j: on}], k: 1:30, l: '{prompt}'}}}"
    )
    assert isinstance(job.target, ModalTarget)
    assert job.target.arguments == {
        "a": 1,
        "b": -2.5,
        "c": 1000.0,
        "d": True,
        "e": "NO",
        "f": "010",
        "g": "1",
        "h": None,
        "i": [1, {"j": "on"}],
        "k": "1:30",
        "l": "{prompt}",
    }


def test_braces_in_questions_stay_as_typed(load_text: LoadText) -> None:
    """A question is never a template, so no placeholder in it can be unknown."""
    job = load_text(HEAD + "questions: [{id: q, text: 'What is {x} in {{y}} and {region.id}?'}]")
    assert job.questions[0].text == "What is {x} in {{y}} and {region.id}?"


def test_the_main_example_is_72_executions(allowed: spec.Allowed) -> None:
    """Three regions, eight questions, three models."""
    job = spec.load(JOBS / "bias-detection.yaml", allowed)
    assert (len(job.regions), len(job.questions), len(job.models)) == (3, 8, 3)
    assert job.sampling == Sampling(temperature=0.1, max_tokens=500, seed=7)
    assert [question.id for question in job.questions][:2] == ["math_basic", "geography_basic"]


@pytest.mark.parametrize("path", sorted(JOBS.glob("*.yaml")), ids=lambda path: path.name)
def test_every_example_loads(allowed: spec.Allowed, path: Path) -> None:
    """The jobs that come with beacon are right, and each has the name of its file."""
    assert spec.load(path, allowed).id == path.stem


def _shuffled(value: object, pick: Callable[[Sequence[str]], Sequence[str]]) -> object:
    if isinstance(value, dict):
        return {key: _shuffled(value[key], pick) for key in pick(list(value))}
    if isinstance(value, list):
        return [_shuffled(item, pick) for item in value]
    return value


@given(data=st.data())
def test_the_order_of_keys_means_nothing(load_text: LoadText, data: st.DataObject) -> None:
    """Permuting the keys of any mapping of a job changes nothing in the spec."""
    text = (JOBS / "bias-detection.yaml").read_text(encoding="utf-8")

    def pick(keys: Sequence[str]) -> Sequence[str]:
        return data.draw(st.permutations(keys))

    permuted = _shuffled(yaml.safe_load(text), pick)
    assert load_text(yaml.safe_dump(permuted, sort_keys=False)) == load_text(text)
