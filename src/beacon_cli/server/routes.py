"""The routes: from a request to the queue, the jobs and back. Who may ask was decided before: see `guard`."""

from __future__ import annotations

import json
import math
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import anyio
import msgspec
from anyio import to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from beacon_cli import __version__, queue_form
from beacon_cli.errors import BeaconError, Fault, SpecError, StoreError, UsageError
from beacon_cli.model import JsonObject
from beacon_cli.names import RegionNames
from beacon_cli.runs import Runs
from beacon_cli.server import metrics, openapi, page, submission, view
from beacon_cli.server.book import Entry, Stage
from beacon_cli.server.jobs import FullError, Jobs
from beacon_cli.server.watch import Watch
from beacon_cli.settings import Settings
from beacon_cli.tickets import Caps, Priority, RegionLine, Snapshot

LONGEST_WAIT = 3_600.0
"""Seconds for which `POST /inference` waits at most."""
USUAL_WAIT = 900.0
"""Seconds for which it waits unless told otherwise."""
USUAL_LIST, LONGEST_LIST = 100, 1_000
"""How many jobs `GET /jobs` lists unless told otherwise, and at most."""
_BLOCK = 1 << 16
_COUNT = re.compile(r"[0-9]{1,4}", re.ASCII)
_SECONDS = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6})?", re.ASCII)


class Face(msgspec.Struct, frozen=True):
    """What the routes need of the server. `say` is given lines for whoever looks after it."""

    settings: Settings
    watch: Watch
    jobs: Jobs
    runs: Runs
    say: Callable[[str], None]


def guarded(path: str) -> bool:
    """Whether what is read there needs the token: answers do, counts do not.

    Whatever stands below a run is taken for answers, however the router reads the rest of the path.
    """
    return path.startswith("/jobs/") and "/" in path.removeprefix("/jobs/")


def application(face: Face) -> Starlette:
    """The application with all routes."""
    handlers = _Handlers(face)
    routes: Sequence[tuple[str, str, Callable[[Request], Awaitable[Response]]]] = (
        ("GET", "/", handlers.page),
        ("GET", "/page.css", handlers.page),
        ("GET", "/page.js", handlers.page),
        ("GET", "/health", handlers.health),
        ("GET", "/metrics", handlers.metrics),
        ("GET", "/openapi.json", handlers.openapi),
        ("GET", "/queue/status", handlers.status),
        ("GET", "/queue/status/{region}", handlers.region),
        ("POST", "/inference", handlers.inference),
        ("POST", "/jobs", handlers.post),
        ("GET", "/jobs", handlers.jobs),
        ("GET", "/jobs/{run}", handlers.job),
        ("DELETE", "/jobs/{run}", handlers.cancel),
        ("GET", "/jobs/{run}/results", handlers.results),
    )
    made = Starlette(
        routes=[Route(path, endpoint, methods=[method]) for method, path, endpoint in routes],
        exception_handlers={
            HTTPException: _refused,
            SpecError: _wrong,
            FullError: _full,
            BeaconError: handlers.failed,
            Exception: _broken,
        },
    )
    made.router.redirect_slashes = False  # it would send clients on to whatever host they named
    return made


