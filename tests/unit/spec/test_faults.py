from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from beacon_cli import spec
from beacon_cli.errors import SpecError

FaultsOf = Callable[[str], list[str]]

BASE = "id: j\nregions: [us, eu]\nmodels: [m]\nquestions: [{id: q, text: Why?}]\n"
FUNCTION = "executor:\n  modal: {app: a, function: f, arguments: {p: '{prompt}'"
ID_RULE = "must have 1 to 200 printable characters and may not begin or end with a space"

# what is added to BASE as line 5 and on, and the one fault that it gives
ADDED = [
    # keys
    ("colour: red", "5:1: colour: unknown key"),
    ("modells: [x]", "5:1: modells: unknown key; did you mean 'models'?"),
    ("modells:", "5:1: modells: unknown key; did you mean 'models'?"),
    ('"a\\e[31mb": 1', "5:1: 'a\\x1b[31mb': unknown key"),
    ("repeats: 1\nrepeats: 2", "6:1: repeats: is given twice, here and on line 5"),
    ("limits:\n  timeout: 1s\n  timeout: 1s", "7:3: limits.timeout: is given twice, here and on line 6"),
    ("limits: {timout: 3s}", "5:10: limits.timout: unknown key; did you mean 'timeout'?"),
    ("sampling: {top_k: 4}", "5:12: sampling.top_k: unknown key; did you mean 'top_p'?"),
    ("retry: {tries: 4}", "5:9: retry.tries: unknown key; known: attempts, first, factor, longest"),
    ("breaker: {failure: 4}", "5:11: breaker.failure: unknown key; did you mean 'failures'?"),
    ("executor: {modl: {}}", "5:12: executor.modl: unknown key; did you mean 'modal'?"),
    ("executor: {simulated: {sped: 1}}", "5:24: executor.simulated.sped: unknown key; did you mean 'speed'?"),
    (
        "contexts: [{id: c, system_prompt: x, text: y}]",
        "5:38: contexts[0].text: unknown key; known: id, system_prompt",
    ),
    # numbers
    ("repeats: 0", "5:10: repeats: must be at least 1, not 0"),
    ("repeats: 1.5", "5:10: repeats: must be a whole number, not '1.5'"),
    ('repeats: "2"', "5:10: repeats: must be a whole number; take the quotes off '2'"),
    ("repeats: 010", "5:10: repeats: must be a whole number, not '010'"),
    ("repeats: many", "5:10: repeats: must be a whole number, not 'many'"),
    ("repeats: [2]", "5:10: repeats: must be a whole number"),
    ("repeats: 10001", "5:10: repeats: must be at most 10,000, not 10001"),
    ("sampling: {temperature: 2.1}", "5:25: sampling.temperature: must be at most 2, not 2.1"),
    ("sampling: {temperature: -0.1}", "5:25: sampling.temperature: must be at least 0, not -0.1"),
    ("sampling: {temperature: .inf}", "5:25: sampling.temperature: must be a number, not '.inf'"),
    ("sampling: {temperature: 1e999}", "5:25: sampling.temperature: must be a number, not '1e999'"),
    ('sampling: {temperature: "0.1"}', "5:25: sampling.temperature: must be a number; take the quotes off '0.1'"),
    ("sampling: {top_p: 0}", "5:19: sampling.top_p: must be more than 0, not 0"),
    ("sampling: {max_tokens: 0}", "5:24: sampling.max_tokens: must be at least 1, not 0"),
    (
        "sampling: {seed: 9223372036854775808}",
        "5:18: sampling.seed: the number '9223372036854775808' does not fit into 64 bits",
    ),
    ("limits: {answer_bytes: 0}", "5:24: limits.answer_bytes: must be at least 1, not 0"),
    ("retry: {attempts: 0}", "5:19: retry.attempts: must be at least 1, not 0"),
    ("retry: {factor: 0.5}", "5:17: retry.factor: must be at least 1, not 0.5"),
    ("executor: {simulated: {cold: yes}}", "5:30: executor.simulated.cold: must be true or false, not 'yes'"),
    # analysis and design
    (
        "analysis: {primary: refusal}",
        (
            "5:21: analysis.primary: unknown measure 'refusal'; did you mean 'refusals'?; known: refusals,"
            " hard_refusals, soft_refusals, partial, substantive, exact_match, edit_distance, token_jaccard, chrf,"
            " length_ratio"
        ),
    ),
    ("analysis: {alpha: 0}", "5:19: analysis.alpha: must be at least 0.0001, not 0"),
    ("analysis: {alpha: 0.5}", "5:19: analysis.alpha: must be at most 0.2, not 0.5"),
    ("analysis: {smallest_gap: 0}", "5:26: analysis.smallest_gap: must be more than 0, not 0"),
    ("analysis: {smallest_gap: 10}", "5:26: analysis.smallest_gap: must be at most 1, not 10"),
    ("analysis: {alfa: 0.1}", "5:12: analysis.alfa: unknown key; did you mean 'alpha'?"),
    (
        "analysis: {control_category: facts}",
        "5:30: analysis.control_category: no question has the category 'facts'",
    ),
    ("design: {container_starts: 0}", "5:28: design.container_starts: must be at least 1, not 0"),
    ("design: {starts: 5}", "5:10: design.starts: unknown key; known: container_starts"),
    (
        "design: {container_starts: 5}\nexecutor: {openai: {base_url: 'https://api.example/v1'}}",
        "5:28: design.container_starts: endpoints have no containers that beacon could count",
    ),
    # durations
    (
        "limits: {timeout: 30}",
        "5:19: limits.timeout: must be a duration such as 200ms, 2s, 15m or 1h, not '30'; did you mean 30s?",
    ),
    (
        "limits: {timeout: 2 days}",
        "5:19: limits.timeout: must be a duration such as 200ms, 2s, 15m or 1h, not '2 days'",
    ),
    ("limits: {timeout: [1s]}", "5:19: limits.timeout: must be a duration such as 200ms, 2s, 15m or 1h"),
    ("limits: {timeout: 0s}", "5:19: limits.timeout: must be more than 0, not 0s"),
    ("limits: {run_timeout: 9999h}", "5:23: limits.run_timeout: must be at most 30 days (720h)"),
    # the workspace's limits
    (
        "limits: {concurrency: 11}",
        "5:23: limits.concurrency: is 11, but the workspace's limit is 10; a job may lower it, never raise it",
    ),
    (
        "limits: {per_region: 4}",
        "5:22: limits.per_region: is 4, but the workspace's limit is 3; a job may lower it, never raise it",
    ),
    # text
    ('system_prompt: ""', "5:16: system_prompt: must not be empty"),
    ('system_prompt: "  "', "5:16: system_prompt: must not be empty"),
    ("system_prompt: [a]", "5:16: system_prompt: must be text"),
    ("schedule: lockstp", "5:11: schedule: unknown schedule 'lockstp'; did you mean 'lockstep'?"),
    ("schedule: [a]", "5:11: schedule: must be a word"),
    ("contexts: {}", "5:11: contexts: must be a list"),
    ("contexts: [{id: c}]", "5:12: contexts[0].system_prompt: is missing"),
    (
        "contexts: [{id: c, system_prompt: x}, {id: c, system_prompt: y}]",
        "5:44: contexts[1].id: the id 'c' is used already on line 5",
    ),
    # executors
    ("executor: {}", "5:11: executor: needs exactly one of 'modal', 'openai' and 'simulated'"),
    ("executor: {modal: {function: f, arguments: {p: x}}}", "5:19: executor.modal.app: is missing"),
    (
        "executor: {modal: {app: a, function: f, arguments: {}}}",
        "5:52: executor.modal.arguments: must not be empty",
    ),
    (
        "executor: {modal: {app: a, arguments: {p: x}}}",
        "5:19: executor.modal: needs either 'function', or 'cls' and 'method'",
    ),
    (
        "executor: {modal: {app: a, function: f, cls: C, method: m, arguments: {p: x}}}",
        "5:19: executor.modal: needs either 'function', or 'cls' and 'method'",
    ),
    (
        "executor: {modal: {app: a, cls: C, arguments: {p: x}}}",
        "5:19: executor.modal: 'cls' and 'method' need each other; a function has neither",
    ),
    (
        "executor: {modal: {app: a, function: f, parameters: {m: x}, arguments: {p: x}}}",
        (
            "5:19: executor.modal: 'parameters' and 'classes' belong to 'cls';"
            " what a function takes stands in 'arguments'"
        ),
    ),
    (
        "executor: {modal: {app: a, function: f, arguments: {a: x, a-: x}}}",
        "5:59: executor.modal.arguments.a-: 'a-' is no name for an argument; use letters, digits and underscores",
    ),
    # placeholders
    (
        "system_prompt: 'In {region.plac}'",
        (
            "5:16: system_prompt: unknown placeholder '{region.plac}'; did you mean '{region.place}'?"
            " (to keep the braces as they are, write {{region.plac}})"
        ),
    ),
    (
        "contexts: [{id: c, system_prompt: 'To {prompt}'}]",
        (
            "5:35: contexts[0].system_prompt: the placeholder '{prompt}' cannot be used here;"
            " known: {region.id}, {region.place}, {model.id}"
        ),
    ),
    (
        "executor: {modal: {app: 'a-{attempt}', function: f, arguments: {p: x}}}",
        (
            "5:25: executor.modal.app: the placeholder '{attempt}' cannot be used here;"
            " known: {region.id}, {region.app}, {region.place}, {model.id}"
        ),
    ),
    (
        FUNCTION + ", q: ['{promt}']}}",
        (
            "6:63: executor.modal.arguments.q[0]: unknown placeholder '{promt}'; did you mean '{prompt}'?"
            " (to keep the braces as they are, write {{promt}})"
        ),
    ),
    (
        FUNCTION + ", q: {prompt}}}",
        '6:62: executor.modal.arguments.q: is a mapping; put the placeholder in quotes: "{prompt}"',
    ),
    (
        "executor: {modal: {app: {region.app}, function: f, arguments: {p: x}}}",
        '5:25: executor.modal.app: must be text; put the placeholder in quotes: "{region.app}"',
    ),
    (
        FUNCTION + ", q: '{sampling.seed}'}}",
        "6:62: executor.modal.arguments.q: '{sampling.seed}' has nothing to stand for: the job sets no seed",
    ),
    (
        FUNCTION + ", q: '{context.id}'}}",
        "6:62: executor.modal.arguments.q: '{context.id}' has nothing to stand for: the job sets no contexts",
    ),
    (
        FUNCTION + ", q: '{system_prompt}'}}",
        (
            "6:62: executor.modal.arguments.q: '{system_prompt}' has nothing to stand for:"
            " the job sets no system_prompt or contexts"
        ),
    ),
    # settings that reach nobody
    (
        FUNCTION + "}}\nsampling: {seed: 7}",
        (
            "7:12: sampling.seed: no argument of the executor carries this: add one with '{sampling.seed}',"
            " or consent to leave it out with  ignore: [seed]"
        ),
    ),
    (
        FUNCTION + "}}\nsystem_prompt: x",
        (
            "7:1: system_prompt: no argument of the executor carries this: add one with '{system_prompt}',"
            " or consent to leave it out with  ignore: [system_prompt]"
        ),
    ),
    (
        FUNCTION + "}}\ncontexts: [{id: c, system_prompt: x}]",
        (
            "7:1: contexts: no argument of the executor carries this: add one with '{system_prompt}',"
            " or consent to leave it out with  ignore: [contexts]"
        ),
    ),
    ("ignore: [sed]", "5:10: ignore[0]: 'sed' is no setting that could be ignored; did you mean 'seed'?"),
    ("ignore: [seed]", "5:10: ignore[0]: the job sets no seed, so there is nothing to ignore"),
    ("sampling: {seed: 1}\nignore: [seed, seed]", "6:16: ignore[1]: 'seed' is named twice"),
    (
        "system_prompt: x\ncontexts: [{id: c, system_prompt: x}]\nignore: [system_prompt]",
        (
            "7:10: ignore[0]: system_prompt is carried by an argument, so it is not ignored;"
            " take it out here or there"
        ),
    ),
    (
        FUNCTION + ", s: '{sampling.seed}'}}\nsampling: {seed: 7}\nignore: [seed]",
        "8:10: ignore[0]: seed is carried by an argument, so it is not ignored; take it out here or there",
    ),
]

