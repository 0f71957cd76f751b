# SPDX-License-Identifier: Apache-2.0
"""Who may do what: each route of the document with each kind of key, and with things of others."""

import base64
import json
import re
import time

import pytest

from api_desk import CONFIG, Desk, unique
from harness import PATIENCE_S, Reply, ask, wait_until

METHODS = ("get", "head", "post", "put", "patch", "delete")
NONE = {"app_id": "app_0123456789abc", "endpoint_id": "ep_0123456789abc",
        "msg_id": "msg_0123456789abc", "attempt_id": "atmpt_0123456789abc_1",
        "event_type_name": "none", "key_id": "key_0123456789abc", "event_id": "evt_0123456789abc",
        "replay_id": "rpl_0123456789abc", "task_id": "rpl_0123456789abc", "source": "nobody",
        "backfill_id": "bfl_0123456789abc"}
# A body that each route's schema takes.
BODIES = {
    "ApplicationIn": {"name": "n"}, "ApplicationPatch": {},
    "EndpointIn": {"url": "https://example.com/"}, "EndpointUpdate": {"url": "https://example.com/"},
    "EndpointPatch": {}, "EndpointHeadersIn": {"headers": {}},
    "EndpointHeadersPatchIn": {"headers": {}}, "EndpointSecretRotateIn": {},
    "RecoverIn": {"since": "2024-01-01T00:00:00Z"}, "EventExampleIn": {"eventType": "a.b"},
    "EventTypeIn": {"name": "n", "description": "d"}, "EventTypeUpdate": {"description": "d"},
    "EventTypePatch": {}, "MessageIn": {"eventType": "a.b", "payload": {}},
    "EventIn": {"n": 1}, "AppPortalAccessIn": {}, "KeyIn": {"name": "n", "role": "admin"},
    "BackfillIn": {"flow": "none", "from": "none:/x"},
    "BackfillReportIn": {"flow": "none", "from": "none:/x"},
    "ReplayIn": {"application": "none", "since": "2024-01-01T00:00:00Z", "dryRun": True},
}


class Tenant:
    """An application with one of everything, and a key of its own."""

    def __init__(self, desk):
        self.app = desk.app(uid=unique("tenant"))
        self.uid = desk.get(f"/app/{self.app}")["uid"]
        self.endpoint = desk.endpoint(self.app, uid="hook")
        self.message = desk.send(self.app, eventId=unique("event"))
        desk.settled(self.app, self.message)
        attempt, = desk.get(f"/app/{self.app}/attempt/msg/{self.message}")["data"]
        self.attempt = attempt["id"]
        self.key = desk.key(self.app)
        self.ids = {**NONE, "app_id": self.app, "endpoint_id": self.endpoint,
                    "msg_id": self.message, "attempt_id": self.attempt}


def routes(desk):
    """Method, path, operation and body of each."""
    document = desk.get("/openapi.json")
    for path, operations in document["paths"].items():
        for method in METHODS:
            if method in operations:
                operation = operations[method]
                content = operation.get("requestBody", {}).get("content", {})
                one = content.get("application/x-ndjson") or content.get("application/json")
                body = BODIES[one["schema"]["$ref"].rpartition("/")[2]] if one else None
                if "application/x-ndjson" in content:
                    body = [body]
                yield method.upper(), path, operation, body


def filled(path, ids):
    """The path with these in place of its names."""
    return re.sub(r"\{(\w+)\}", lambda name: ids[name[1]], path)


def required_query(operation):
    """What a route cannot do without."""
    names = [one["name"] for one in operation["parameters"]
             if one["in"] == "query" and one.get("required")]
    return "?" + "&".join(f"{name}=none" for name in names) if names else ""


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    one = Desk(tmp_path_factory.mktemp("access"))
    yield one
    one.close()


@pytest.fixture(scope="module")
def tenants(desk):
    desk.target.act = Reply(200, {})
    return Tenant(desk), Tenant(desk)