class _Handlers:
    """One method for each route."""

    def __init__(self, face: Face) -> None:
        self._face = face
        self._names = RegionNames(face.settings.regions)
        self._ids = [region.id for region in face.settings.regions]
        self._checking = anyio.CapacityLimiter(1)
        """Jobs are checked one after another: a flood of them leaves the server answering."""
        self._looking = anyio.CapacityLimiter(2)

    async def page(self, request: Request) -> Response:
        """The page for people, and its parts."""
        content, kind = page.part(request.url.path)
        return Response(content, headers={"content-type": kind, "content-security-policy": page.POLICY})

    async def openapi(self, _: Request) -> Response:
        """What this server understands."""
        return _json(openapi.document(__version__))

    async def health(self, _: Request) -> Response:
        """Whether the server does its work."""
        await self._face.watch.snapshot()
        stopping = self._face.jobs.stopping.is_set()
        record = {
            "status": "stopping" if stopping else "ok",
            "version": __version__,
            "jobs": self._face.jobs.counts(),
        }
        return _json(record, 503 if stopping else 200)

    async def metrics(self, _: Request) -> Response:
        """The figures for Prometheus."""
        snapshot = await self._face.watch.snapshot()
        text = metrics.text(snapshot, self._ids, self._face.jobs.counts(), __version__)
        return Response(text, headers={"content-type": metrics.TYPE})

    async def status(self, _: Request) -> Response:
        """The whole queue."""
        watch = self._face.watch
        aside = await watch.set_aside()
        return _json(queue_form.to_record(await watch.snapshot(), self._ids, aside))

    async def region(self, request: Request) -> Response:
        """One region's part of the queue."""
        name = request.path_params["region"]
        region = self._names.get(name)
        if region is None:
            record = {"error": self._names.unknown(name), "known": [each.upper() for each in self._ids]}
            return _json(record, 404)
        snapshot = await self._face.watch.snapshot()
        line = snapshot.regions.get(region.id, RegionLine(region=region.id))
        return _json(queue_form.region(line, snapshot))

    async def post(self, request: Request) -> Response:
        """Take a job in."""
        kind = _content_type(request, submission.JSON, *submission.YAML)
        priority = _priority(request)
        body = await request.body()
        posted = await self._checked(lambda: submission.job(body, kind, self._face.settings))
        return await self._accepted(await self._face.jobs.take(posted.spec, posted.file, priority))

    async def inference(self, request: Request) -> Response:
        """Ask one question, and wait for its answer as long as the client wants to."""
        _content_type(request, submission.JSON)
        seconds, priority = _wait(request), _priority(request)
        body = await request.body()
        posted = await self._checked(lambda: submission.question(body, self._face.settings))
        entry = await self._face.jobs.take(posted.spec, posted.file, priority)
        with anyio.move_on_after(seconds):
            await _first(self._face.jobs.ended(entry.run_id), self._face.jobs.stopping.wait(), _gone(request))
        ended = self._face.jobs.get(entry.run_id) or entry
        return await self._accepted(ended) if ended.is_open else await self._answer(ended)

    async def jobs(self, request: Request) -> Response:
        """The jobs that were taken in last, the newest first."""
        entries, total = self._face.jobs.latest(_limit(request))
        begun = set()
        async with self._looking:
            for each in entries:
                if each.is_open and (summary := await self._face.jobs.summary(each.run_id)) and summary.job:
                    begun.add(each.run_id)
        snapshot = await self._face.watch.snapshot()
        return _json({"jobs": view.listed(entries, snapshot, self._face.jobs.ahead, begun), "total": total})

    async def job(self, request: Request) -> Response:
        """How a job stands."""
        return _json(await self._record(self._entry(request)))

    async def cancel(self, request: Request) -> Response:
        """Have a job end."""
        entry = self._entry(request)
        if await self._face.jobs.cancel(entry.run_id) is None:
            raise HTTPException(409, f"run {entry.run_id} has ended: {entry.stage.value}")
        return _json(await self._record(self._entry(request), is_done=True), 202)

    async def results(self, request: Request) -> Response:
        """One row for each execution of a job that has ended."""
        entry = self._entry(request)
        path = self._face.runs.find(entry.run_id).results if self._has_ended(entry) else None
        if path is None or not path.exists():
            raise HTTPException(409, f"run {entry.run_id} has no results: {entry.stage.value}")
        return StreamingResponse(_blocks(path), headers={"content-type": "application/jsonl"})

    async def failed(self, _: Request, error: Exception) -> Response:
        """The server's own disk or store failed: the client is not told where that is."""
        self._face.say(str(error))
        return _json({"error": "the server's own store failed; its log says how"}, 503)

    async def _checked(self, check: Callable[[], submission.Posted]) -> submission.Posted:
        return await to_thread.run_sync(check, limiter=self._checking)

    def _has_ended(self, entry: Entry) -> bool:
        """Whether it has, and ever had a run's folder."""
        try:
            return not entry.is_open and self._face.runs.find(entry.run_id).run_id == entry.run_id
        except UsageError:
            return False

    def _entry(self, request: Request) -> Entry:
        entry = self._face.jobs.get(request.path_params["run"])
        if entry is None:
            raise HTTPException(404, "this server has taken no such run in")
        return entry

    async def _record(self, entry: Entry, *, is_done: bool = False) -> JsonObject:
        """How a job stands. Where what was asked for `is_done`, a queue that is away takes nothing of it back."""
        async with self._looking:
            summary = await self._face.jobs.summary(entry.run_id)
        try:
            snapshot = await self._face.watch.snapshot()
        except StoreError as error:
            if not is_done:
                raise
            self._face.say(str(error))
            snapshot = Snapshot(at=entry.at, now=0.0, caps=Caps(), regions={})
        return view.job(entry, summary, snapshot, ahead=self._face.jobs.ahead(entry))

    async def _accepted(self, entry: Entry) -> Response:
        return _json(await self._record(entry, is_done=True), 202, {"location": f"/jobs/{entry.run_id}"})

    async def _answer(self, entry: Entry) -> Response:
        """The row of a question's execution; an error where it has no answer."""
        if entry.stage is not Stage.FINISHED:
            status = 409 if entry.stage is Stage.CANCELLED else 503
            reason = entry.reason or entry.stage.value
            return _json({"error": f"run {entry.run_id}: {reason}", "run_id": entry.run_id}, status)
        path = self._face.runs.find(entry.run_id).results
        row = json.loads(b"".join([block async for block in _blocks(path)]))
        if row["status"] == "succeeded":
            return _json(row)
        error = row["error"] or {"kind": row["status"], "message": ""}
        return _json(
            {"error": f"{error['kind']}: {error['message']}", "run_id": entry.run_id, "execution": row}, 502
        )


