"""The way to a Redis: its address, its scripts, what its client's exceptions mean, whether it may hold a queue.

Must not know what a queue is. The only room that knows the client's library.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import msgspec

from beacon_cli.errors import StoreError
from beacon_cli.masking import masked
from beacon_cli.names import printable

try:
    import redis
    from redis import exceptions as theirs
    from redis.backoff import NoBackoff
    from redis.retry import Retry
except ModuleNotFoundError as missing:
    if missing.name != "redis":
        raise
    raise StoreError(
        "BEACON_QUEUE names a Redis, whose client is not installed: pip install 'beacon-cli[redis]'"
    ) from None

PATIENCE = 5.0
"""Seconds to wait for a connection, and for each answer."""

_SOCKET = "unix:"
_DATABASE = re.compile(r"(/[0-9]{0,4})?", re.ASCII)
_PAGE = 5000
"""Lines of a list that are read at once."""
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_OUR_OWN = "BEACON "
"""What the errors begin with that our scripts answer."""

_CERTIFICATES = (
    ("certificate is not valid for", "has a certificate for another name than BEACON_QUEUE gives"),
    (
        "CERTIFICATE_VERIFY_FAILED",
        "has a certificate that nobody here vouches for: is its authority yours? Add ?ssl_ca_certs=/path/ca.pem",
    ),
)
"""What a connection's failure says of the server's certificate, by a part of its text; the first that fits."""

_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (theirs.AuthenticationError, "refuses the user or the password that BEACON_QUEUE gives"),
    (theirs.NoPermissionError, "does not let this user do what the queue needs (docs/queue.md says what)"),
    (theirs.AuthorizationError, "does not let this user do what the queue needs (docs/queue.md says what)"),
    (theirs.BusyLoadingError, "is still loading its data: try again"),
    (theirs.ReadOnlyError, "is a replica that takes no writes: give BEACON_QUEUE the address of the primary"),
    (theirs.OutOfMemoryError, "has no memory left: raise its maxmemory"),
    (theirs.TimeoutError, "does not answer"),
    (theirs.ConnectionError, "cannot be reached"),
)
"""What the client's exceptions mean, the first that fits; whatever else it raises is told in its own words."""


def _see_that_it_is_whole(url: str) -> None:
    """A `/`, `?` or `#` in a password ends the host there, and what the client says would show its beginning.

    Raises:
        StoreError: it is not, or its database is no number.
    """
    if not _is_whole(url):
        raise StoreError(
            "BEACON_QUEUE is no address of a Redis: its host or its port cannot be read; in a password write"
            " / ? # @ % as %2F %3F %23 %40 %25"
        )
    if not url.startswith(_SOCKET) and not _DATABASE.fullmatch(urlsplit(url).path):
        raise StoreError(
            "BEACON_QUEUE is no address of a Redis: what follows the host is a database's number, as /0"
        )


def _is_whole(url: str) -> bool:
    try:
        parts = urlsplit(url)
        has_port = parts.port != 0
    except ValueError:
        return False
    return has_port and not parts.fragment and (url.startswith(_SOCKET) or "@" not in parts.path + parts.query)