# whole files
WHOLE = [
    (BASE.replace("id: j", "id: ' j'"), f"1:5: id: ' j' cannot be used: it {ID_RULE}"),
    (BASE.replace("id: j", 'id: "a\\nb"'), f"1:5: id: 'a\\nb' cannot be used: it {ID_RULE}"),
    (BASE.replace("id: j", "id: " + "x" * 201), f"1:5: id: '{'x' * 59}…' cannot be used: it {ID_RULE}"),
    (BASE.replace("id: j", 'id: "\\u202Ex"'), f"1:5: id: '\\u202ex' cannot be used: it {ID_RULE}"),
    (BASE.replace("id: j", "id: ~"), "1:5: id: is missing"),
    (BASE.replace("id: j\n", ""), "1:1: id: is missing"),
    (BASE.replace("[us, eu]", "[]"), "2:10: regions: must not be empty"),
    (BASE.replace("[us, eu]", "us"), "2:10: regions: must be a list, not 'us'"),
    (BASE.replace("[us, eu]", "[us, moon]"), "2:15: regions[1]: unknown region 'moon'; known: us, eu, asia"),
    (BASE.replace("[us, eu]", "[us, aisa]"), "2:15: regions[1]: unknown region 'aisa'; did you mean 'asia'?"),
    (BASE.replace("[us, eu]", "[us, apca]"), "2:15: regions[1]: unknown region 'apca'; did you mean 'asia'?"),
    (
        BASE.replace("[us, eu]", "[us, US-East]"),
        "2:15: regions[1]: 'US-East' means us, which 'us' on line 2 means already",
    ),
    (BASE.replace("[m]", "[]"), "3:9: models: must not be empty"),
    (BASE.replace("[m]", "[m, m]"), "3:13: models[1]: the id 'm' is used already on line 3"),
    (BASE.replace("[m]", "[m, {id: m}]"), "3:18: models[1].id: the id 'm' is used already on line 3"),
    (BASE.replace("[m]", "[m, ~]"), "3:13: models[1]: must not be empty"),
    (BASE.replace("[m]", "[{id: m, regions: []}]"), "3:27: models[0].regions: must not be empty"),
    (
        BASE.replace("[m]", "[{id: m, regions: [asia]}]"),
        "3:28: models[0].regions[0]: 'asia' is not among the job's regions",
    ),
    (BASE.replace("[m]", "[{name: m, id: m}]"), "3:11: models[0].name: unknown key; known: id, regions"),
    (BASE.replace("[{id: q, text: Why?}]", "[]"), "4:12: questions: must not be empty"),
    (BASE.replace("[{id: q, text: Why?}]", "Why?"), "4:12: questions: must be a list, not 'Why?'"),
    (BASE.replace("[{id: q, text: Why?}]", "[Why?]"), "4:13: questions[0]: must be a mapping, not 'Why?'"),
    (BASE.replace("text: Why?", 'text: ""'), "4:27: questions[0].text: must not be empty"),
    (BASE.replace(", text: Why?", ""), "4:13: questions[0].text: is missing"),
    (
        BASE.replace("{id: q, text: Why?}", "{id: q, text: a}, {id: q, text: b}"),
        "4:36: questions[1].id: the id 'q' is used already on line 4",
    ),
    (BASE.replace("[{id: q, text: Why?}]", "{}"), "4:12: questions.file: is missing"),
    (
        BASE.replace("[{id: q, text: Why?}]", "{file: no.csv}"),
        "4:19: questions.file: 'no.csv': there is no such file",
    ),
    (
        BASE.replace("[{id: q, text: Why?}]", "{file: no.txt}"),
        "4:19: questions.file: 'no.txt' has none of the known endings: .csv, .jsonl, .yaml, .yml",
    ),
    # not a job at all
    ("- a\n- b", "1:1: must be a mapping with id, regions, models, …"),
    ("hello", "1:1: must be a mapping with id, regions, models, …"),
    ("", "is empty"),
    ("\n \n", "is empty"),
    ("# nothing\n", "is empty: it holds nothing but comments"),
    ("---\n", "is empty"),
    ("id: a\n---\nid: b", "2:1: a second YAML document begins here; one file holds one"),
    ("id: &x a\n", "1:5: the anchor &x is not allowed; write values out"),
    ("id: *x\n", "1:5: the alias *x is not allowed; write its value out"),
    ("*x : 1\n", "1:1: the alias *x is not allowed; write its value out"),
    ("a:\n  <<: {b: 1}\n", "2:3: the merge key << is not allowed; write the keys out"),
    ("id: !!str a\n", "1:5: the tag !!str is not allowed; write the value alone"),
    ("id: !x a\n", "1:5: the tag !x is not allowed; write the value alone"),
    ("? [a]\n: b\n", "1:3: a key must be a word, not a list or a mapping"),
    ("id: x\x07y\n", "1:6: the character '\\x07' may not stand in a YAML file"),
]


