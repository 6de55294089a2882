from __future__ import annotations

from collections.abc import Callable

import pytest

from beacon_cli.model import Limits, OpenaiTarget, Rate, Schedule, Spec

LoadText = Callable[[str], Spec]
FaultsOf = Callable[[str], list[str]]

HEAD = """\
id: t
regions: [us, eu]
models: [llama3.2-1b, mistral-7b]
questions: [{id: q, text: "Why?"}]
"""
KEY = "sk-abcdefghijklmnopqrstuvwxyz0123"


def block(text: str, more: str = "") -> str:
    """A job with this block, in flow style, as its executor; the block begins at 5:20."""
    return f"{HEAD}executor: {{openai: {{{text}}}}}\n{more}"


def test_a_whole_block(load_text: LoadText) -> None:
    """Every key arrives; regions are named by their ids whatever they were called."""
    job = load_text(
        f"""{HEAD}
schedule: lanes
in_flight: 8
limits: {{concurrency: 200, per_region: 100}}
sampling: {{temperature: 0.5, seed: 3, top_p: 0.9}}
system_prompt: Be brief.
ignore: [seed]
executor:
  openai:
    base_url: {{us-east: "https://us.example/v1", EU: "http://eu.example:8000/v1?api-version=1"}}
    api_key_env: {{us: US_KEY, eu-west: EU_KEY}}
    models: {{llama3.2-1b: meta-llama/Llama-3.2-1B-Instruct}}
    headers: {{X-Team: "team ${{TEAM}}", api-key: "${{AZURE_KEY}}"}}
    stop: [END, "no"]
    extra: {{reasoning_effort: low, top_k: 5}}
    rate: {{requests_per_minute: 600, tokens_per_minute: 1e5}}
"""
    )
    assert job.target == OpenaiTarget(
        base_url={"us": "https://us.example/v1", "eu": "http://eu.example:8000/v1?api-version=1"},
        api_key_env={"us": "US_KEY", "eu": "EU_KEY"},
        models={"llama3.2-1b": "meta-llama/Llama-3.2-1B-Instruct"},
        headers={"X-Team": "team ${TEAM}", "api-key": "${AZURE_KEY}"},
        stop=("END", "no"),
        extra={"reasoning_effort": "low", "top_k": 5},
        rate=Rate(requests_per_minute=600.0, tokens_per_minute=1e5),
    )
    assert (job.schedule, job.in_flight) == (Schedule.LANES, 8)
    assert (job.limits.concurrency, job.limits.per_region) == (200, 100)


def test_the_defaults_stay(load_text: LoadText) -> None:
    """One address is enough, and no more is in flight than anywhere else unless the job says so."""
    job = load_text(block('base_url: "https://api.example/v1"'))
    assert job.target == OpenaiTarget(base_url="https://api.example/v1")
    assert (job.limits, job.in_flight) == (Limits(), 1)


