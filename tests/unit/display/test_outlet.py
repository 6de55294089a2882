from __future__ import annotations

import io
import os
import time
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from beacon_cli.display import outlet
from beacon_cli.display.outlet import Outlet

pytestmark = pytest.mark.anyio

FULL = Path("/dev/full")


async def test_everything_is_written_in_order() -> None:
    """The end comes after the last text."""
    stream = io.StringIO()
    out = Outlet(stream)
    for number in range(1000):
        out.write(f"{number}\n")
    await out.finish()
    assert stream.getvalue() == "".join(f"{number}\n" for number in range(1000))
    assert out.failure is None


async def test_a_closed_pipe_is_quiet_and_remembered() -> None:
    """A reader that has gone ends the writing, not the run; later texts are dropped at once."""
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w", encoding="utf-8") as stream:
        out = Outlet(stream)
        out.write("one\n")
        await out.finish()
        assert isinstance(out.failure, BrokenPipeError)
        out.write("two\n")
        await out.finish()
        assert out.behind == 0


@pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full here")
async def test_a_full_disk_is_quiet_and_remembered() -> None:
    """As a closed pipe: `beacon run … 2>/dev/full` runs on."""
    with os.fdopen(os.open(FULL, os.O_WRONLY), "w", encoding="utf-8") as stream:
        out = Outlet(stream)
        out.write("one\n")
        await out.finish()
        assert isinstance(out.failure, OSError)


async def test_a_closed_stream_is_quiet() -> None:
    """A stream that was closed before is a failure like any other."""
    stream = io.StringIO()
    stream.close()
    out = Outlet(stream)
    out.write("one\n")
    await out.finish()
    assert isinstance(out.failure, ValueError)


async def test_a_reader_that_does_not_read_is_not_waited_for_when_cancelled() -> None:
    """`write` does not block on a full pipe; a cancelled end gives the reader half a second, no more."""
    read, write = os.pipe()
    with os.fdopen(write, "w", encoding="utf-8") as stream:
        out = Outlet(stream)
        begun = time.monotonic()
        out.write("x" * 1_000_000)
        assert time.monotonic() - begun < 0.5
        with anyio.CancelScope() as scope:
            scope.cancel()
            await out.finish()
        assert 0.4 < time.monotonic() - begun < 5
        assert out.behind
        os.close(read)
        await out.finish()
        assert isinstance(out.failure, BrokenPipeError)


async def test_a_slow_reader_is_waited_for_when_far_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """`room` returns only when less is unwritten than may heap up."""
    monkeypatch.setattr(outlet, "_FAR_BEHIND", 100_000)
    read, write = os.pipe()
    with os.fdopen(write, "w", encoding="utf-8") as stream:
        out = Outlet(stream)
        for _ in range(30):
            out.write("x" * 10_000)
        with anyio.move_on_after(0.1) as scope:
            await out.room()
        assert scope.cancelled_caught
        got = 0
        while got < 300_000:
            got += len(os.read(read, 65_536))
        await out.room()
        await out.finish()
        assert out.behind == 0
    os.close(read)


async def test_a_pipe_that_would_block_is_waited_for() -> None:
    """A stream that somebody set to non-blocking loses nothing."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    with os.fdopen(write, "w", encoding="utf-8") as stream:
        out = Outlet(stream)
        out.write("x" * 300_000)
        got = 0
        while got < 300_000:
            got += len(os.read(read, 65_536))
            await anyio.lowlevel.checkpoint()
        await out.finish()
        assert out.failure is None
    os.close(read)


async def test_what_the_encoding_lacks_is_written_out(tmp_path: Path) -> None:
    """A stream that is not UTF-8 gets escapes, not an exception."""
    with (tmp_path / "log").open("w", encoding="ascii") as stream:
        out = Outlet(stream)
        out.write("é\n")
        await out.finish()
    assert (tmp_path / "log").read_text(encoding="ascii") == "\\xe9\n"
