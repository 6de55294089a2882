"""The way to an endpoint: whom it trusts over TLS, and through which proxy it goes. Over loopback."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import pytest
import trustme
from tests.contracts.executing import LLAMA, US, Book, asking
from tests.support.endpoint import answer, plain, serving
from tests.support.openai import KEY, opened

from beacon_cli.errors import StartError
from beacon_cli.executors import connections
from beacon_cli.executors.openai import OpenaiExecutor
from beacon_cli.model import ErrorKind, Failed, OpenaiTarget, Outcome, Succeeded

pytestmark = pytest.mark.anyio

KEYED: Any = {"environ": {"KEY": KEY}, "api_key_env": "KEY"}
PASSWORD = "hunter-4711"  # noqa: S105 - a made-up one
FAR = "endpoint.example"
"""A host that is reached through a proxy or not at all."""


@pytest.fixture
def anyio_backend() -> str:
    """The HTTP library knows asyncio alone."""
    return "asyncio"


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy and no authority of the developer's own."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name.startswith(("SSL_CERT", "REQUESTS_CA", "CURL_CA")):
            monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """An authority that no system knows."""
    return trustme.CA()


@pytest.fixture
def bundle(authority: trustme.CA, tmp_path: Path) -> str:
    """Its file."""
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return str(path)


def identity(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    """What a server with these names shows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*(names or ("127.0.0.1", FAR))).configure_cert(context)
    return context


async def test_a_server_of_an_unknown_authority_is_refused(authority: trustme.CA) -> None:
    """Certificates are verified: without the authority nothing is sent, and the remedy is said."""
    async with serving(answer(), identity(authority)) as server:
        with pytest.raises(StartError, match=r"is not trusted.*SSL_CERT_FILE"):
            async with opened(server, **KEYED):
                pass
    assert server.asked == []


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
async def test_an_authority_of_the_environment_is_trusted(authority: trustme.CA, bundle: str, name: str) -> None:
    """A bundle is named by the variables that OpenSSL, requests and curl look at."""
    async with (
        serving(answer(), identity(authority)) as server,
        opened(server, environ={name: bundle, "KEY": KEY}, api_key_env="KEY") as executor,
    ):
        assert isinstance(await executor.attempt(asking(), 1, Book().placed), Succeeded)


