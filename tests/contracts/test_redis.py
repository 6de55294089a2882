"""The queue in Redis where Redis fails: it never serves more than it may, and says what is wrong in one line."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import redis as client
import trustme
from tests.support.queueing import Hands, part, request
from tests.support.redis import Server, queue_name

from beacon_cli.errors import StoreError
from beacon_cli.queues import redis
from beacon_cli.queues.redis import RedisStore
from beacon_cli.tickets import Caps, Entered, Granted, Waiting, Why

CANARY = "hunter2canary"
LASTING = ("appendonly yes", "appendfsync always")
FLEETING = ('save ""',)
QUIET = 33.0
"""A lease's 30 s and a tenth."""
QUARANTINE = 1800.0
"""How long idle containers may live that nobody knows of, unless the caps say otherwise."""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server for those tests that leave it as it is."""
    with Server(tmp_path_factory.mktemp("redis"), *FLEETING) as server:
        yield server


@contextmanager
def opened(url: str, hands: Hands, queue: str = "") -> Iterator[RedisStore]:
    """The queue in a server; made 100 s ago if it is new."""
    hands.pass_by(-100)
    store = redis.store(url, queue=queue or queue_name(), clock=hands, wall=hands.wall, patience=2)
    store.begin()
    hands.pass_by(100)
    with closing(store):
        yield store


def enter(store: RedisStore, run: str) -> int:
    """Take a ticket; gives its number."""
    entrance = store.enter(request(run))
    assert isinstance(entrance, Entered), entrance
    return entrance.ticket


def turn(store: RedisStore, run: str) -> tuple[int, int]:
    """Take a ticket and its turn; gives its number and token."""
    ticket = enter(store, run)
    answer = store.claim(ticket, f"host:{run}")
    assert isinstance(answer, Granted), answer
    return ticket, answer.token


def serves_nobody_until(store: RedisStore, hands: Hands, run: str, ticket: int, *, seconds: float = QUIET) -> None:
    """It grants nothing for so long, and then it does."""
    until = hands.now + seconds
    assert store.snapshot().quiet == pytest.approx(seconds)
    while hands.now < until:
        answer = store.claim(ticket, f"host:{run}")
        assert isinstance(answer, Waiting)
        assert answer.why is Why.NEW_STORE
        store.renew(f"host:{run}")
        hands.pass_by(min(25.0, until - hands.now + 0.1))
    assert isinstance(store.claim(ticket, f"host:{run}"), Granted)


class TestLosses:
    """A server that forgets, or begins anew."""

    def test_a_new_queue_serves_nobody_at_first(self, shared: Server) -> None:
        """A queue that was just made may be one that was lost: leases may be out that nobody knows of."""
        hands = Hands()
        with closing(redis.store(shared.url, queue=queue_name(), clock=hands, wall=hands.wall)) as store:
            ticket = enter(store, "a")
            answer = store.claim(ticket, "host:a")
            assert isinstance(answer, Waiting)
            assert (answer.position, answer.dead) == (1, ())
            assert "from 1833 s on" in answer.reason
            serves_nobody_until(store, hands, "a", ticket, seconds=QUARANTINE + QUIET)

    def test_somebody_may_vouch_for_a_new_queue(self, shared: Server) -> None:
        """Who knows that no container lives lets a new queue begin after the time of a lease; once."""
        hands = Hands()
        with closing(redis.store(shared.url, queue=queue_name(), clock=hands, wall=hands.wall)) as store:
            ticket = enter(store, "a")
            assert store.begin()
            assert not store.begin()
            serves_nobody_until(store, hands, "a", ticket)

    def test_longer_leases_ask_for_a_longer_wait(self, shared: Server) -> None:
        """How long it waits follows the caps, also if they come after the queue was made."""
        hands = Hands()
        with closing(redis.store(shared.url, queue=queue_name(), clock=hands, wall=hands.wall)) as store:
            store.agree(Caps(lease_seconds=100.0, quarantine_seconds=400.0))
            serves_nobody_until(store, hands, "a", enter(store, "a"), seconds=510.0)

    def test_a_restart_with_its_data(self, tmp_path: Path) -> None:
        """Leases and places outlive a restart; who could not renew gets the time to; nobody is served."""
        hands = Hands()
        with Server(tmp_path, *LASTING) as server, opened(server.url, hands) as store:
            first, token = turn(store, "a")
            second = enter(store, "b")
            assert store.note(first, token, placed=["fc-1"])
            server.stop()
            hands.pass_by(500)
            server.start()
            assert store.note(first, token, placed=["fc-2"])
            assert [(each.ticket, each.token) for each in store.renew("host:a")] == [(first, token)]
            assert store.snapshot().regions["us"].active[0].calls == ("fc-1", "fc-2")
            assert store.leave(first, token, part(), {})
            serves_nobody_until(store, hands, "b", second)

    @pytest.mark.parametrize("loss", ["restart", "flush"])
    def test_a_loss_of_everything(self, tmp_path: Path, loss: str) -> None:
        """A queue that is gone is a new one: leases of before are void, their numbers do not come again."""
        hands = Hands()
        with Server(tmp_path, *FLEETING) as server, opened(server.url, hands) as store:
            first, token = turn(store, "a")
            if loss == "flush":
                client.Redis.from_url(server.url).flushall()
            else:
                server.stop()
                server.start()
            assert not store.note(first, token, placed=["fc-1"])
            assert store.renew("host:a") == ()
            second = enter(store, "b")
            assert second > token
            serves_nobody_until(store, hands, "b", second, seconds=QUARANTINE + QUIET)

    def test_a_step_back(self, tmp_path: Path) -> None:
        """A server that comes back with the data of a while ago gives out no number again, and serves nobody."""
        hands = Hands()
        with Server(tmp_path, "appendonly no") as server, opened(server.url, hands) as store:
            turn(store, "a")
            client.Redis.from_url(server.url).save()
            second = enter(store, "b")
            hands.pass_by(1)
            server.stop()
            server.start()
            assert store.renew("host:b") == ()
            third = enter(store, "c")
            assert third > second
            hands.pass_by(QUIET + 1)
            waits = store.claim(enter(store, "c"), "host:c")
            assert isinstance(waits, Waiting)
            assert waits.why is Why.NEW_STORE, "what was warm since then, it does not know"
            assert store.snapshot().regions["us"].active[0].run_id == "a"

    def test_a_part_that_is_missing(self, shared: Server) -> None:
        """A queue some of whose keys are gone is told from a whole one."""
        hands, queue = Hands(), queue_name()
        with opened(shared.url, hands, queue) as store:
            turn(store, "a")
            client.Redis.from_url(shared.url).delete(f"beacon:{{{queue}}}:active")
            with pytest.raises(StoreError, match="has lost a part of its data"):
                store.renew("host:a")

    def test_a_newer_one_is_left_alone(self, shared: Server) -> None:
        """A queue that a newer beacon wrote is refused, and not one key of it changes."""
        hands, queue = Hands(), queue_name()
        admin = client.Redis.from_url(shared.url)
        with opened(shared.url, hands, queue) as store:
            turn(store, "a")
            admin.hset(f"beacon:{{{queue}}}:meta", "form", "999")
            keys = sorted(admin.keys(f"beacon:{{{queue}}}:*"))
            before = [admin.dump(key) for key in keys]
            for act in (store.snapshot, store.log, lambda: store.renew("host:a"), lambda: enter(store, "b")):
                with pytest.raises(StoreError, match="newer beacon"):
                    act()
            assert [admin.dump(key) for key in sorted(admin.keys(f"beacon:{{{queue}}}:*"))] == before

    def test_nothing_ever_runs_out(self, shared: Server) -> None:
        """No key has a time to live, so no policy of a full server may take it."""
        hands, queue = Hands(), queue_name()
        admin = client.Redis.from_url(shared.url)
        with opened(shared.url, hands, queue) as store:
            first, token = turn(store, "a")
            enter(store, "b")
            assert store.leave(first, token, part(), {"p1": 1})
            assert {admin.ttl(key) for key in admin.keys(f"beacon:{{{queue}}}:*")} == {-1}


class TestFailures:
    """A server that cannot be asked."""

    def test_a_server_that_is_gone(self, tmp_path: Path) -> None:
        """Every operation fails while the server is down, and goes on when it is back."""
        hands = Hands()
        with Server(tmp_path, *LASTING) as server, opened(server.url, hands) as store:
            ticket, token = turn(store, "a")
            server.stop()
            for act in (store.snapshot, lambda: store.renew("host:a"), lambda: store.claim(ticket, "host:a")):
                with pytest.raises(StoreError, match="cannot be reached"):
                    act()
            server.start()
            assert store.claim(ticket, "host:a") == Granted(token)

    def test_a_server_that_stalls(self, tmp_path: Path) -> None:
        """An operation without an answer fails in time; asked again it gives the same, done before or not."""
        hands = Hands()
        with (
            Server(tmp_path, *FLEETING) as server,
            closing(redis.store(server.url, clock=hands, wall=hands.wall, patience=0.3)) as store,
        ):
            server.signal(signal.SIGSTOP)
            began = time.monotonic()
            with pytest.raises(StoreError, match="does not answer"):
                enter(store, "a")
            assert time.monotonic() - began < 5
            server.signal(signal.SIGCONT)
            ticket = enter(store, "a")
            assert enter(store, "a") == ticket
            assert len(store.snapshot().regions["us"].waiting) == 1

    def test_a_black_hole(self) -> None:
        """What takes connections and never answers is told within the patience."""
        with socket.create_server(("127.0.0.1", 0)) as hole:
            port = hole.getsockname()[1]
            began = time.monotonic()
            with pytest.raises(StoreError, match=f"queue redis://127.0.0.1:{port}/0 does not answer"):
                redis.store(f"redis://127.0.0.1:{port}", patience=0.3)
            assert time.monotonic() - began < 5

    def test_a_server_that_throws_keys_away(self, tmp_path: Path) -> None:
        """A server that may evict any key is refused, and told what to set."""
        with (
            Server(tmp_path, *FLEETING, "maxmemory-policy allkeys-lru") as server,
            pytest.raises(StoreError, match=r"allkeys-lru.*set maxmemory-policy to noeviction"),
        ):
            redis.store(server.url)

    def test_a_full_server(self, tmp_path: Path) -> None:
        """A server without memory takes nothing new, and what it has stays whole."""
        hands = Hands()
        with Server(tmp_path, *FLEETING) as server, opened(server.url, hands) as store:
            ticket, token = turn(store, "a")
            admin = client.Redis.from_url(server.url)
            admin.config_set("maxmemory", "1")
            with pytest.raises(StoreError, match="no memory left"):
                enter(store, "b")
            admin.config_set("maxmemory", "0")
            assert store.claim(ticket, "host:a") == Granted(token)
            assert enter(store, "b") == token + 1

    def test_a_replica(self, shared: Server, tmp_path: Path) -> None:
        """A replica is refused: it could not keep what it is told."""
        with (
            Server(tmp_path, *FLEETING, f"replicaof 127.0.0.1 {shared.port}") as replica,
            pytest.raises(StoreError, match="replica that takes no writes"),
        ):
            redis.store(replica.url)

    def test_nothing_on_disk_is_told(self, tmp_path: Path) -> None:
        """A server that keeps nothing is served and warned of; one that does is not."""
        with Server(tmp_path / "a", *FLEETING) as server, closing(redis.store(server.url)) as store:
            assert len(store.warnings) == 1
            assert "keeps nothing on disk" in store.warnings[0]
        with Server(tmp_path / "b", *LASTING) as server, closing(redis.store(server.url)) as store:
            assert store.warnings == ()

    @pytest.mark.parametrize(
        "url",
        [
            f"redis://beacon:{CANARY}@127.0.0.1:1/0",
            f"rediss://beacon:{CANARY}@127.0.0.1:1/0",
            f"redis://beacon:{CANARY}@127.0.0.1:1/0?no_such_option=1",
            f"redis://beacon:{CANARY}@127.0.0.1:1/0?socket_timeout={CANARY}",
            f"redis://beacon:{CANARY}@no.such.host.invalid/0",
            f"redis://:{CANARY}/12@127.0.0.1:1/0",
            f"redis://beacon:{CANARY}?12@127.0.0.1:1/0",
            f"redis://beacon:{CANARY}#12@127.0.0.1:1/0",
            f"redis://beacon:{CANARY}@127.0.0.1:port/0",
            f"unix:///no/such/socket?password={CANARY}",
            f"http://beacon:{CANARY}@127.0.0.1/",
        ],
    )
    def test_the_password_is_never_shown(self, url: str) -> None:
        """Whatever is wrong with an address, the line that says so is one, and holds no password."""
        with pytest.raises(StoreError) as caught:
            redis.store(url, patience=1)
        assert CANARY not in str(caught.value)
        assert str(caught.value).isprintable()
        assert caught.value.__cause__ is None

    @pytest.mark.parametrize("end", ["#", "/", "?"])
    def test_a_password_of_digits_is_no_port(self, end: str) -> None:
        """What stands before such a sign would be tried as the port of this machine, and shown."""
        with pytest.raises(StoreError) as caught:
            redis.store(f"redis://:4711{end}x@queue.invalid:6379/0", patience=1)
        assert "4711" not in str(caught.value)
        assert "%2F" in str(caught.value)

    def test_another_programs_data_is_told(self, tmp_path: Path) -> None:
        """Keys of the queue's names that are not the queue's are left alone, and what helps is said."""
        name = queue_name()
        with Server(tmp_path, *LASTING) as server:
            client.Redis.from_url(server.url).set(f"beacon:{{{name}}}:tickets", "mine")
            with pytest.raises(StoreError, match="use another database"):
                redis.store(server.url, queue=name).snapshot()
            assert client.Redis.from_url(server.url).get(f"beacon:{{{name}}}:tickets") == b"mine"

    def test_a_database_is_a_number(self) -> None:
        """The client takes any other for the first, in which another program's keys may be."""
        with pytest.raises(StoreError, match="database"):
            redis.store("redis://127.0.0.1:1/queue", patience=1)

    def test_a_socket_of_this_machine_holds_a_queue(self, tmp_path: Path) -> None:
        """A Redis without any port, at `unix://`."""
        path = tmp_path / "s"
        with (
            Server(tmp_path, *LASTING, f"unixsocket {path}"),
            closing(redis.store(f"unix://{path}?db=3", queue=queue_name())) as store,
        ):
            store.begin()
            assert store.snapshot().regions == {}

    def test_the_client_is_not_installed(self) -> None:
        """Without the extra, one line says what to install."""
        code = (
            "import sys; sys.modules['redis'] = None\n"
            "from beacon_cli.errors import StoreError\n"
            "try:\n  import beacon_cli.queues.redis\n"
            "except StoreError as error: print(error)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert "pip install 'beacon-cli[redis]'" in done.stdout


class TestAccess:
    """Who may work there, and by which way."""

    def test_a_password(self, tmp_path: Path) -> None:
        """The password of the address is used; a wrong one is told without being shown."""
        with Server(tmp_path, *FLEETING, f"requirepass {CANARY}") as server:
            redis.store(server.url.replace("//", f"//:{CANARY}@")).close()
            for word in (f":{CANARY}x@", f"ann:{CANARY}@", ""):
                with pytest.raises(StoreError, match="user or the password") as caught:
                    redis.store(server.url.replace("//", f"//{word}"))
                assert CANARY not in str(caught.value)

    def test_a_user_of_few_rights(self, tmp_path: Path) -> None:
        """The rights that docs/queue.md names are enough, and with fewer the line says so."""
        rights = "~beacon:* +@read +@write +@connection +eval +evalsha +info +time"
        settings = (f"user ann on >{CANARY} {rights}", f"user ben on >{CANARY} ~beacon:* +@read +@connection")
        hands = Hands()
        with Server(tmp_path, *FLEETING, *settings) as server:
            with opened(server.url.replace("//", f"//ann:{CANARY}@"), hands) as store:
                ticket, token = turn(store, "a")
                assert store.leave(ticket, token, part(), {})
                assert store.failures() == ()
                assert len(list(store.log())) == 3
            with pytest.raises(StoreError, match="does not let this user"):
                redis.store(server.url.replace("//", f"//ben:{CANARY}@"))
        assert f"`{rights}`" in (Path(__file__).parents[2] / "docs" / "queue.md").read_text(encoding="utf-8")

    def test_tls(self, tmp_path: Path) -> None:
        """`rediss://` is encrypted, and a server whose certificate nobody vouches for is refused."""
        authority = trustme.CA()
        authority.cert_pem.write_to_path(tmp_path / "ca.pem")
        certificate = authority.issue_cert("127.0.0.1")
        certificate.private_key_and_cert_chain_pem.write_to_path(tmp_path / "both.pem")
        pem = {"cert": "both", "key": "both", "ca-cert": "ca"}
        files = (f"tls-{kind}-file {tmp_path}/{name}.pem" for kind, name in pem.items())
        with Server(tmp_path / "redis", *FLEETING, *files, tls=True) as server:
            with closing(redis.store(f"{server.url}?ssl_ca_certs={tmp_path}/ca.pem")) as store:
                assert isinstance(store.enter(request("a")), Entered)
            with pytest.raises(StoreError, match=r"nobody here vouches for.* Add \?ssl_ca_certs="):
                redis.store(server.url)
            with pytest.raises(StoreError, match="for another name than BEACON_QUEUE gives"):
                redis.store(f"{server.url.replace('127.0.0.1', 'localhost')}?ssl_ca_certs={tmp_path}/ca.pem")
            with closing(redis.store(f"{server.url}?ssl_cert_reqs=none")) as store:
                assert any("is not asked for its certificate" in each for each in store.warnings)

    def test_the_servers_clock_is_the_queues(self, shared: Server) -> None:
        """Without a clock of a test the times are those of the server."""
        with closing(redis.store(shared.url, queue=queue_name())) as store:
            enter(store, "a")
            snapshot = store.snapshot()
            assert abs(snapshot.at - time.time()) < 5
            assert snapshot.now == snapshot.at
            (ticket,) = snapshot.regions["us"].waiting
            assert 25 < ticket.expires - (ticket.rank - Caps().ageing) <= 30

    def test_any_thread_may_call(self, shared: Server) -> None:
        """Of many that ask at once exactly one is served, and each has a number of its own."""
        hands, together = Hands(), threading.Barrier(8)
        with opened(shared.url, hands) as store:

            def work(number: int) -> tuple[int, bool]:
                together.wait()
                ticket = enter(store, f"r{number}")
                together.wait()
                return ticket, isinstance(store.claim(ticket, f"host:r{number}"), Granted)

            with ThreadPoolExecutor(8) as pool:
                done = list(pool.map(work, range(8)))
        assert len({ticket for ticket, _ in done}) == 8
        assert [ticket for ticket, is_served in done if is_served] == [min(ticket for ticket, _ in done)]