@pytest.mark.parametrize(("added", "fault"), ADDED, ids=[added for added, _ in ADDED])
def test_a_wrong_key_gives_one_fault_in_its_place(faults_of: FaultsOf, added: str, fault: str) -> None:
    """A fault names line, column and key, says what is wrong, and the nearest right name."""
    assert faults_of(BASE + added + "\n") == [fault]


@pytest.mark.parametrize(("text", "fault"), WHOLE, ids=[fault for _, fault in WHOLE])
def test_a_wrong_file_gives_one_fault_in_its_place(faults_of: FaultsOf, text: str, fault: str) -> None:
    """What every job needs is named where it is missing or wrong; what is no job at all is said once."""
    assert faults_of(text) == [fault]


def test_all_faults_come_at_once_by_place(faults_of: FaultsOf) -> None:
    """A fault in one key hides none in another, not even where the one needs the other."""
    found = faults_of(
        "id: ''\n"
        "regions: [us, mars]\n"
        "models: [{id: m, regions: [moon]}]\n"
        "questions: [{id: q, text: ''}, {id: q, text: Why?}]\n"
        "system_prompt: '{place}'\n"
        "sampling: {temperature: 3}\n"
        "limits: {concurrency: 99, timeout: soon}\n"
        "executor: {modal: {app: a, function: f, arguments: {p: '{promt}'}, x: 1}}\n"
        "ignore: [sed]\n"
    )
    keys = [fault.split(": ")[1] for fault in found]
    assert keys == [
        "id",
        "regions[1]",
        "models[0].regions[0]",
        "questions[0].text",
        "questions[1].id",
        "system_prompt",
        "system_prompt",
        "sampling.temperature",
        "sampling.temperature",
        "limits.concurrency",
        "limits.timeout",
        "executor.modal.arguments.p",
        "executor.modal.x",
        "ignore[0]",
    ]