FAULTS = [
    ("", "5:20: executor.openai.base_url: is missing"),
    ("base_url: [a]", "5:31: executor.openai.base_url: must be text, or a mapping from region to text"),
    ("base_url: {}", "5:31: executor.openai.base_url: must be text, or a mapping from region to text"),
    (
        'base_url: "api.example/v1"',
        "5:31: executor.openai.base_url: must begin with https:// or http:// and a host, not 'api.example/v1'",
    ),
    (
        'base_url: "https://a.example/v1/chat/completions"',
        "5:31: executor.openai.base_url: ends in /chat/completions, which beacon adds; leave it out",
    ),
    ('base_url: "https://a.example/v1#x"', "5:31: executor.openai.base_url: must not have a part after #"),
    ('base_url: "https://a.example:http/v1"', "5:31: executor.openai.base_url: is no address"),
    (
        'base_url: {us: "https://a.example/v1"}',
        "5:21: executor.openai.base_url: has no address for eu",
    ),
    (
        'base_url: {us: "https://a.example", eu: "https://b.example", uk: "https://c.example"}',
        "5:82: executor.openai.base_url.uk: unknown region 'uk'; known: us, eu, asia",
    ),
    (
        'base_url: {us: "https://a.example", eu: "https://b.example", US: "https://c.example"}',
        "5:82: executor.openai.base_url.US: means us, as 'us' does already",
    ),
    (
        'base_url: "https://a.example/v1", api_key_env: {asia: KEY}',
        "5:69: executor.openai.api_key_env.asia: 'asia' is not among the job's regions",
    ),
    (
        'base_url: "https://a.example/v1", models: {llama3.2: x}',
        "5:64: executor.openai.models.llama3.2: the job has no model 'llama3.2'; did you mean 'llama3.2-1b'?",
    ),
    (
        'base_url: "https://a.example/v1", extra: {stream: true}',
        "5:63: executor.openai.extra.stream: is set by beacon; it cannot stand here",
    ),
    (
        'base_url: "https://a.example/v1", headers: {Host: x}',
        "5:65: executor.openai.headers.Host: is set by beacon; it cannot stand here",
    ),
    (
        'base_url: "https://a.example/v1", headers: {a: x, A: y}',
        "5:71: executor.openai.headers.A: stands here twice: headers are the same whatever their case",
    ),
    (
        'base_url: "https://a.example/v1", headers: {x: "${1}"}',
        "5:68: executor.openai.headers.x: holds a ${ that is no ${NAME} of an environment variable",
    ),
    (
        'base_url: "https://a.example/v1", api_key_env: K, headers: {Authorization: "${K}"}',
        "5:81: executor.openai.headers.Authorization: is made from  api_key_env ; take one of them out",
    ),
    (
        'base_url: "https://a.example/v1", rate: {requests_per_minute: 0}',
        "5:83: executor.openai.rate.requests_per_minute: must be more than 0, not 0",
    ),
    (
        'base_url: "https://a.example/v1", rat: {}',
        "5:55: executor.openai.rat: unknown key; did you mean 'rate'?",
    ),
]


@pytest.mark.parametrize(("text", "fault"), FAULTS)
def test_what_is_wrong_is_told_with_its_place(faults_of: FaultsOf, text: str, fault: str) -> None:
    """Each fault names its place, its key and what to do."""
    assert faults_of(block(text)) == [fault]


@pytest.mark.parametrize(
    "text",
    [
        f'base_url: "https://a.example/v1", api_key_env: {KEY}',
        f'base_url: "https://a.example/v1", api_key_env: {{us: {KEY}}}',
        f'base_url: "https://a.example/v1", api_key_env: "{KEY * 10}"',
        'base_url: "https://a.example/v1", api_key_env: "not-a-name-4711"',
        f'base_url: "https://a.example/v1", headers: {{Authorization: "Bearer {KEY}"}}',
        'base_url: "https://a.example/v1", headers: {api-key: "4711-sesame"}',
        f'base_url: "https://a.example/v1", extra: {{a: [{{b: {KEY}}}]}}',
        'base_url: "https://user:sesame-4711@a.example/v1"',
        f'base_url: "https://a.example/v1?key={KEY}"',
    ],
)
def test_a_key_in_the_file_is_refused_and_not_repeated(faults_of: FaultsOf, text: str) -> None:
    """What looks like a key is a fault wherever it stands, and no message shows it."""
    faults = faults_of(block(text))
    assert faults
    assert not any(secret in fault for fault in faults for secret in (KEY, "4711"))


def test_limits_at_endpoints(faults_of: FaultsOf) -> None:
    """Endpoints have a limit of their own, in place of the workspace's GPUs."""
    job = block('base_url: "https://a.example/v1"', "limits: {concurrency: 1001}\n")
    assert [fault.partition(";")[0] for fault in faults_of(job)] == [
        "6:23: limits.concurrency: is 1,001, but the limit at endpoints is 1,000"
    ]


def test_several_in_flight_need_lanes(faults_of: FaultsOf) -> None:
    """In lockstep a model has one question at a time."""
    assert faults_of(f"{HEAD}in_flight: 2\n") == ["5:1: in_flight: needs  schedule: lanes"]


def test_what_the_endpoint_carries_need_not_be_ignored(faults_of: FaultsOf) -> None:
    """Every setting reaches an endpoint by itself; to ignore one that the job does not set is a fault."""
    job = block('base_url: "https://a.example/v1"', "ignore: [seed]\n")
    assert faults_of(job) == ["6:10: ignore[0]: the job sets no seed, so there is nothing to ignore"]