def test_without_a_valid_key_only_open_routes_answer(desk, tenants):
    one, _ = tenants
    for key in ("", "wrong", "gk_", one.key[:-1] + ("0" if one.key[-1] != "0" else "1"),
                desk.token + "x"):
        for method, path, operation, body in routes(desk):
            answer = desk.call(method, filled(path, one.ids), body, key=key)
            if operation["x-role"] == "open":
                assert answer.status in (200, 204), (method, path, answer)
            else:
                assert answer.status == 401, (method, path, key, answer)
                assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_an_applications_key_may_not_do_what_is_the_administrators(desk, tenants):
    one, _ = tenants
    n = 0
    for method, path, operation, body in routes(desk):
        if operation["x-role"] == "admin":
            answer = desk.call(method, filled(path, one.ids) + required_query(operation), body,
                               key=one.key)
            assert answer.status == 403, (method, path, answer)
            assert method == "HEAD" or answer.json["code"] == "insufficient_access"
            n += 1
    assert n >= 20
    assert desk.get(f"/app/{one.app}")["id"] == one.app


def test_every_route_times_every_foreign_id(desk, tenants):
    one, other = tenants
    n = 0
    for method, path, operation, body in routes(desk):
        if operation["x-role"] != "application":
            continue
        query = required_query(operation)
        names = re.findall(r"\{(\w+)\}", path)
        # The application of others, by its id and by its uid: as if it were not there.
        missing = desk.call(method, filled(path, NONE) + query, body, key=one.key)
        assert missing.status == 404, (method, path, missing)
        for app in (other.app, other.uid):
            foreign = desk.call(method, filled(path, {**other.ids, "app_id": app}) + query, body,
                                key=one.key)
            assert (foreign.status, foreign.body) == (404, missing.body), (method, path, foreign)
            n += 1
        # One's own application, and each of the other things of others.
        for name in names[1:]:
            ids = {**one.ids, name: other.ids[name]}
            answer = desk.call(method, filled(path, ids) + query, body, key=one.key)
            unmade = method == "PUT" and name == "endpoint_id"
            assert answer.status == 404, (method, path, name, answer)
            assert unmade or answer.body == missing.body
            n += 1
    assert n >= 60
    # Nothing of it has touched the other.
    assert desk.get(f"/app/{other.app}/endpoint/hook")["id"] == other.endpoint
    assert desk.get(f"/app/{other.app}/msg/{other.message}")["payload"] == {"n": 1}
    assert len(desk.get(f"/app/{other.app}/endpoint")["data"]) == 1


def test_administrators_too_find_nothing_in_the_wrong_application(desk, tenants):
    one, other = tenants
    for method, path, operation, body in routes(desk):
        names = re.findall(r"\{(\w+)\}", path)
        if "app_id" not in names or len(names) < 2:
            continue
        for name in names[1:]:
            ids = {**one.ids, name: other.ids[name]}
            answer = desk.call(method, filled(path, ids) + required_query(operation), body)
            assert answer.status == 404, (method, path, name, answer)


def test_event_ids_and_keys_of_others_are_not_found(desk, tenants):
    one, other = tenants
    event_id = desk.get(f"/app/{other.app}/msg/{other.message}")["eventId"]
    assert desk.refused("GET", f"/app/{one.app}/msg/{event_id}", key=one.key) == "not_found"
    assert desk.get(f"/app/{other.app}/msg/{event_id}", key=other.key)["id"] == other.message
    # Through the query too.
    assert desk.refused("GET", f"/app/{one.app}/attempt/msg/{one.message}"
                               f"?endpoint_id={other.endpoint}", key=one.key) == "not_found"
    iterator = f"?iterator={other.message}"
    assert [m["id"] for m in desk.get(f"/app/{one.app}/msg{iterator}", key=one.key)["data"]] in (
        [], [one.message])


def test_an_applications_key_does_what_is_its_own(desk):
    one = Tenant(desk)
    n = 0
    for method, path, operation, body in routes(desk):
        if operation["x-role"] in ("application", "any key") and method == "GET":
            ids = {**one.ids, "event_type_name": "none"}
            answer = desk.call(method, filled(path, ids), body, key=one.key)
            expected = 404 if "event_type_name" in path or "task_id" in path else 200
            assert answer.status == expected, (method, path, answer)
            n += 1
    assert n >= 12
    made = desk.post(f"/app/{one.uid}/endpoint", {"url": "https://example.com/"}, key=one.key)
    desk.patch(f"/app/{one.app}/endpoint/{made['id']}", {"description": "d"}, key=one.key)
    desk.delete(f"/app/{one.app}/endpoint/{made['id']}", key=one.key)


