"""A real Chromium without a window, driven over its own debugging protocol (CDP) with aiohttp."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp

PATIENCE = 40.0
"""Seconds after which something that was waited for is a failure."""
_NAMES = ("chromium", "chromium-browser", "google-chrome")
_OPTIONS = (
    "--headless=new",
    "--no-first-run",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-default-browser-check",
    "--remote-debugging-port=0",
)


def chromium() -> str | None:
    """Where Chromium is on this machine."""
    return next((found for name in _NAMES if (found := shutil.which(name))), None)


class Page:
    """One page, and what has gone wrong on it."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.faults: list[str] = []
        """Errors on the console, exceptions, and whatever the browser itself logs as an error."""
        self.requests: list[str] = []
        """The addresses that it has asked for."""
        self._socket = socket
        self._session: str | None = None
        self._numbers = count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}

    async def open(self, *, width: int, dark: bool) -> None:
        """Make the page, so wide and so coloured, before it is shown anything."""
        target = await self._ask("Target.createTarget", url="about:blank")
        attached = await self._ask("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            await self._ask(f"{domain}.enable")
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self._ask("Emulation.setEmulatedMedia", features=[scheme])
        await self._ask(
            "Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=width < 500
        )

    async def go(self, url: str) -> None:
        """Load a page."""
        await self._ask("Page.navigate", url=url)

    async def evaluate(self, expression: str) -> Any:
        """The value of an expression of JavaScript."""
        answer = await self._ask("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def until(self, expression: str) -> Any:
        """Wait until an expression holds; gives its value."""
        end = asyncio.get_running_loop().time() + PATIENCE
        while not (value := await self.evaluate(expression)):
            shown = await self.evaluate("document.body.innerText")
            assert asyncio.get_running_loop().time() < end, f"{expression} does not hold; the page shows:\n{shown}"
            await asyncio.sleep(0.05)
        return value

    async def listen(self) -> None:
        """Take what the browser says, for as long as it does."""
        async for message in self._socket:
            record = message.json()
            if "id" in record:
                self._answers.pop(record["id"]).set_result(record)
            else:
                self._heard(record["method"], record["params"])

    def _heard(self, method: str, params: dict[str, Any]) -> None:
        match method:
            case "Runtime.exceptionThrown":
                self.faults.append(str(params["exceptionDetails"]))
            case "Runtime.consoleAPICalled" if params["type"] in {"error", "assert", "warning"}:
                self.faults.append(str(params["args"]))
            case "Log.entryAdded" if params["entry"]["level"] in {"error", "warning"}:
                self.faults.append(str(params["entry"]))
            case "Network.requestWillBeSent":
                self.requests.append(params["request"]["url"])

    async def _ask(self, method: str, **params: Any) -> Any:
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        session = {"sessionId": self._session} if self._session else {}
        await self._socket.send_json({"id": number, "method": method, "params": params, **session})
        record = await asyncio.wait_for(answer, PATIENCE)
        assert "error" not in record, (method, record)
        return record["result"]


@asynccontextmanager
async def browsing(folder: Path, *, width: int = 1_000, dark: bool = False) -> AsyncIterator[Page]:
    """A page in a browser of its own for the body; its profile is kept in a folder."""
    command = [str(chromium()), *_OPTIONS, f"--user-data-dir={folder}"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--no-sandbox")  # its sandbox does not work for root, as in a container of CI
    with _started(command) as process:
        try:
            port, path = await _where(folder / "DevToolsActivePort", process)
            async with (
                aiohttp.ClientSession() as session,
                session.ws_connect(f"http://127.0.0.1:{port}{path}", max_msg_size=0) as socket,
            ):
                page = Page(socket)
                listening = asyncio.create_task(page.listen())
                await page.open(width=width, dark=dark)
                yield page
                listening.cancel()
        finally:
            process.terminate()


def _started(command: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _words(file: Path) -> list[str]:
    return file.read_text(encoding="ascii").split() if file.exists() else []


async def _where(file: Path, process: subprocess.Popen[bytes]) -> tuple[str, str]:
    """The port and the path of the debugging protocol, once the browser has written them down."""
    end = asyncio.get_running_loop().time() + PATIENCE
    while asyncio.get_running_loop().time() < end and process.poll() is None:
        lines = _words(file)
        if len(lines) == 2:
            return lines[0], lines[1]
        await asyncio.sleep(0.05)
    raise AssertionError("the browser did not start")