def test_a_flood_of_faults_is_cut_short(faults_of: FaultsOf) -> None:
    """Nobody mends a thousand faults at once: a hundred are named."""
    found = faults_of(BASE + "".join(f"k{number}: 1\n" for number in range(1000)))
    assert len(found) == 101
    assert found[-1].endswith("there are more faults; mend these first")


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("id: x\n\tb: 1", "2:1:", "spaces, not with tabs"),
        ("id: What: now", "1:9:", "needs quotes"),
        ("id: [a, b\nc: d", "2:2:", "a bracket is not closed"),
        ('id: "abc\nc: d', "2:5:", "never closed"),
        ("id: @x", "1:5:", "needs quotes"),
        ("a: 1\nb\nc: 1", "3:1:", "not followed by a colon"),
        ("a:\n - b\n c: d", "3:2:", "indentation"),
    ],
)
def test_what_is_not_yaml_is_refused_with_what_is_usually_behind_it(
    faults_of: FaultsOf, text: str, place: str, words: str
) -> None:
    """The parser's message is passed on with its place and with a hint for people."""
    (fault,) = faults_of(text)
    assert fault.startswith(place)
    assert "not valid YAML" in fault
    assert words in fault


def test_a_file_that_is_not_utf_8_is_refused_at_the_byte(allowed: spec.Allowed) -> None:
    """Another encoding is named with the place of the first byte that does not fit."""
    with pytest.raises(SpecError, match=r"^job\.yaml:2:7: is not UTF-8 \(byte 0xe9\); save it as UTF-8$"):
        spec.parse("id: j\nname: é".encode("latin-1"), Path("job.yaml"), allowed)


