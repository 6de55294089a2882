from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from beacon_cli import spec
from beacon_cli.errors import SpecError
from beacon_cli.model import Question

Ask = Callable[[str, str], tuple[Question, ...]]


@pytest.fixture
def ask(tmp_path: Path, allowed: spec.Allowed) -> Ask:
    """The questions of a file with this name and text, through a job beside it."""

    def load(name: str, text: str) -> tuple[Question, ...]:
        (tmp_path / name).write_text(text, encoding="utf-8", newline="")
        job = tmp_path / "job.yaml"
        job.write_text(f"id: j\nregions: [us]\nmodels: [m]\nquestions: {{file: {name}}}\n", encoding="utf-8")
        return spec.load(job, allowed).questions

    return load


@pytest.fixture
def faults(ask: Ask, tmp_path: Path) -> Callable[[str, str], list[str]]:
    """The faults of such a file, one line each, without the folder's name."""

    def found(name: str, text: str) -> list[str]:
        with pytest.raises(SpecError) as raised:
            ask(name, text)
        return [str(fault).removeprefix(f"{tmp_path}/") for fault in raised.value.faults]

    return found


TWO = (Question(id="010", text='Say "a, b"', category="NO"), Question(id="q", text="Why?\nHow?"))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("q.csv", 'id,category,text\n010,NO,"Say ""a, b"""\n\nq,,"Why?\nHow?"\n'),
        ("q.csv", '\ufeffid,text,category\r\n010,"Say ""a, b""",NO\r\nq,"Why?\nHow?",\r\n'),
        ("q.CSV", 'id , category,text\n010,NO,"Say ""a, b"""\n,,\nq,,"Why?\nHow?"'),
        (
            "q.jsonl",
            (
                '{"id": "010", "category": "NO", "text": "Say \\"a, b\\""}\n'
                '\n{"id": "q", "category": null, "text": "Why?\\nHow?"}'
            ),
        ),
        ("q.yaml", "- {id: 010, category: NO, text: 'Say \"a, b\"'}\n- id: q\n  text: |-\n    Why?\n    How?\n"),
        ("q.yml", '[{id: 010, category: NO, text: "Say \\"a, b\\""}, {id: q, text: "Why?\\nHow?"}]'),
    ],
)
def test_the_same_questions_in_every_format(ask: Ask, name: str, text: str) -> None:
    """CSV, JSONL and YAML say the same thing, and keep what was typed."""
    assert ask(name, text) == TWO


def test_numbers_in_json_lines_keep_their_digits(ask: Ask) -> None:
    """An id that JSON would read as a number stays what stands in the file."""
    assert ask("q.jsonl", '{"id": 1.50, "text": 10000000000000000000000}')[0] == Question(
        id="1.50", text="10000000000000000000000"
    )


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("q.csv", "", "q.csv: is empty"),
        ("q.csv", "id,text\n", "q.csv:1:1: must not be empty"),
        ("q.csv", "id,txt\na,b", "q.csv:1:1: unknown column 'txt'; did you mean 'text'?"),
        ("q.csv", "id,id,text\na,b,c", "q.csv:1:1: the column 'id' is there twice"),
        ("q.csv", "id,category\na,b", "q.csv:1:1: the header lacks the column 'text'"),
        (
            "q.csv",
            "id,text\n\na,b,c",
            "q.csv:3:1: has 3 cells, the header 2; a text with a comma needs quotes around it",
        ),
        ("q.csv", "id,text\na,\nb,x", "q.csv:2:1: [0].text: must not be empty"),
        ("q.csv", 'id,text\na,"x\ny"\na,z', "q.csv:4:1: [1].id: the id 'a' is used already on line 2"),
        ("q.csv", 'id,text\na,"x', "q.csv:2:1: is not valid CSV: unexpected end of data"),
        (
            "q.csv",
            "id,text\na," + "x" * 200_000,
            "q.csv:2:1: is not valid CSV: field larger than field limit (131072)",
        ),
        (
            "q.jsonl",
            '{"id": "a", "text": "x"}\n{"id": "b"',
            "q.jsonl:2:11: is not valid JSON: Expecting ',' delimiter",
        ),
        ("q.jsonl", '{"id": "a"}', "q.jsonl:1:1: [0].text: is missing"),
        ("q.jsonl", '["a"]', 'q.jsonl:1:1: each line must be an object: {"id": …, "text": …}'),
        ("q.jsonl", '{"id": "a", "id": "b", "text": "x"}', "q.jsonl:1:1: the key 'id' is given twice"),
        ("q.jsonl", '{"id": "a", "text": true}', "q.jsonl:1:1: [0].text: must be text"),
        ("q.jsonl", '{"id": "a", "text": {"b": 1}}', "q.jsonl:1:1: [0].text: must be text"),
        ("q.jsonl", '{"id": ' + "[" * 100_000, "q.jsonl:1:1: nested too deeply"),
        (
            "q.jsonl",
            '{"id": "a", "text": "\\ud800"}',
            "q.jsonl:1:1: [0].text: holds '\\ud800', half a character, which UTF-8 cannot carry",
        ),
        ("q.yaml", "{id: a, text: b}", "q.yaml:1:1: must be a list of questions"),
        ("q.yaml", "- {id: a, txt: b, text: c}", "q.yaml:1:11: [0].txt: unknown key; did you mean 'text'?"),
        ("q.yaml", "- &a {id: a, text: c}\n- *a", "q.yaml:1:3: the anchor &a is not allowed; write values out"),
        ("q.yaml", "- id: a\n  id: b\n  text: c", "q.yaml:2:3: [0].id: is given twice, here and on line 1"),
    ],
)
def test_a_fault_in_a_question_file_is_placed_there(
    faults: Callable[[str, str], list[str]], name: str, text: str, fault: str
) -> None:
    """What is wrong in a question file names that file, the line and the row."""
    assert faults(name, text) == [fault]


