from __future__ import annotations

import json

from tests.support.rows import collection, failed, joined, row

from beacon_cli.exports.document import export
from beacon_cli.model import Question


def test_the_document_holds_run_questions_and_rows() -> None:
    """One JSON document: what is known of the run, what was asked, and each row word for word."""
    rows = [row(response="half \ud800"), failed(repeat=2)]
    question = Question(id="q1", text="One?", category="control")
    given = collection(*rows, questions={"q1": question}, sampling={"seed": 7}, interrupted="SIGINT")
    assert json.loads(joined(export(given))) == {
        "schema": 1,
        "job_id": "small",
        "run_id": "r1",
        "rehearsal": False,
        "began_at": None,
        "interrupted": "SIGINT",
        "beacon": None,
        "sampling": {"seed": 7},
        "questions": [{"id": "q1", "text": "One?", "category": "control"}],
        "answers": rows,
    }


def test_no_rows_are_a_document_too() -> None:
    """Without a row the list is empty."""
    assert json.loads(joined(export(collection())))["answers"] == []