def test_a_key_is_told_once_and_ends_at_once(desk):
    app = desk.app()
    made = desk.post("/auth/key", {"name": "k", "role": "application", "application": app})
    assert made["key"].startswith("gk_") and made["id"].startswith("key_")
    assert made["application"] == app and made["expiresAt"] is None
    assert desk.get(f"/app/{app}", key=made["key"])["id"] == app
    listed = desk.call("GET", f"/api/v1/auth/key?application={app}")
    assert made["id"].encode() in listed.body and made["key"].encode() not in listed.body
    assert "hash" not in listed.json["data"][0]
    store = b"".join(path.read_bytes() for path in desk.daemon.folder.glob("grapnel.db*"))
    assert made["id"][4:].encode() not in store  # ids are numbers there
    assert made["key"].encode() not in store and made["key"][-64:].encode() not in store
    desk.delete(f"/auth/key/{made['id']}")
    answers = [ask(desk.daemon.admin, "GET", f"/api/v1/app/{app}",
                   headers={"authorization": f"Bearer {made['key']}"}) for _ in range(20)]
    assert {one.status for one in answers} == {401}  # on each loop
    assert desk.refused("DELETE", f"/auth/key/{made['id']}") == "not_found"


def test_a_key_of_the_administrator_is_one(desk):
    key = desk.key()
    app = desk.post("/app", {"name": "by key"}, key=key)["id"]
    assert desk.get("/auth/key", key=key)["data"][-1]["role"] == "admin"
    for bad, member in (({"role": "admin"}, "name"), ({"name": "n"}, "role"),
                        ({"name": "n", "role": "root"}, "role"),
                        ({"name": "n", "role": "application"}, "application"),
                        ({"name": "n", "role": "admin", "application": app}, "application"),
                        ({"name": "n", "role": "application", "application": "x"}, "application"),
                        ({"name": "n", "role": "admin", "expiresAt": "2020-01-01T00:00:00Z"},
                         "expiresAt"),
                        ({"name": "n", "role": "admin", "scope": "all"}, "scope")):
        assert desk.faults("POST", "/auth/key", bad) == [("body", member)], bad


def test_a_key_ends_when_its_time_is_over(desk):
    app = desk.app()
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 2))
    key = desk.key(app, expiresAt=at)
    assert desk.get(f"/app/{app}", key=key)
    assert wait_until(lambda: desk.call("GET", f"/api/v1/app/{app}", key=key).status == 401,
                      PATIENCE_S)


def test_an_applications_end_is_the_end_of_its_keys(desk):
    app = desk.app()
    key = desk.key(app)
    desk.delete(f"/app/{app}")
    assert desk.call("GET", f"/api/v1/app/{app}", key=key).status == 401
    assert desk.refused("GET", f"/auth/key?application={app}") == "not_found"