def test_the_systems_authorities_are_trusted_where_nothing_else_is_named(
    authority: trustme.CA, bundle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the system trusts is read anew, and is not what the HTTP library read as it was imported."""
    monkeypatch.setenv("SSL_CERT_FILE", bundle)  # by which OpenSSL finds the system's
    trusted = connections.trust({})
    ours = ssl.PEM_cert_to_DER_cert(authority.cert_pem.bytes().decode())
    assert ours in trusted.get_ca_certs(binary_form=True)
    assert trusted.verify_mode is ssl.CERT_REQUIRED
    assert trusted.check_hostname


@pytest.mark.parametrize("usual", [None, "/etc/authorities.pem"])
def test_the_environment_is_as_it_was_once_the_library_is_there(usual: str | None) -> None:
    """The HTTP library is imported without a certificate being read, and nobody else notices."""
    code = (
        "import json, os\n"
        "from beacon_cli import wiring\n"
        "from beacon_cli.model import OpenaiTarget, Spec\n"
        "before = dict(os.environ)\n"
        "with wiring._reading_no_authorities():\n"
        "    from aiohttp import connector\n"
        "stats = connector._SSL_CONTEXT_VERIFIED.cert_store_stats()\n"
        "print(json.dumps([dict(os.environ) == before, stats['x509']]))\n"
    )
    environ = {name: value for name, value in os.environ.items() if name != "SSL_CERT_FILE"}
    environ |= {"SSL_CERT_FILE": usual} if usual else {}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [True, 0]


async def test_a_folder_of_authorities_is_trusted(authority: trustme.CA, tmp_path: Path) -> None:
    """A bundle may be a folder in OpenSSL's form: files named by the hash of their authority's name."""
    path = tmp_path / "one.pem"
    authority.cert_pem.write_to_path(path)
    hashed = ["openssl", "x509", "-hash", "-noout", "-in", str(path)]
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to name the file")
    named = (await anyio.run_process(hashed)).stdout.decode().strip()
    path.rename(tmp_path / f"{named}.0")
    async with (
        serving(answer(), identity(authority)) as server,
        opened(server, environ={"REQUESTS_CA_BUNDLE": str(tmp_path)}) as executor,
    ):
        assert isinstance(await executor.attempt(asking(), 1, Book().placed), Succeeded)


async def test_another_hosts_certificate_is_refused(authority: trustme.CA, bundle: str) -> None:
    """A certificate of a trusted authority for another name is no certificate."""
    async with serving(answer(), identity(authority, "elsewhere.example")) as server:
        with pytest.raises(StartError, match="is not trusted"):
            async with opened(server, environ={"SSL_CERT_FILE": bundle}):
                pass


async def test_a_certificate_that_goes_bad_is_a_permanent_failure(authority: trustme.CA, bundle: str) -> None:
    """In the middle of a run, an endpoint that is suddenly another one is not asked again and again."""
    async with serving(answer(), identity(authority, "elsewhere.example")) as server:
        target = OpenaiTarget(base_url=server.url)
        async with OpenaiExecutor(target, environ={"SSL_CERT_FILE": bundle}) as executor:
            with pytest.raises(StartError):
                await executor.prepare([(US, LLAMA)])
            said = await executor.attempt(asking(), 1, Book().placed)
    assert isinstance(said, Failed)
    assert (said.kind, said.transient) == (ErrorKind.CONNECTION, False)
    assert server.asked == []


@pytest.mark.parametrize("content", [None, "not a certificate"])
async def test_a_bundle_that_cannot_be_read_is_told(
    authority: trustme.CA, tmp_path: Path, content: str | None
) -> None:
    """A bundle that is not there, or holds none, stops the start: the system's authorities do not stand in."""
    path = tmp_path / "ca.pem"
    if content:
        path.write_text(content)
    async with serving(answer(), identity(authority, "127.0.0.1")) as server:
        with pytest.raises(StartError, match=r"REQUESTS_CA_BUNDLE: .*cannot be read"):
            async with opened(server, environ={"REQUESTS_CA_BUNDLE": str(path)}):
                pass


class Proxy:
    """A small proxy that leads every host to one port, and remembers what it could read."""

    def __init__(self, port: int, *, status: int = 200) -> None:
        self.port = port
        self.status = status
        self.heads: list[str] = []
        self.url = ""
        self._busy: set[asyncio.Task[Any]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        task = asyncio.current_task()
        assert task is not None
        self._busy.add(task)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                await self._lead(reader, writer)
        finally:
            writer.close()

    async def _lead(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head.decode())
        if self.status != 200:
            writer.write(f"HTTP/1.1 {self.status} No\r\nContent-Length: 0\r\n\r\n".encode())
            await writer.drain()
            return
        back, onward = await asyncio.open_connection("127.0.0.1", self.port)
        if head.startswith(b"CONNECT"):
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        else:
            verb, url, rest = head.split(b" ", 2)
            onward.write(b" ".join([verb, b"/" + url.split(b"/", 3)[3], rest]))
        try:
            await asyncio.gather(_pass(reader, onward), _pass(back, writer))
        finally:
            onward.close()

    async def end(self) -> None:
        """Drop every connection."""
        for task in self._busy:
            task.cancel()
        await asyncio.gather(*self._busy, return_exceptions=True)


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def leading(port: int, *, status: int = 200) -> AsyncIterator[Proxy]:
    """A proxy for the body."""
    proxy = Proxy(port, status=status)
    listening = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        listening.close()
        await proxy.end()


async def asked_at(base_url: str, environ: Mapping[str, str]) -> Outcome:
    """What one attempt gives there."""
    target = OpenaiTarget(base_url=base_url, api_key_env="KEY")
    async with OpenaiExecutor(target, environ={"KEY": KEY, **environ}) as executor:
        await executor.prepare([(US, LLAMA)])
        return await executor.attempt(asking(), 1, Book().placed)


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
async def test_https_goes_through_the_proxy(
    authority: trustme.CA, bundle: str, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The proxy is asked for a tunnel to the host and sees its name, its port and nothing more: no key."""
    async with serving(answer(), identity(authority)) as server, leading(server.port) as proxy:
        monkeypatch.setenv(name, proxy.url)
        said = await asked_at(f"https://{FAR}/v1", {"SSL_CERT_FILE": bundle})
    assert isinstance(said, Succeeded)
    assert all(head.startswith(f"CONNECT {FAR}:443 ") for head in proxy.heads)
    assert proxy.heads
    assert KEY not in "".join(proxy.heads)
    assert "authorization" not in "".join(proxy.heads).lower()


async def test_behind_a_proxy_certificates_are_verified(
    authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tunnel changes nothing about trust."""
    async with serving(answer(), identity(authority)) as server, leading(server.port) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with pytest.raises(StartError, match="is not trusted"):
            await asked_at(f"https://{FAR}/v1", {})
    assert server.asked == []


async def test_headers_of_the_job_are_not_the_proxys(
    authority: trustme.CA, bundle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A credential that goes in a header of another name stays within the tunnel too."""
    async with serving(answer(), identity(authority)) as server, leading(server.port) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        async with opened(
            server,
            base_url=f"https://{FAR}/v1",
            environ={"SSL_CERT_FILE": bundle, "AZURE": KEY},
            headers={"api-key": "${AZURE}"},
        ) as executor:
            await executor.attempt(asking(), 1, Book().placed)
    assert server.asked[0].headers["api-key"] == KEY
    assert "api-key" not in "".join(proxy.heads)


async def test_http_goes_through_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain HTTP is handed to the proxy whole."""
    async with serving(answer()) as server, leading(server.port) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.delenv("REQUEST_METHOD", raising=False)
        said = await asked_at(f"http://{FAR}/v1", {})
    assert isinstance(said, Succeeded)
    assert proxy.heads[0].startswith(f"GET http://{FAR}/v1/models ")


@pytest.mark.parametrize("exempt", [FAR, ".example", "*", "elsewhere,example"])
async def test_no_proxy_is_heard(monkeypatch: pytest.MonkeyPatch, exempt: str) -> None:
    """What `NO_PROXY` names is reached directly, or here, not at all."""
    async with serving(answer()) as server, leading(server.port) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", exempt)
        with pytest.raises(StartError, match="cannot be reached"):
            await asked_at(f"http://{FAR}/v1", {})
    assert proxy.heads == []


async def test_this_machine_needs_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """An endpoint on loopback, as a rehearsal's, is reached directly."""
    async with serving(answer()) as server, leading(server.port) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        assert isinstance(await asked_at(server.url, {}), Succeeded)
    assert proxy.heads == []


async def test_a_proxys_password_is_sent_and_never_shown(
    authority: trustme.CA, bundle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """User and password in the proxy's address go to the proxy alone; a refusal is told without them."""
    async with serving(answer(), identity(authority)) as server:
        async with leading(server.port) as proxy:
            address = proxy.url.replace("//", f"//user:{PASSWORD}@")
            monkeypatch.setenv("HTTPS_PROXY", address)
            said = await asked_at(f"https://{FAR}/v1", {"SSL_CERT_FILE": bundle})
        assert isinstance(said, Succeeded)
        assert "proxy-authorization: basic" in proxy.heads[0].lower()
        assert "proxy-authorization" not in server.asked[0].headers
        async with leading(server.port, status=407) as proxy:
            monkeypatch.setenv("HTTPS_PROXY", proxy.url.replace("//", f"//user:{PASSWORD}@"))
            with pytest.raises(StartError, match=r"cannot be reached.*407") as refused:
                await asked_at(f"https://{FAR}/v1", {"SSL_CERT_FILE": bundle})
        assert PASSWORD not in str(refused.value)


@pytest.mark.parametrize("address", [f"socks5://u:{PASSWORD}@127.0.0.1:1", "http://", "http://[::1"])
async def test_a_proxy_that_cannot_be_used_is_told(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """A proxy of another kind, or none at all, stops the start: nothing goes around it."""
    monkeypatch.setenv("HTTPS_PROXY", address)
    with pytest.raises(StartError, match="HTTPS_PROXY names no HTTP proxy") as refused:
        await asked_at(f"https://{FAR}/v1", {})
    assert PASSWORD not in str(refused.value)


async def test_a_proxy_without_a_scheme_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """`HTTP_PROXY=host:port` is understood, as by other programs."""
    async with serving(plain(200, b"{}")) as server, leading(server.port) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url.removeprefix("http://"))
        await asked_at(f"http://{FAR}/v1", {})
    assert proxy.heads
