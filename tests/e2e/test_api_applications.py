# SPDX-License-Identifier: Apache-2.0
"""Applications through the API: made, read, changed, removed, listed."""

import concurrent.futures
import re

import pytest

from api_desk import Desk, unique
from harness import ask

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    one = Desk(tmp_path_factory.mktemp("applications"))
    yield one
    one.close()


def test_one_is_made_read_changed_and_removed(desk):
    uid = unique("uid")
    made = desk.post("/app", {"name": "Ää \"1\"", "uid": uid, "throttleRate": 50,
                              "metadata": {"plan": "gold"}})
    assert re.fullmatch(r"app_[0-9a-z]{13}", made["id"])
    assert TIME.fullmatch(made["createdAt"]) and made["createdAt"] == made["updatedAt"]
    assert made["name"] == "Ää \"1\"" and made["uid"] == uid and made["throttleRate"] == 50
    assert made["metadata"] == {"plan": "gold"}
    for path in (f"/app/{made['id']}", f"/app/{uid}", f"/app/{uid}/"):
        assert desk.get(path) == made

    replaced = desk.put(f"/app/{uid}", {"name": "B", "uid": uid})
    assert replaced["id"] == made["id"] and replaced["createdAt"] == made["createdAt"]
    assert replaced["throttleRate"] is None and replaced["metadata"] == {}
    changed = desk.patch(f"/app/{uid}", {"throttleRate": 7, "metadata": {"a": "b"}})
    assert (changed["name"], changed["uid"], changed["throttleRate"]) == ("B", uid, 7)
    changed = desk.patch(f"/app/{uid}", {"uid": None, "throttleRate": None})
    assert changed["uid"] is None and changed["throttleRate"] is None
    assert changed["metadata"] == {"a": "b"}
    assert desk.refused("GET", f"/app/{uid}") == "not_found"
    assert desk.delete(f"/app/{made['id']}") is None
    for method in ("GET", "DELETE"):
        assert desk.refused(method, f"/app/{made['id']}") == "not_found"
    assert desk.refused("PATCH", f"/app/{made['id']}", {}) == "not_found"


def test_what_the_schema_does_not_allow_is_told_member_by_member(desk):
    assert desk.faults("POST", "/app", {}) == [("body", "name")]
    assert desk.faults("POST", "/app", {"name": ""}) == [("body", "name")]
    assert desk.faults("POST", "/app", {"name": None}) == [("body", "name")]
    assert desk.faults("POST", "/app", {"name": 1, "uid": "a b", "throttleRate": 0,
                                        "metadata": {"a": 1}}) == [
        ("body", "name"), ("body", "uid"), ("body", "throttleRate"), ("body", "metadata", "a")]
    assert desk.faults("POST", "/app", {"name": "a", "uid": "x" * 257}) == [("body", "uid")]
    assert desk.faults("POST", "/app", {"name": "a", "throttleRate": 65536}) == [
        ("body", "throttleRate")]
    assert desk.faults("PATCH", f"/app/{desk.app()}", {"name": None}) == [("body", "name")]
    for body in (b"", b"{", b"[]", b"null", b'"a"', b'{"name": "a"} x', b"\xff", b'{"name":"\xff"}'):
        assert desk.faults("POST", "/app", body) == [("body",)]
    assert desk.faults("POST", "/app", b'{"name":"a","name":"b"}') == [("body", "name")]
    # Members that are not known are left out: newer clients send more.
    assert desk.post("/app", {"name": "a", "other": 1})["name"] == "a"


def test_bodies_of_other_kinds_and_sizes_are_refused(desk):
    assert desk.refused("POST", "/app", b'{"name":"a"}', 415,
                        content_type="text/plain") == "unsupported_media_type"
    answer = desk.call("POST", "/api/v1/app", b'{"name":"' + b"a" * (1024 * 1024) + b'"}')
    assert answer.status == 413
    big = {f"k{i}": "v" * 4000 for i in range(80)}
    assert desk.refused("POST", "/app", {"name": "a", "metadata": big}, 413) == "too_large"


def test_a_uid_belongs_to_one(desk):
    uid, other = unique("uid"), desk.app()
    first = desk.post("/app", {"name": "a", "uid": uid})
    assert desk.refused("POST", "/app", {"name": "b", "uid": uid}, 409) == "conflict"
    assert desk.refused("PATCH", f"/app/{other}", {"uid": uid}, 409) == "conflict"
    assert desk.refused("PUT", f"/app/{other}", {"name": "b", "uid": uid}, 409) == "conflict"
    assert desk.get(f"/app/{uid}") == first
    desk.delete(f"/app/{uid}")
    assert desk.post("/app", {"name": "b", "uid": uid})["id"] != first["id"]


def test_get_if_exists_makes_one_however_many_ask(desk):
    uid = unique("uid")

    def make(_):
        return ask(desk.daemon.admin, "POST", "/api/v1/app?get_if_exists=true",
                   f'{{"name":"a","uid":"{uid}"}}',
                   {"authorization": f"Bearer {desk.token}", "content-type": "application/json"})

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(make, range(48)))
    assert sorted({one.status for one in answers}) == [200, 201]
    assert sum(one.status == 201 for one in answers) == 1
    assert len({one.json["id"] for one in answers}) == 1
    assert desk.faults("POST", "/app?get_if_exists=maybe", {"name": "a"}) == [
        ("query", "get_if_exists")]
    assert desk.post("/app?get_if_exists=true", {"name": "no uid"})["uid"] is None


