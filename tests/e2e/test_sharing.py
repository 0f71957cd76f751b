# SPDX-License-Identifier: Apache-2.0
"""What a thousand jobs at once have in common: one token, and one target, at which the updates of
one user never overlap while those of a thousand users run beside each other. The target itself
counts, and holds whom it must until as many have come as should be there together."""

import collections
import re
import resource
import threading

import pytest

from harness import PATIENCE_S, Reply, inside, wait_until

MANY = 1000
PAIRS = 200
LONG_S = 3 * PATIENCE_S  # a thousand threads of the test share the cores with the daemon


@pytest.fixture(scope="module", autouse=True)
def descriptors():
    """A thousand callers and a thousand answerers are in this one process."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most < 4 * MANY:
        pytest.skip(f"{most} descriptors are allowed here, and {4 * MANY} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class Gate:
    """Holds whoever passes until `count` are here together; then it is open to all."""

    def __init__(self, count):
        self.count, self.here, self.most = count, 0, 0
        self.opened = threading.Event()
        self._lock = threading.Lock()

    def enter(self):
        """Returns when it is open."""
        with self._lock:
            self.here += 1
            self.most = max(self.most, self.here)
            if self.here == self.count:
                self.opened.set()
        self.opened.wait(LONG_S)

    def leave(self):
        """Before the answer is sent: whoever comes because of it finds us gone."""
        with self._lock:
            self.here -= 1


def together(daemon, bodies, **headers):
    """Posts all of them at once; the threads that wait for the answers."""
    return [inside(lambda body: daemon.post("app", body, **headers), body) for body in bodies]


def answers_of(threads):
    """What came back; a thousand may take a while."""
    for one in threads:
        one.join(LONG_S)
        assert not one.is_alive() and not isinstance(one.result, Exception), one.result
    return [one.result for one in threads]


# ---- one token ----

GUARDED = """
threads: 4
connections:
  guarded:
    url: "http://127.0.0.1:${TARGET_PORT}/api"
    oauth2: {token_url: "http://127.0.0.1:${TARGET_PORT}/token", client_id: me, client_secret: x}
    limit: {concurrency: 1000}
sources: {app: {verify: none, deadline: 2m}}
flows: {fetch: {on: app, reply: wait, steps: [{got: {get: 'guarded:/{.event.n}'}}]}}
"""


class Issuer:
    """Makes tokens, t1, t2 and so on, each once `gate` lets it; takes only the newest."""

    def __init__(self):
        self.made = 0
        self.token_gate = self.api_gate = None
        self.came = collections.Counter()  # by token
        self._lock = threading.Lock()

    def __call__(self, request):
        if request.path == "/token":
            with self._lock:
                self.made += 1
                made = self.made
            if self.token_gate:
                self.token_gate.wait(LONG_S)
            return Reply(200, {"access_token": f"t{made}", "token_type": "Bearer",
                               "expires_in": 3600})
        shown = request.headers["authorization"].removeprefix("Bearer ")
        with self._lock:
            self.came[shown] += 1
            newest = f"t{self.made}"
        if shown == "t1" and self.api_gate:
            # All have shown the old token before the first of them hears that it is old.
            self.api_gate.enter()
            self.api_gate.leave()
            return Reply(401)
        return Reply(200, {}) if shown == newest else Reply(401)


def test_a_thousand_jobs_fetch_one_token(scene):
    """Nobody has one, and the endpoint is slow until all thousand wait for it."""
    issuer = scene.target.act = Issuer()
    issuer.token_gate = threading.Event()
    daemon = scene.start(GUARDED)
    posts = together(daemon, [{"n": n} for n in range(MANY)])
    assert wait_until(lambda: daemon.metrics()["grapnel_ledger_events"] == MANY, LONG_S)
    assert issuer.made == 1 and not issuer.came
    issuer.token_gate.set()
    assert {one.status for one in answers_of(posts)} == {200}
    assert len(scene.target.seen("POST", "/token")) == 1
    assert issuer.came == {"t1": MANY}


def test_a_thousand_that_are_refused_at_once_fetch_one_more(scene):
    issuer = scene.target.act = Issuer()
    daemon = scene.start(GUARDED)
    assert daemon.post("app", {"n": -1}).status == 200
    issuer.api_gate = Gate(MANY)
    posts = together(daemon, [{"n": n} for n in range(MANY)])
    assert {one.status for one in answers_of(posts)} == {200}
    assert issuer.api_gate.most == MANY
    assert len(scene.target.seen("POST", "/token")) == 2
    assert issuer.came == {"t1": MANY + 1, "t2": MANY}  # nobody asked more than twice


# ---- one target ----

USERS = """
threads: 4
connections:
  crm: {url: "http://127.0.0.1:${TARGET_PORT}", limit: {concurrency: %d}}
