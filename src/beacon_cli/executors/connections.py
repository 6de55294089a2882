"""How an endpoint is reached: addresses, headers with their keys, authorities, proxies; aiohttp is imported here.

Must not know what is asked there or what answers mean.
"""

from __future__ import annotations

import asyncio
import os
import re
import ssl
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from urllib.parse import urlsplit, urlunsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import msgspec
from multidict import CIMultiDict
from yarl import URL

from beacon_cli.errors import StartError
from beacon_cli.executors.hiding import Secrets, is_secretive
from beacon_cli.model import OpenaiTarget

_CONNECT = 10.0
"""Seconds for a connection to come about: name, proxy and TLS included."""
_IDLE = 4.0
"""Seconds that a connection is kept without use: servers of this kind close theirs after five."""

_LARGE_ONES = 4
"""Answers far beyond the usual that are read at once: a hundred of 10 MB would take a gigabyte."""

_HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "beacon"}

_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_BUNDLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""Variables that name a file of authorities, the first that is set counts: OpenSSL's, requests' and curl's."""


class Way(msgspec.Struct, frozen=True):
    """Where a region's requests go, and over which session. `shown` is the address as people may see it.

    `headers` belong to each request: what a session has, the library sends to proxies too, keys included.
    """

    completions: URL
    models: URL
    shown: str
    session: aiohttp.ClientSession
    headers: CIMultiDict[str]
    secrets: Secrets
    large: asyncio.Semaphore
    """So many large answers may be held at once."""


def later(way: Way, location: str | None) -> URL | None:
    """Where the answer to this very request can be fetched: at its own address with another query, or nowhere.

    So Modal's web endpoints answer (303) what takes longer than 150 s; no key goes anywhere that it has not been.
    """
    try:
        there = way.completions.join(URL(location or "", encoded=True))
        same = there.origin() == way.completions.origin() and there.raw_path == way.completions.raw_path
    except ValueError:
        return None
    return there if same and there.raw_query_string != way.completions.raw_query_string else None


def key_name(target: OpenaiTarget, region: str) -> str | None:
    """The variable that holds the region's key."""
    names = target.api_key_env
    return names.get(region) if isinstance(names, dict) else names


def variables(target: OpenaiTarget, regions: Iterable[str]) -> list[str]:
    """The names of the environment variables that the target speaks of, each once."""
    keys = [key_name(target, region) for region in regions]
    referred = [name for value in target.headers.values() for name in _REFERENCE.findall(value)]
    return list(dict.fromkeys(name for name in [*keys, *referred] if name))


def way(
    target: OpenaiTarget,
    region: str,
    environ: Mapping[str, str],
    patience: float,
    trust: Callable[[], ssl.SSLContext],
) -> Way:
    """Everything that the region's requests share; `patience` in seconds is how long an endpoint may be silent.

    `trust` says how servers are verified, see the function of that name; it is asked only where one is to be.
    Every variable that the target speaks of has to be in `environ`. To be called within the event loop.

    Raises:
        StartError: a key that no header can hold, or authorities or a proxy that cannot be used.
    """
    base = target.url(region)
    name = key_name(target, region)
    headers = {
        each: _REFERENCE.sub(lambda match: environ[match[1]], value) for each, value in target.headers.items()
    }
    if name is not None:
        headers["Authorization"] = f"Bearer {environ[name]}"
    for variable in variables(target, [region]):
        if environ[variable] != environ[variable].strip():
            raise StartError(f"{variable} begins or ends with a blank or a line break; set it again without")
    for each, value in headers.items():
        if not value.isprintable() or not value.isascii():
            raise StartError(f"the header {each} for {region} would hold more than printable ASCII")
    secrets = Secrets([environ[each] for each in secret(target, region)])
    proxy = _proxy(base)
    is_tls = "https" in {urlsplit(base).scheme, proxy.scheme if proxy else ""}
    tls = trust() if is_tls else True  # reading the authorities takes 25 ms
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_IDLE, ssl=tls),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, connect=_CONNECT, sock_read=patience),
        proxy=proxy,
    )
    return Way(
        completions=_joined(base, "/chat/completions"),
        models=_joined(base, "/models"),
        shown=secrets.masked(base),
        session=session,
        headers=CIMultiDict({**_HEADERS, **headers}),
        secrets=secrets,
        large=asyncio.Semaphore(_LARGE_ONES),
    )


def secret(target: OpenaiTarget, region: str) -> list[str]:
    """The variables whose values are secrets: the key's, and of headers those that say so by a name."""
    key = key_name(target, region)
    referred = [
        variable
        for header, value in target.headers.items()
        for variable in _REFERENCE.findall(value)
        if is_secretive(header, variable)
    ]
    return list(dict.fromkeys([*([key] if key else []), *referred]))


def _joined(base: str, path: str) -> URL:
    """`base` with `path` at the end of its own path, whatever stands after a question mark."""
    url = urlsplit(base)
    return URL(urlunsplit(url._replace(path=url.path.rstrip("/") + path)), encoded=True)


def _proxy(base: str) -> URL | None:
    """The proxy that the environment names for this address; none for this machine itself.

    Raises:
        StartError: it is of a kind that the library does not speak to.
    """
    url = urlsplit(base)
    if url.hostname in _LOOPBACK or proxy_bypass(url.netloc):
        return None
    proxies = getproxies()
    named = proxies.get(url.scheme) or proxies.get("all")
    if not named:
        return None
    with suppress(ValueError):
        proxy = URL(named if "://" in named else f"http://{named}")
        if proxy.scheme in {"http", "https"} and proxy.host:
            return proxy
    # The value may hold a password: it is not repeated.
    name = f"{url.scheme}_proxy".upper() if proxies.get(url.scheme) else "ALL_PROXY"
    raise StartError(f"{name} names no HTTP proxy; set it to http://HOST:PORT, or take the host out by NO_PROXY")


def trust(environ: Mapping[str, str]) -> ssl.SSLContext:
    """How servers are verified: by the system's authorities, or by those that the environment names.

    Never by what the HTTP library has read: see `wiring`.

    Raises:
        StartError: what it names cannot be read.
    """
    for name in _BUNDLES:
        bundle = environ.get(name)
        if not bundle:
            continue
        try:
            if os.path.isdir(bundle):  # noqa: PTH112 - as the environment writes it
                return ssl.create_default_context(capath=bundle)
            return ssl.create_default_context(cafile=bundle)
        except (OSError, ssl.SSLError):
            raise StartError(f"{name}: {bundle} cannot be read as a file of certificates") from None
    system = ssl.create_default_context()
    system.set_alpn_protocols(("http/1.1",))
    return system
