from __future__ import annotations

import io

import pytest
from msgspec.structs import replace
from rich.console import Console, RenderableType
from tests.support.queue_scenes import busy, limited, record
from tests.support.queueing import request
from tests.unit.display.safety import unsafe
from tests.unit.display.streams import HOSTILE

from beacon_cli import queue_form, queue_view
from beacon_cli.display import queueing
from beacon_cli.display.pane import Pane
from beacon_cli.tickets import Caps, FailedExecution

WIDTHS = (20, 40, 80, 160, 300)
FAILED = FailedExecution(
    run_id="r1",
    execution="e1",
    region="us",
    model="m1",
    question="q1",
    kind="timeout",
    message="no answer within 900 s",
    at=0.0,
)


def text(renderable: RenderableType, width: int) -> str:
    """What a console of that width is given, line by line without blanks at the end."""
    console = Console(file=io.StringIO(), width=width, color_system=None, _environ={})
    with console.capture() as capture:
        console.print(renderable)
    return "\n".join(shown.rstrip() for shown in capture.get().splitlines())


def scene(**names: object) -> queue_view.Status:
    """The busy queue as it is shown."""
    return queue_view.read(record(busy(**names)[0]))  # type: ignore[arg-type]  # names of a request


def test_everything_is_there_at_80_columns() -> None:
    """GPUs of each region and over all, who works at what, who waits from when on, what is idle, what is wrong."""
    shown = text(queueing.status(scene(), 80), 80)
    for expected in (
        "7 of 10 GPUs in use, 1 turn taken, 2 waiting",
        "us      3 of 3     -        2          1       -  working",
        "eu      1 of 3     1        -          -       1  paused",
        "asia    3 of 3     -        -          -       -  reclaiming",
        "us      second  bias  ann   0:12  taiwan  m1, m2",
        "us          1  fourth  bias  ann   high      in about 0:48          24",
        "us          2  third   bias  bob   normal    in about 1:48           8",
        "idle  eu: beacon-eu Model(m9) (1 GPU, for 0:43)",
        "reclaiming  asia: what run dead left behind is being ended",
        "set aside  run bad in us, eu; find out why, then: beacon queue release bad",
    ):
        assert expected in shown, shown


@pytest.mark.parametrize("width", WIDTHS)
def test_hostile_names_stay_harmless_at_every_width(width: int) -> None:
    """Nothing that a terminal obeys comes through, and no line is wider than the terminal."""
    view = scene(run=HOSTILE, job_id=HOSTILE, user=HOSTILE, pools={HOSTILE: 1})
    (us, *others) = view.queues.values()
    us = replace(us, warm=(queue_view.Idle(pool=HOSTILE, gpus=1),), reclaiming=(HOSTILE,), region=HOSTILE)
    view = replace(
        view, queues={HOSTILE: us, **{each.region: each for each in others}}, set_aside={HOSTILE: (HOSTILE,)}
    )
    failed = replace(FAILED, run_id=HOSTILE, model=HOSTILE, question=HOSTILE, message=HOSTILE, region=HOSTILE)
    for picture in (queueing.status(view, width), queueing.failures([failed], width)):
        shown = text(picture, width)
        assert unsafe(shown) == set()
        assert max(map(len, shown.splitlines())) <= width


@pytest.mark.parametrize("width", [80, 160])
def test_a_long_queue_is_counted(width: int) -> None:
    """Ten of those that wait are shown, the rest is a number."""
    store, _ = busy()
    for number in range(50):
        store.enter(request(f"w{number}", "us"))
    shown = text(queueing.status(queue_view.read(record(store)), width), width)
    assert "and 42 more in US" in shown
    assert shown.count("in about") == 10


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ('{"app":"a-us","function":"ask"}', "a-us/ask"),
        ('{"app":"a-us","cls":"Model","method":"m","parameters":{"model":"x"}}', "a-us Model(x)"),
        ("not json", "not json"),
        ('{"app": 3}', '{"app": 3}'),
        ("[" * 5000, "[" * 59 + "…"),
        ("\x1b[31m", "\\x1b[31m"),
    ],
)
def test_a_pool_is_called_as_people_do(key: str, name: str) -> None:
    """A key becomes app and function; whatever is no key is shown as it is, harmlessly."""
    assert queueing.pool_name(key) == name


def test_failures_name_the_runs_to_retry() -> None:
    """Each execution with its error, then the commands that ask again; without any, that is said."""
    shown = text(queueing.failures([FAILED, replace(FAILED, run_id="r2")], 100), 100)
    assert "r1   us      m1     q1        timeout  no answer within 900 s" in shown
    assert "ask again: beacon retry r1" in shown
    assert "ask again: beacon retry r2" in shown
    assert text(queueing.failures([], 100), 100) == "no execution has failed for good"


def test_caps_that_differ_are_marked() -> None:
    """Each cap in the queue and in the configuration; a store that is not there has set none."""
    shown = text(queueing.caps(Caps(gpus_total=6), Caps()), 80).splitlines()
    assert [line.split() for line in shown if "differs" in line] == [["gpus_total", "6", "10", "differs"]]
    assert "not set" in text(queueing.caps(None, Caps()), 80)


def gone(text: str) -> int:
    """The terminal has gone away: nothing can be written any more."""
    if text:
        raise BrokenPipeError
    return 0


def test_a_pane_fits_and_closes(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What is watched is cut at the terminal's height, with a word; the cursor is back after each frame."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "8")
    stream = io.StringIO()
    pane = Pane(stream)
    pane.paint(lambda width: queueing.status(scene(), width), "the server is away\x1b[2J")
    frame = stream.getvalue()
    assert frame.count("\n") <= 8
    assert "more lines: make the terminal higher" in frame
    assert "the server is away\\x1b[2J" in frame
    assert frame.endswith("\x1b[?7h\x1b[?25h")
    monkeypatch.setattr(stream, "write", gone)
    pane.paint(lambda width: queueing.status(scene(), width))
    assert pane.is_closed
    assert capsys.readouterr().out == ""


def test_whom_a_limit_holds_back_is_not_expected_now() -> None:
    """Nobody can say when its turn comes; the limit is named, and who passes it waits for nobody."""
    store = limited()
    seen = queue_form.to_record(store.snapshot(), ["us"])
    held, passing = seen["queues"]["EU"]["waiting"]
    assert (held["run_id"], held["expected_at"], passing["held"]) == ("b", None, None)
    assert passing["expected_at"] == seen["at"]
    shown = text(queueing.status(queue_view.read(seen), 100), 100)
    rows = [line.split() for line in shown.splitlines() if line.startswith("eu ")]
    assert [row[-3:-1] for row in rows if row[1] in {"1", "2"}] == [["held", "back"], ["normal", "now"]]
    assert "held back  jobs of user 'ann' that run: 1; allowed: 1" in shown


def test_a_queue_that_serves_nobody_says_so_and_until_when() -> None:
    """One that is new or lost its data looks idle, and is not: how long, and what somebody may do about it."""
    store, _ = busy()
    seen = queue_form.to_record(replace(store.snapshot(), quiet=1833.0), ["us"])
    shown = text(queueing.status(queue_view.read(seen), 80), 80)
    assert "no turn  for 30:33: the queue is new, was restarted or lost its data" in shown
    assert "beacon queue begin" in shown
    assert {each["expected_at"] for each in seen["queues"]["US"]["waiting"]} > {seen["quiet_until"]}
    assert "no turn" not in text(queueing.status(scene(), 80), 80)