sources: {app: {verify: none, time: .time, deadline: 2m}}
flows:
  update:
    on: app
    subject: .id
    reply: wait
    steps:
      - contact: {get: 'crm:/contacts/{.event.id}'}
      - saved:   {patch: 'crm:/contacts/{.event.id}', body: '{name: .event.name}', have: contact}
"""


class Contacts:
    """The target: keeps what was written, and counts for each user how many of its requests were
    under way at the same time. Nobody is answered before the gate is open."""

    def __init__(self, gate):
        self.gate = gate
        self.name = collections.defaultdict(str)
        self.written = collections.defaultdict(list)  # by user, in order
        self.now, self.most = collections.Counter(), collections.Counter()
        self._lock = threading.Lock()

    def __call__(self, request):
        user = re.fullmatch(r"/contacts/(\w+)", request.path)[1]
        with self._lock:
            self.now[user] += 1
            self.most[user] = max(self.most[user], self.now[user])
        self.gate.enter()
        with self._lock:
            if request.method == "PATCH":
                self.name[user] = request.json["name"]
                self.written[user].append(self.name[user])
            self.now[user] -= 1
        self.gate.leave()
        return Reply(200, {"name": self.name[user]})


def test_two_updates_of_one_user_never_overlap(scene):
    """All pairs are there while the first of each is at the target: who could overtake would."""
    contacts = scene.target.act = Contacts(Gate(-1))
    daemon = scene.start(USERS % 1000)
    posts = together(daemon, [{"id": f"U{n}", "name": name} for n in range(PAIRS)
                              for name in ("one", "other")])
    assert wait_until(lambda: daemon.metrics()["grapnel_ledger_events"] == 2 * PAIRS, LONG_S)
    assert wait_until(lambda: contacts.gate.here >= PAIRS, LONG_S)
    assert contacts.gate.here == PAIRS
    contacts.gate.opened.set()
    assert {one.status for one in answers_of(posts)} == {200}
    assert set(contacts.most.values()) == {1} and len(contacts.most) == PAIRS
    assert all(sorted(contacts.written[f"U{n}"]) == ["one", "other"] for n in range(PAIRS))


def test_the_one_that_was_accepted_later_is_written_last(scene):
    contacts = scene.target.act = Contacts(Gate(-1))
    daemon = scene.start(USERS % 1000)

    def pair(user):
        return [daemon.post("app", {"id": user, "name": name}, Prefer="respond-async").status
                for name in ("first", "second")]

    posts = [inside(pair, f"U{n}") for n in range(PAIRS)]
    assert answers_of(posts) == [[202, 202]] * PAIRS
    assert wait_until(lambda: contacts.gate.here >= PAIRS, LONG_S)
    contacts.gate.opened.set()
    assert wait_until(lambda: sum(map(len, contacts.written.values())) >= 2 * PAIRS, LONG_S)
    assert set(contacts.most.values()) == {1}
    assert all(contacts.written[f"U{n}"] == ["first", "second"] for n in range(PAIRS))


def test_of_two_updates_the_later_one_stays_whichever_comes_first(scene):
    """Sent together, with their own times: the one that is newer has the last word."""
    contacts = scene.target.act = Contacts(Gate(-1))
    daemon = scene.start(USERS % 1000)
    posts = together(daemon, [{"id": f"U{n}", "name": name, "time": time} for n in range(PAIRS)
                              for name, time in ((("old", 1000), ("new", 2000))[::n % 2 * 2 - 1])])
    assert wait_until(lambda: daemon.metrics()["grapnel_ledger_events"] == 2 * PAIRS, LONG_S)
    assert wait_until(lambda: contacts.gate.here >= PAIRS, LONG_S)
    contacts.gate.opened.set()
    assert {one.status for one in answers_of(posts)} == {200}
    assert set(contacts.most.values()) == {1}
    assert {contacts.name[f"U{n}"] for n in range(PAIRS)} == {"new"}


@pytest.mark.parametrize("concurrency", (64, MANY))
def test_updates_of_a_thousand_users_run_beside_each_other(scene, concurrency):
    """The gate opens only when as many are at the target as its limit allows, and no more come."""
    contacts = scene.target.act = Contacts(Gate(concurrency))
    daemon = scene.start(USERS % concurrency)
    posts = together(daemon, [{"id": f"U{n}", "name": "new"} for n in range(MANY)])
    assert {one.status for one in answers_of(posts)} == {200}
    assert contacts.gate.opened.is_set() and contacts.gate.most == concurrency
    assert {contacts.name[f"U{n}"] for n in range(MANY)} == {"new"}