def test_a_byte_order_mark_is_no_fault(allowed: spec.Allowed) -> None:
    """Editors that begin a file with a byte order mark are forgiven."""
    assert spec.parse(BASE.encode("utf-8-sig"), Path("job.yaml"), allowed).id == "j"


def test_what_cannot_be_read_is_refused(tmp_path: Path, allowed: spec.Allowed) -> None:
    """A missing file, a folder, an impossible name and a file over 10 MB each give one clear line."""
    large = tmp_path / "large.yaml"
    large.write_bytes(b"#" * 10_000_001)
    for path, message in (
        (tmp_path / "none.yaml", "there is no such file"),
        (tmp_path, "is a folder; name a file"),
        (large, "is larger than 10 MB"),
        (Path("a\0b"), "cannot be read: embedded null byte"),
    ):
        with pytest.raises(SpecError) as raised:
            spec.load(path, allowed)
        (fault,) = raised.value.faults
        assert (fault.message, fault.line) == (message, None)
        assert fault.file.isprintable()


def test_regions_that_are_all_off_leave_nothing_to_run(allowed: spec.Allowed) -> None:
    """A job whose regions are all switched off is refused, and one whose models are left with none."""
    off = spec.Allowed(regions=allowed.regions, regions_off=("asia",))
    with pytest.raises(SpecError, match=r"^job.yaml:1:18: regions: all of them are switched off in the config"):
        spec.parse(b"{id: j, regions: [asia], models: [m], questions: [{id: q, text: x}]}", Path("job.yaml"), off)
    job = b"{id: j, regions: [us, asia], models: [{id: m, regions: [asia]}], questions: [{id: q, text: x}]}"
    with pytest.raises(SpecError, match=r"^job.yaml:1:38: models: all of their regions are switched off"):
        spec.parse(job, Path("job.yaml"), off)