class Script:
    """A script, and the name by which a server that has seen it knows it."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.sha = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()


class Link:
    """Connections to one Redis, for any thread. None is tried again once it failed; a new one is made.

    Args:
        url: `redis://`, `rediss://` (TLS) or `unix://`, with user, password, database and options as in redis-py.
        patience: seconds to wait for a connection, and for each answer.

    Raises:
        StoreError: the address is none.
    """

    def __init__(self, url: str, patience: float) -> None:
        _see_that_it_is_whole(url)
        try:
            self._pool = redis.ConnectionPool.from_url(
                url,
                socket_timeout=patience,
                socket_connect_timeout=patience,
                **({} if url.startswith(_SOCKET) else {"socket_keepalive": True}),
                retry=Retry(NoBackoff(), 0),
                protocol=2,
            )
            self._pool.make_connection()  # says which options there are not
        except (ValueError, TypeError, theirs.RedisError) as error:
            raise StoreError(f"BEACON_QUEUE is no address of a Redis: {_shown(error)}") from None
        self._client = redis.Redis(connection_pool=self._pool)
        self._place = self._shown_place()

    def close(self) -> None:
        """Let go of every connection."""
        self._pool.disconnect()

    def check(self) -> tuple[str, ...]:
        """See that the server keeps what it is given; gives what about it may be meant otherwise.

        Raises:
            StoreError: it throws keys away when its memory is full, or cannot be reached.
        """
        with self.explained():
            policy = str(self._client.info("memory").get("maxmemory_policy", ""))
            if policy.startswith("allkeys"):
                raise StoreError(
                    f"queue {self._place} may throw any key away (maxmemory-policy {policy}), a lease too:"
                    " set maxmemory-policy to noeviction"
                )
            return tuple(self._doubts())

    def call(self, script: Script, key: str, arguments: Sequence[str | bytes]) -> Any:
        """Have the server run a script; gives its answer: bytes, or a list of them.

        Raises:
            StoreError: it did not, or nobody knows.
        """
        with self.explained():
            try:
                return self._client.evalsha(script.sha, 1, key, *arguments)
            except theirs.NoScriptError:  # a server that was restarted has seen none
                return self._client.eval(script.source, 1, key, *arguments)

    def lines(self, key: str, first: int) -> list[bytes]:
        """What a list holds from this place on; it may only ever grow."""
        lines: list[bytes] = []
        with self.explained():
            while True:
                begin = first + len(lines)
                page: Any = self._client.lrange(key, begin, begin + _PAGE - 1)
                lines += page
                if len(page) < _PAGE:
                    return lines

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Whatever goes wrong in the body with the server or its answers is a `StoreError` of one line."""
        try:
            yield
        except (theirs.RedisError, OSError, msgspec.DecodeError, json.JSONDecodeError) as error:
            raise StoreError(f"queue {self._place} {_reason(error)}") from None

    def _shown_place(self) -> str:
        """The address as it may be shown: without user, password and options."""
        given = self._pool.connection_kwargs
        if "path" in given:
            return f"unix://{printable(given['path'])}"
        scheme = "rediss" if self._pool.connection_class is redis.SSLConnection else "redis"
        host = printable(given.get("host", "localhost"))
        return f"{scheme}://{host}:{given.get('port', 6379)}/{given.get('db', 0)}"

    def _doubts(self) -> Iterator[str]:
        if not self._client.info("persistence").get("aof_enabled") and self._saves() == "":
            yield f"queue {self._place} keeps nothing on disk: a restart empties it; set appendonly to yes"
        if self._place.startswith("rediss://") and self._pool.connection_kwargs.get("ssl_cert_reqs") == "none":
            yield f"queue {self._place} is not asked for its certificate: anybody in between may read the password"
        host = self._pool.connection_kwargs.get("host", "localhost")
        if self._place.startswith("redis://") and host not in _LOOPBACK:
            yield f"queue {self._place} is reached without TLS, its password too: use rediss://"

    def _saves(self) -> str | None:
        """When the server writes snapshots; empty: never; None: it does not say."""
        try:
            return str(self._client.config_get("save").get("save"))
        except theirs.ResponseError:  # whoever hosts it keeps this to themselves
            return None


def _reason(error: Exception) -> str:
    said = str(error)
    if said.startswith(_OUR_OWN):
        return printable(said.removeprefix(_OUR_OWN), most=300)
    if said.startswith("WRONGTYPE"):
        return "holds other data under the queue's names: use another database, as /1, or another Redis"
    if isinstance(error, theirs.ConnectionError):
        for part, reason in _CERTIFICATES:
            if part in said:
                return f"{reason} ({_shown(error)})"
    for kind, reason in _REASONS:
        if isinstance(error, kind):
            return f"{reason} ({_shown(error)})"
    return f"failed: {_shown(error)}"


def _shown(error: Exception) -> str:
    return printable(masked(str(error)), most=300)