async def _blocks(path: Path) -> AsyncIterator[bytes]:
    async with await anyio.open_file(path, "rb") as file:
        while block := await file.read(_BLOCK):
            yield block


def _json(record: JsonObject, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """In ASCII, whatever is in it: half characters of an answer too."""
    text = json.dumps(record, separators=(",", ":"), allow_nan=False)
    return Response(text + "\n", status, {"content-type": "application/json", **(headers or {})})


async def _refused(_: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 500)
    said = {404: "there is nothing at this address; GET /openapi.json says what there is"}
    detail = str(getattr(error, "detail", ""))
    words = said.get(status, detail) if detail == "Not Found" else detail
    return _json({"error": words}, status, dict(getattr(error, "headers", None) or {}))


async def _wrong(_: Request, error: Exception) -> Response:
    faults: tuple[Fault, ...] = getattr(error, "faults", ())
    first = ": ".join(part for part in (_place(faults[0]), faults[0].key, faults[0].message) if part)
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    named = [
        {"line": fault.line, "column": fault.column, "key": fault.key, "message": fault.message}
        for fault in faults
    ]
    return _json({"error": first + more, "faults": named}, 422)


async def _full(_: Request, __: Exception) -> Response:
    return _json({"error": "the server takes no more jobs now; ask again later"}, 503, {"retry-after": "30"})


async def _broken(_: Request, __: Exception) -> Response:
    return _json({"error": "a fault of the server's own; its log says more"}, 500)


def _place(fault: Fault) -> str:
    return f"line {fault.line}, column {fault.column}" if fault.line is not None else ""


def _content_type(request: Request, *known: str) -> str:
    """The type of the body. What a form of a web page can send is none of them."""
    kind, _, parameters = request.headers.get("content-type", "").partition(";")
    kind = kind.strip().lower()
    if kind not in known or parameters.strip().lower() not in {"", "charset=utf-8", 'charset="utf-8"'}:
        raise HTTPException(415, f"send {' or '.join(sorted(known))}")
    return kind


def _priority(request: Request) -> Priority:
    """How urgent a job is that is posted: `?priority=`."""
    given = request.query_params.get("priority", Priority.NORMAL.value)
    if given not in list(Priority):
        raise HTTPException(400, f"priority: must be one of {', '.join(Priority)}")
    return Priority(given)


def _limit(request: Request) -> int:
    """How many jobs are listed at most: `?limit=`."""
    given = request.query_params.get("limit", str(USUAL_LIST))
    if not _COUNT.fullmatch(given) or not 1 <= int(given) <= LONGEST_LIST:
        raise HTTPException(400, f"limit: must be a number from 1 to {LONGEST_LIST}")
    return int(given)


def _wait(request: Request) -> float:
    """For how long the client waits for an answer: `?wait=`, or what it prefers (RFC 7240)."""
    given = request.query_params.get("wait")
    for preference in request.headers.get("prefer", "").replace(";", ",").split(","):
        name, _, value = preference.strip().partition("=")
        if name.lower() == "respond-async":
            return 0.0
        if name.lower() == "wait" and given is None:
            given = value.strip()
    if given is None:
        return USUAL_WAIT
    seconds = float(given) if _SECONDS.fullmatch(given) else math.inf
    if seconds > LONGEST_WAIT:
        raise HTTPException(400, f"wait: must be seconds, from 0 to {LONGEST_WAIT:g}")
    return seconds


async def _first(*waits: Awaitable[object]) -> None:
    """Return once one of these is over."""
    async with anyio.create_task_group() as group:

        async def wait(one: Awaitable[object]) -> None:
            await one
            group.cancel_scope.cancel()

        for one in waits:
            group.start_soon(wait, one)


async def _gone(request: Request) -> None:
    """Wait until the client has gone away. Its job goes on: it may be paid for already."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