def test_faults_of_the_job_and_of_its_questions_come_together(tmp_path: Path, allowed: spec.Allowed) -> None:
    """A fault in the job does not hide those in its question file; the job's come first."""
    (tmp_path / "q.csv").write_text("id,text\na,\n", encoding="utf-8")
    job = tmp_path / "job.yaml"
    job.write_text("id: j\nregions: [mars]\nmodels: [m]\nquestions: {file: q.csv}\nx: 1\n", encoding="utf-8")
    with pytest.raises(SpecError) as raised:
        spec.load(job, allowed)
    assert [fault.key for fault in raised.value.faults] == ["regions[0]", "x", "[0].text"]


def test_a_question_file_is_found_from_the_job_file(tmp_path: Path, allowed: spec.Allowed) -> None:
    """A relative name starts at the job's folder, wherever the command was started; an absolute one stands."""
    (tmp_path / "lists").mkdir()
    questions = tmp_path / "lists" / "q.jsonl"
    questions.write_text('{"id": "a", "text": "x"}\n', encoding="utf-8")
    (tmp_path / "jobs").mkdir()
    job = tmp_path / "jobs" / "job.yaml"
    for name in ("../lists/q.jsonl", json.dumps(str(questions))):
        job.write_text(f"id: j\nregions: [us]\nmodels: [m]\nquestions: {{file: {name}}}\n", encoding="utf-8")
        assert spec.load(job, allowed).questions[0].id == "a"


def test_a_folder_as_question_file_is_refused_in_the_job(tmp_path: Path, allowed: spec.Allowed) -> None:
    """What cannot be read is the fault of the line that names it."""
    (tmp_path / "q.csv").mkdir()
    job = tmp_path / "job.yaml"
    job.write_text("id: j\nregions: [us]\nmodels: [m]\nquestions: {file: q.csv}\n", encoding="utf-8")
    with pytest.raises(SpecError, match=r"job\.yaml:4:19: questions\.file: 'q\.csv': is a folder; name a file$"):
        spec.load(job, allowed)


def test_too_many_rows_are_refused_where_they_become_too_many(faults: Callable[[str, str], list[str]]) -> None:
    """A file of more than 100,000 questions is refused at the row after, whatever the rows hold."""
    assert faults("q.jsonl", "{}\n" * 100_002) == ["q.jsonl:100001:1: more than 100,000 questions"]


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        (
            "q.jsonl",
            "{" + ",".join(f'"k{number}":1' for number in range(50_000)) + "}",
            "q.jsonl:1:1: has more than 20 keys; a question has id, category, text",
        ),
        (
            "q.jsonl",
            '{"id": "a", "text": "' + "x" * 1_000_000 + '"}',
            "q.jsonl:1:1: is longer than 1,000,000 characters; each line holds one question",
        ),
        (
            "q.csv",
            "id,text\na," + "x" * 200_000,
            "q.csv:2:1: is not valid CSV: field larger than field limit (131072)",
        ),
        ("q.csv", "\ufeff\ufeffid,text\na,b", "q.csv:1:1: unknown column '\\ufeffid'; did you mean 'id'?"),
        (
            "q.csv",
            "id,text\na\0,b",
            (
                "q.csv:2:1: [0].id: 'a\\x00' cannot be used: it must have 1 to 200 printable characters "
                "and may not begin or end with a space"
            ),
        ),
        ("q.jsonl", "[" * 1_000_000, "q.jsonl:1:1: nested too deeply"),
        (
            "q.jsonl",
            '{"id":"a","text":"\\ud800"}',
            "q.jsonl:1:1: [0].text: holds '\\ud800', half a character, which UTF-8 cannot carry",
        ),
    ],
    ids=["many keys", "a long row", "a long cell", "two marks", "NUL in an id", "deep", "half a character"],
)
def test_hostile_rows_are_one_fault(
    faults: Callable[[str, str], list[str]], name: str, text: str, fault: str
) -> None:
    """What is too large, too deep or no text is refused with one fault, before anything is made of it."""
    assert faults(name, text) == [fault]


@pytest.mark.parametrize(
    "text", ["=cmd|'/C calc'!A0", "+1", "-1", "@x", "a\0b", "a\u2028b\x85c", "\u202eabc", "\x1b[2J"]
)
def test_what_is_asked_is_asked_word_for_word(ask: Ask, text: str) -> None:
    """Formulas, NULs and control characters in a question stay: a file of questions is no spreadsheet."""
    quoted = json.dumps(text)
    assert ask("q.jsonl", f'{{"id": "q", "text": {quoted}}}')[0].text == text
    assert ask("q.csv", f'id,text\nq,"{text}"')[0].text == text