def test_put_makes_the_one_that_its_path_names(desk):
    uid = unique("uid")
    made = desk.put(f"/app/{uid}", {"name": "a"}, 201)
    assert made["uid"] == uid
    assert desk.put(f"/app/{uid}", {"name": "b", "uid": uid})["id"] == made["id"]
    assert desk.faults("PUT", f"/app/{unique('uid')}", {"name": "a", "uid": "other"}) == [
        ("body", "uid")]
    assert desk.refused("PUT", "/app/app_0123456789abc", {"name": "a"}) == "not_found"
    assert desk.refused("PUT", "/app/a%20b", {"name": "a"}) == "not_found"


def test_changes_from_many_sides_all_count(desk):
    app = desk.app()

    def change(i):
        return ask(desk.daemon.admin, "PATCH", f"/api/v1/app/{app}", f'{{"throttleRate":{i + 1}}}',
                   {"authorization": f"Bearer {desk.token}", "content-type": "application/json"})

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        statuses = {one.status for one in pool.map(change, range(40))}
    assert statuses <= {200, 409} and 200 in statuses
    assert 1 <= desk.get(f"/app/{app}")["throttleRate"] <= 40


def test_a_repeat_under_the_same_key_gets_the_first_answer(desk):
    body, key = {"name": "a"}, unique("key")
    first = desk.call("POST", "/api/v1/app", body, idempotency_key=key)
    assert first.status == 201
    for spelled in (key, f'"{key}"'):
        again = desk.call("POST", "/api/v1/app", body, idempotency_key=spelled)
        assert (again.status, again.body) == (201, first.body)
    assert desk.faults("POST", "/app", {"name": "b"}, idempotency_key=key) == [
        ("header", "idempotency-key")]
    assert desk.post("/app", body, idempotency_key=unique("key"))["id"] != first.json["id"]
    for bad in ("", "a b", "x" * 257, "ä".encode().decode("latin-1")):
        assert desk.refused("POST", "/app", body, 400,
                            idempotency_key=bad) == "bad_idempotency_key"


def test_six_hundred_are_paged_through_in_both_directions(tmp_path):
    desk = Desk(tmp_path)
    ids = [desk.app() for _ in range(600)]
    assert ids == sorted(ids)
    for order, expected in (("", ids), ("?order=ascending", ids),
                            ("?order=descending", ids[::-1])):
        pages = list(desk.pages(f"/app{order}", 250))
        assert [len(page["data"]) for page in pages] == [250, 250, 100]
        assert [page["done"] for page in pages] == [False, False, True]
        assert [one["id"] for page in pages for one in page["data"]] == expected
        for page in pages:
            assert page["iterator"] == page["data"][-1]["id"]
            assert page["prevIterator"] == "-" + page["data"][0]["id"]
        back = list(desk.pages(f"/app{order}", 240, pages[-1]["prevIterator"]))
        assert [len(page["data"]) for page in back] == [240, 240, 20]
        assert [one["id"] for page in reversed(back) for one in page["data"]] == expected[:500]
    assert len(desk.get("/app")["data"]) == 50
    last = desk.get(f"/app?iterator={ids[-1]}")
    assert last["data"] == [] and last["done"] and last["iterator"] is None
    new = desk.app()
    assert [one["id"] for one in desk.get(f"/app?iterator={ids[-1]}")["data"]] == [new]
    for bad in ("limit=0", "limit=251", "limit=x", "order=up", "iterator=ep_0123456789abc",
                "iterator=", "limit=1&limit=2"):
        assert desk.faults("GET", f"/app?{bad}") == [("query", bad.partition("=")[0])]
    desk.close()


def test_a_restart_keeps_everything(tmp_path):
    desk = Desk(tmp_path)
    app = desk.app(uid="kept", metadata={"a": "b"})
    endpoint = desk.endpoint(app, uid="hook", headers={"x-one": "1"})
    desk.post(f"/app/{app}/endpoint/{endpoint}/secret/rotate", {}, 204)
    desk.post("/event-type", {"name": "a.b", "description": "d"})
    key, gone = desk.key(app), desk.app()
    desk.delete(f"/app/{gone}")
    paths = ["/app", "/app/kept", f"/app/{app}/endpoint", "/app/kept/endpoint/hook/secret",
             "/app/kept/endpoint/hook/headers", "/event-type?with_content=true", "/auth/key"]
    before = [desk.get(path) for path in paths]
    desk.restart()
    assert [desk.get(path) for path in paths] == before
    assert desk.get("/app/kept", key=key)["id"] == app
    assert desk.refused("GET", f"/app/{gone}") == "not_found"
    assert desk.app() > app
    desk.close()


def test_paths_and_methods_that_are_none(desk):
    assert desk.refused("GET", "/nothing") == "not_found"
    answer = desk.call("PUT", "/api/v1/app", {})
    assert answer.status == 405 and answer.headers["Allow"] == "GET, POST"
    assert desk.call("GET", "/api/v1/health", key="").status == 204
    head = desk.call("HEAD", "/api/v1/health/ping", key="")
    assert head.status == 204 and head.body == b""
    assert desk.call("HEAD", "/api/v1/app").status == 200
