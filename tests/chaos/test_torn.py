"""A journal cut at any byte: what is done again is exactly what the cut took."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from tests.support.chaos import Told, dice, is_full, left, whole_records
from tests.support.remembering import Desk

from beacon_cli.errors import UsageError
from beacon_cli.operations import carry_out

pytestmark = pytest.mark.timeout(600)

_STRIDE = 1 if is_full() else 23


def test_cut_at_every_byte_resumed_crashed_and_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: Told
) -> None:
    """Resumed after a cut, crashed in its last records, resumed again: only the torn record is done again."""
    desk = Desk(tmp_path, monkeypatch, small=True)
    assert carry_out.run(desk.order()) == 0
    whole = desk.journal().read_bytes()
    first = whole.index(b"\n") + 1
    lines = {end for end, byte in enumerate(whole, 1) if byte == ord("\n")}
    around_ends = {end + step for end in lines for step in (-1, 0, 1)} & set(range(len(whole) + 1))
    cuts = sorted(around_ends | set(range(0, len(whole) + 1, _STRIDE)))
    told("the journal cut at a byte, resumed, cut again, resumed", runs=len(cuts))
    for cut in cuts:
        desk.journal().write_bytes(whole[:cut])
        if cut < first:
            with pytest.raises(UsageError, match="never began"):
                carry_out.go_on(desk.continuation())
            assert desk.journal().read_bytes() == whole[:cut]
            continue
        _resume(desk)
        resumed = desk.journal().read_bytes()
        assert resumed.startswith(whole[: whole.rindex(b"\n", 0, cut) + 1])
        *_, begin, _, _, _ = [0, *(end for end, byte in enumerate(resumed, 1) if byte == ord("\n"))]
        again = dice("torn", cut).randrange(max(first, begin), len(resumed) + 1)
        desk.journal().write_bytes(resumed[:again])
        _resume(desk)


def _resume(desk: Desk) -> None:
    """Go on, and hold what was asked, collected and recorded against what was on disk before."""
    before = whole_records(desk.journal())
    answered = {record["execution"] for record in before if record["event"] == "attempt_succeeded"}
    calls = left(before).calls
    desk.provider.forget_counts()
    assert carry_out.go_on(desk.continuation()) == 0
    after = whole_records(desk.journal())
    assert after[: len(before)] == before
    records = Counter(record["execution"] for record in after if record["event"] == "attempt_succeeded")
    assert len(records) == desk.executions
    assert set(records.values()) == {1}
    assert sorted(desk.provider.collected) == sorted(calls.values())
    assert desk.provider.asked == Counter(records.keys() - answered - calls.keys())
    rows = (desk.run_folder() / "results.jsonl").read_text(encoding="ascii").splitlines()
    assert [json.loads(row)["status"] for row in rows] == ["succeeded"] * desk.executions