def test_a_visitor_comes_reads_and_leaves(desk):
    app = desk.app(uid=unique("visited"))
    access = desk.post(f"/auth/app-portal-access/{app}", {}, 200)
    assert access["url"].endswith("#key=" + access["token"])
    assert desk.get(f"/app/{app}", key=access["token"])["id"] == app
    again = desk.post(f"/auth/app-portal-access/{app}", None, 200)
    assert again["token"] != access["token"]
    key, = [one for one in desk.get(f"/auth/key?application={app}&limit=1")["data"]]
    assert key["portal"] is True and key["expiresAt"]
    desk.post("/auth/logout", None, 204, key=access["token"])
    assert desk.call("GET", f"/api/v1/app/{app}", key=access["token"]).status == 401
    assert desk.get(f"/app/{app}", key=again["token"])
    # A key that was not made for a visit stays, and so does the token of the configuration.
    lasting = desk.key(app)
    desk.post("/auth/logout", None, 204, key=lasting)
    assert desk.get(f"/app/{app}", key=lasting)
    desk.post("/auth/logout", None, 204)
    assert desk.get("/app")

    reader = desk.post(f"/auth/app-portal-access/{app}", {"readOnly": True, "expiry": 60},
                       200)["token"]
    assert desk.get(f"/app/{app}/endpoint", key=reader)["data"] == []
    assert desk.refused("POST", f"/app/{app}/endpoint", {"url": "https://example.com/"}, 403,
                        key=reader) == "insufficient_access"
    assert desk.faults("POST", f"/auth/app-portal-access/{app}", {"expiry": 59}) == [
        ("body", "expiry")]
    # What would limit the key and is not known here may not be passed over.
    assert desk.faults("POST", f"/auth/app-portal-access/{app}", {"capabilities": ["ViewBase"]}
                       ) == [("body", "capabilities")]
    desk.post(f"/auth/app-portal-access/{app}", {"capabilities": None}, 200)
    uid = unique("along")
    assert desk.refused("POST", f"/auth/app-portal-access/{uid}", {}) == "not_found"
    desk.post(f"/auth/app-portal-access/{uid}", {"application": {"name": "n", "uid": uid}}, 200)
    assert desk.get(f"/app/{uid}")["name"] == "n"


def test_pages_of_other_origins_change_nothing(desk):
    for headers in ({"origin": "http://evil.example"}, {"origin": "null"},
                    {"sec_fetch_site": "cross-site"}, {"sec_fetch_site": "same-site"}):
        assert desk.refused("POST", "/app", {"name": "n"}, 403, **headers) == "foreign_page"
    own = f"http://127.0.0.1:{desk.daemon.admin}"
    desk.post("/app", {"name": "n"}, origin=own, sec_fetch_site="same-origin",
              host=f"127.0.0.1:{desk.daemon.admin}")


def test_without_a_token_this_machine_is_trusted_but_keys_bind(tmp_path):
    desk = Desk(tmp_path, "", "")
    app, other = desk.app(), desk.app()
    key = desk.key(app)
    assert desk.get(f"/app/{app}", key=key)["id"] == app
    assert desk.refused("GET", f"/app/{other}", key=key) == "not_found"
    assert desk.refused("GET", "/app", status=403, key=key) == "insufficient_access"
    key_id = desk.get(f"/auth/key?application={app}")["data"][0]["id"]
    desk.delete(f"/auth/key/{key_id}")
    assert desk.refused("GET", f"/app/{app}", status=401, key=key) == "authentication_failed"
    # A name that somebody's DNS gave to this machine is not its own.
    for host in ("evil.example", "127.0.0.1.evil.example", "localhost.evil.example"):
        assert desk.refused("GET", "/app", status=403, host=host) == "foreign_page"
    assert desk.call("GET", "/api/v1/app", host="localhost").status == 200
    desk.close()


def test_secrets_are_in_no_answer_that_does_not_ask_for_them(desk):
    app = desk.app()
    endpoint = desk.endpoint(app, auth={"basic": {"user": "u", "password": "canary-password"}},
                             headers={"x-api-key": "canary-header"})
    hidden = [b"canary-password", b"canary-header", base64.b64encode(b"u:canary-password")]
    secret = desk.get(f"/app/{app}/endpoint/{endpoint}/secret")["key"]
    message = desk.send(app)
    desk.settled(app, message)
    ids = {**NONE, "app_id": app, "endpoint_id": endpoint, "msg_id": message,
           "attempt_id": desk.get(f"/app/{app}/attempt/msg/{message}")["data"][0]["id"],
           "event_id": message.replace("msg_", "evt_")}
    for method, path, operation, _ in routes(desk):
        if method != "GET" or path.endswith("/secret"):
            continue
        answer = desk.call(method, filled(path, ids) + required_query(operation))
        assert secret.encode() not in answer.body, path
        assert not any(word in answer.body for word in hidden), path
    assert json.loads(CONFIG.partition(":")[2]) == desk.token
    log = desk.daemon.log.read_text()
    assert secret not in log and desk.token not in log and "canary" not in log
    assert desk.target.seen("POST")[-1].headers["x-api-key"] == "canary-header"
