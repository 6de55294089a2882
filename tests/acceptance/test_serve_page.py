"""The server's page in a real Chromium."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.support.browser import browsing, chromium
from tests.support.queueing import request
from tests.support.serving import Served, serving

from beacon_cli.ports import Store
from beacon_cli.queues import sqlite
from beacon_cli.tickets import Entered, Granted

HOSTILE = "<img src=x onerror=\"document.title='owned'\"><b>bold</b> &amp; ${x}"
SECTIONS = "[...document.querySelectorAll('section')].map(each => each.innerText)"


@pytest.fixture(autouse=True)
def browser() -> None:
    """A laptop may lack one; CI may not."""
    if chromium() is None:
        if os.environ.get("CI"):
            pytest.fail("chromium is missing: the page cannot be tested")
        pytest.skip("chromium is not installed")


def job(name: str) -> dict[str, object]:
    """A job of one question."""
    return {
        "id": name,
        "regions": ["eu"],
        "models": ["mistral-7b"],
        "questions": [{"id": "<i>q</i>", "text": "Why?"}],
    }


async def shows_the_regions(served: Served, folder: Path) -> None:
    """What a person sees first."""
    async with browsing(folder) as page:
        await page.go(served.url)
        await page.until("document.querySelectorAll('section').length === 3")
        shown = await page.evaluate(SECTIONS)
        assert [each.splitlines()[0] for each in shown] == ["US", "EU", "ASIA"]
        assert all("idle" in each and "0 of 3 GPUs in use" in each for each in shown)
        assert "as of" in await page.evaluate("document.getElementById('state').innerText")
        assert page.faults == []
        assert {urlsplit(url).netloc for url in page.requests if not url.startswith("data:")} == {
            urlsplit(served.url).netloc
        }


def test_it_loads_without_an_error_and_shows_the_regions(tmp_path: Path, environment: dict[str, str]) -> None:
    """Nothing comes from anywhere but the server."""
    with serving(tmp_path, environment, "--rehearse") as served:
        asyncio.run(shows_the_regions(served, tmp_path / "profile"))


async def goes_along(served: Served, store: Store, folder: Path) -> None:
    """Jobs come, wait, work and go while the page stands open."""
    async with browsing(folder) as page:
        await page.go(served.url)
        await page.until("document.querySelectorAll('section').length === 3")
        store.pause("eu", paused=True)
        first = await asyncio.to_thread(served.post, job(HOSTILE))
        await page.until("document.querySelectorAll('li').length === 1")
        second = await asyncio.to_thread(served.post, job("second"))
        await page.until("document.querySelectorAll('li').length === 2")
        eu = (await page.evaluate(SECTIONS))[1]
        assert "paused" in eu
        assert HOSTILE in eu
        assert eu.index(HOSTILE) < eu.index("second")
        store.pause("eu", paused=False)
        working = await page.until("document.querySelector('.job') && document.querySelector('.job').innerText")
        assert HOSTILE in working
        assert await page.until("document.querySelector('.job').innerText.includes('<i>q</i>')")
        assert await page.evaluate("document.querySelectorAll('img, b, i').length") == 0
        assert await page.evaluate("document.title") == "beacon: the queues"
        with served.client() as client:
            for run_id in (second, first):
                await asyncio.to_thread(client.delete, f"/jobs/{run_id}")
        await page.until("document.querySelectorAll('li, .job').length === 0")
        assert page.faults == []
        await asyncio.to_thread(served.stop)
        await page.until("document.getElementById('state').classList.contains('lost')")
        assert (await page.evaluate(SECTIONS))[1].startswith("EU")


def test_it_goes_along_and_a_hostile_name_stays_text(tmp_path: Path, environment: dict[str, str]) -> None:
    """Without being loaded anew; when the server goes away it says so and keeps what it had."""
    with serving(tmp_path, environment, "--rehearse", "--speed", "2") as served:
        store = sqlite.store(tmp_path / "state" / "rehearsals.db")
        try:
            asyncio.run(goes_along(served, store, tmp_path / "profile"))
        finally:
            store.close()


def set_aside(store: Store, run_id: str) -> None:
    """Three processes of a run die in `eu`, one after the other, and the fourth is refused."""
    first = store.enter(request(run_id, "eu", holder="host:0"))
    assert isinstance(first, Entered)
    assert isinstance(store.claim(first.ticket, "host:0"), Granted)
    for holder in ("host:1", "host:2", "host:3"):
        store.enter(request(run_id, "eu", holder=holder))
    assert store.set_aside() == {run_id: ("eu",)}


async def names_those_set_aside(served: Served, store: Store, folder: Path) -> None:
    """A run is set aside while the page stands open, and let in again."""
    async with browsing(folder) as page:
        await page.go(served.url)
        await page.until("document.querySelectorAll('section').length === 3")
        assert await page.evaluate("document.querySelectorAll('#aside p').length") == 0
        set_aside(store, HOSTILE)
        await page.until("document.querySelectorAll('#aside p').length === 1")
        shown = await page.evaluate("document.getElementById('aside').innerText")
        assert "set aside in EU" in shown
        assert HOSTILE in shown
        assert await page.evaluate("document.querySelectorAll('img, b').length") == 0
        store.release(HOSTILE)
        await page.until("document.querySelectorAll('#aside p').length === 0")
        assert page.faults == []


def test_it_names_the_runs_that_are_set_aside(tmp_path: Path, environment: dict[str, str]) -> None:
    """A run that nobody serves any more is not just missing: who looks at the page learns of it."""
    with serving(tmp_path, environment, "--rehearse") as served:
        store = sqlite.store(tmp_path / "state" / "rehearsals.db", outlived=False)
        try:
            asyncio.run(names_those_set_aside(served, store, tmp_path / "profile"))
        finally:
            store.close()


async def fits(served: Served, folder: Path, *, dark: bool) -> tuple[str, str]:
    """The page on a phone: nothing sticks out. Gives its two colours."""
    async with browsing(folder, width=360, dark=dark) as page:
        await page.go(served.url)
        await page.until("document.querySelectorAll('section').length === 3")
        assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        assert await page.evaluate("window.innerWidth") == 360
        assert await page.evaluate("parseFloat(getComputedStyle(document.querySelector('.soft')).fontSize)") >= 14
        style = "getComputedStyle(document.body)"
        return await page.evaluate(f"{style}.color"), await page.evaluate(f"{style}.backgroundColor")


def test_it_fits_on_a_phone_by_day_and_by_night(tmp_path: Path, environment: dict[str, str]) -> None:
    """The colours follow the reader's own."""
    with serving(tmp_path, environment, "--rehearse") as served:
        day = asyncio.run(fits(served, tmp_path / "day", dark=False))
        night = asyncio.run(fits(served, tmp_path / "night", dark=True))
    assert day == ("rgb(26, 29, 33)", "rgb(255, 255, 255)")
    assert night == ("rgb(230, 232, 235)", "rgb(20, 23, 26)")
