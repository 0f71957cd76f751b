# SPDX-License-Identifier: Apache-2.0
"""Endpoints through the API: their settings, secrets and headers."""

import base64

import pytest

from api_desk import Desk, unique

SECRET = "whsec_" + base64.b64encode(b"s" * 32).decode()
OTHER = "whsec_" + base64.b64encode(b"o" * 32).decode()


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    one = Desk(tmp_path_factory.mktemp("endpoints"))
    yield one
    one.close()


@pytest.fixture
def app(desk):
    return desk.app(uid=unique("app"))


def test_one_is_made_read_changed_and_removed(desk, app):
    uid = unique("ep")
    made = desk.post(f"/app/{app}/endpoint", {
        "url": "https://example.com/hook?a=1", "description": "d", "uid": uid,
        "eventTypes": ["a.b", "order.*"], "channels": ["eu"], "throttleRate": 10,
        "metadata": {"k": "v"}, "disabled": True})
    assert made["id"].startswith("ep_") and made["disabled"] is True
    assert made["eventTypes"] == made["filterTypes"] == ["a.b", "order.*"]
    assert made["throttleRate"] == made["rateLimit"] == 10
    assert made["profile"] == "standard" and made["order"] == "none" and made["version"] == 1
    for name in (made["id"], uid):
        assert desk.get(f"/app/{app}/endpoint/{name}") == made
    changed = desk.patch(f"/app/{app}/endpoint/{uid}", {"disabled": False, "channels": None})
    assert changed["disabled"] is False and changed["channels"] is None
    assert changed["eventTypes"] == ["a.b", "order.*"] and changed["metadata"] == {"k": "v"}
    replaced = desk.put(f"/app/{app}/endpoint/{uid}", {"url": "https://example.com/b"})
    assert replaced["id"] == made["id"] and replaced["createdAt"] == made["createdAt"]
    assert replaced["eventTypes"] is None and replaced["uid"] is None
    desk.delete(f"/app/{app}/endpoint/{made['id']}")
    for method in ("GET", "DELETE"):
        assert desk.refused(method, f"/app/{app}/endpoint/{made['id']}") == "not_found"


def test_put_makes_the_one_that_its_path_names(desk, app):
    uid = unique("ep")
    body = {"url": "https://example.com/a", "uid": uid}
    made = desk.put(f"/app/{app}/endpoint/{uid}", body, 201)
    assert desk.put(f"/app/{app}/endpoint/{uid}", body)["id"] == made["id"]
    assert desk.faults("PUT", f"/app/{app}/endpoint/{unique('x')}", body) == [("body", "uid")]
    assert desk.refused("PUT", f"/app/{app}/endpoint/ep_0123456789abc", body) == "not_found"
    assert desk.refused("POST", f"/app/{app}/endpoint", body, 409) == "conflict"
    other = desk.app()
    assert desk.post(f"/app/{other}/endpoint", body)["uid"] == uid  # a uid is the application's


@pytest.mark.parametrize("member, values", [
    ("url", [None, "", "x", "ftp://a/", "https://u:p@a/", "https://a/#x", "https://" + "a" * 3000]),
    ("uid", ["", "a b", "x" * 257, 1]),
    ("eventTypes", [[], ["a", "a"], ["a b"], ["*"], "a", [1], [f"t{i}" for i in range(501)]]),
    ("channels", [[], ["a"] * 2, ["a b"], ["x" * 129], [f"c{i}" for i in range(11)]]),
    ("throttleRate", [0, -1, 65536, "1", 1.5]),
    ("metadata", [None, {"a": 1}, []]),
    ("description", [None, 1, "\x01"]),
    ("disabled", [None, "true", 0]),
    ("profile", ["", "other", None, 1]),
    ("format", ["xml"]),
    ("timeout", [99, 60001, "1s"]),
    ("concurrency", [0, 1001]),
    ("retry", [5, [-1], ["5"], [8 * 86400], [1] * 33]),
    ("order", ["some"]),
    ("secret", ["", "short", "whsec_!!!!", "whsec_" + "A" * 300]),
    ("filter", ["((", ".a |", "env", "$ENV.HOME", "input", "import \"a\" as a; .", 1, ""]),
    ("transform", ["{", "foo(.)", "halt", 1]),
    ("tls", [{"ca": "x"}, {"certificate": "x", "key": "y"}, {"other": 1}]),
    ("headers", [{"a b": "1"}, {"host": "x"}, {"x": "a\nb"}, {"Webhook-Id": "1"}, {"x": 1}, []]),
])
def test_what_does_not_fit_is_told_at_its_member(desk, app, member, values):
    for value in values:
        body = {"url": "https://example.com/", member: value}
        where = desk.faults("POST", f"/app/{app}/endpoint", body)
        assert where[0][:2] == ("body", member), (value, where)
    assert desk.get(f"/app/{app}/endpoint")["data"] == []


def test_programs_are_tried_before_they_are_kept(desk, app):
    made = desk.post(f"/app/{app}/endpoint", {
        "url": "https://example.com/", "filter": ".n > 1", "transform": "{text: .n}"})
    assert (made["filter"], made["transform"]) == (".n > 1", "{text: .n}")
    path = f"/app/{app}/endpoint/{made['id']}"
    assert desk.faults("PATCH", path, {"transform": "{text: }"}) == [("body", "transform")]
    assert desk.get(path) == made
    assert desk.patch(path, {"filter": None})["filter"] is None
    assert desk.put(path, {"url": "https://example.com/"})["transform"] == "{text: .n}"


def test_auth_and_keys_are_taken_and_never_shown(desk, app):
    hidden = ["hidden-password", "hidden-bearer", "hidden-client"]
    bodies = [{"auth": {"basic": {"user": "u", "password": hidden[0]}}},
              {"auth": {"bearer": hidden[1]}}]
    shown = [{"basic": {"user": "u", "password": None}}, {"bearer": None}]
    for body, expected in zip(bodies, shown):
        made = desk.post(f"/app/{app}/endpoint", {"url": "https://example.com/", **body})
        assert made["auth"] == expected
        # A client that knows nothing of it does not wipe it away; null does.
        kept = desk.put(f"/app/{app}/endpoint/{made['id']}", {"url": "https://example.com/b"})
        assert kept["auth"] == expected
    texts = [desk.call("GET", f"/api/v1{path}").body.decode() for path in
             (f"/app/{app}/endpoint", f"/app/{app}/endpoint/{made['id']}", "/openapi.json")]
    assert not any(word in text for word in hidden for text in texts)
    gone = desk.patch(f"/app/{app}/endpoint/{made['id']}", {"auth": None})
    assert gone["auth"] is None
    for bad in ({"basic": {"user": "u"}}, {"basic": {"user": "u", "password": "p", "x": 1}},
                {"bearer": ""}, {"digest": {}}, []):
        where = desk.faults("POST", f"/app/{app}/endpoint",
                            {"url": "https://example.com/", "auth": bad})
        assert where[0][:2] == ("body", "auth"), (bad, where)


def test_secrets_are_made_given_and_rotated(desk, app):
    made = desk.endpoint(app)
    path = f"/app/{app}/endpoint/{made}/secret"
    first = desk.get(path)["key"]
    assert first.startswith("whsec_") and len(base64.b64decode(first[6:])) >= 24
    assert desk.get(f"/app/{app}/endpoint/{desk.endpoint(app)}/secret")["key"] != first
    given = desk.endpoint(app, secret=SECRET)
    assert desk.get(f"/app/{app}/endpoint/{given}/secret") == {"key": SECRET}
    desk.post(path + "/rotate", {"key": OTHER}, 204)
    assert desk.get(path)["key"] == OTHER
    desk.post(path + "/rotate", None, 204)
    assert desk.get(path)["key"] not in (first, OTHER)
    for _ in range(8):
        desk.post(path + "/rotate", {}, 204)
    assert desk.refused("POST", path + "/rotate", {}, 400) == "limit_reached"
    for bad in ({"key": "short"}, {"gracePeriodSeconds": -1}, {"gracePeriodSeconds": 604801}):
        assert desk.faults("POST", path + "/rotate", bad) == [("body", next(iter(bad)))]
    # Without a grace period nothing old is kept: it can go on for ever.
    path = f"/app/{app}/endpoint/{given}/secret"
    for _ in range(20):
        desk.post(path + "/rotate", {"gracePeriodSeconds": 0}, 204)


def test_an_asymmetric_secret_shows_its_public_half(desk, app):
    made = desk.endpoint(app, secretType="ed25519")
    path = f"/app/{app}/endpoint/{made}/secret"
    first = desk.get(path)
    assert first["key"].startswith("whsk_") and first["publicKey"].startswith("whpk_")
    desk.post(path + "/rotate", {}, 204)
    assert desk.get(path)["key"].startswith("whsk_") and desk.get(path) != first
    assert desk.faults("POST", f"/app/{app}/endpoint", {
        "url": "https://example.com/", "profile": "github", "secretType": "ed25519"}) == [
            ("body", "secretType")]


def test_each_profile_has_secrets_of_its_own_form(desk, app):
    document = desk.get("/openapi.json")
    fields = document["components"]["schemas"]["EndpointIn"]["properties"]
    for profile in fields["profile"]["enum"]:
        made = desk.post(f"/app/{app}/endpoint", {"url": "https://example.com/",
                                                  "profile": profile})
        assert made["profile"] == profile
        path = f"/app/{app}/endpoint/{made['id']}/secret"
        if profile == "none":
            assert desk.refused("GET", path) == "no_secret"
        else:
            assert desk.get(path)["key"]
            desk.post(path + "/rotate", {}, 204)


def test_headers_are_replaced_patched_and_half_hidden(desk, app):
    made = desk.endpoint(app, headers={"X-One": "1", "Authorization": "hidden"})
    path = f"/app/{app}/endpoint/{made}/headers"
    assert desk.get(path) == {"headers": {"X-One": "1"}, "sensitive": ["Authorization"]}
    desk.patch(path, {"headers": {"x-two": "2", "x-one": None}}, 204)
    assert desk.get(path)["headers"] == {"x-two": "2"}
    assert desk.get(path)["sensitive"] == ["Authorization"]
    desk.patch(path, {"headers": {"X-Four": "4"}, "deleteHeaders": ["X-TWO", "x-none"]}, 204)
    assert desk.get(path) == {"headers": {"X-Four": "4"}, "sensitive": ["Authorization"]}
    assert desk.faults("PATCH", path, {"headers": {}, "deleteHeaders": [1]})[0][:2] == (
        "body", "deleteHeaders")
    desk.put(path, {"headers": {"x-three": "3"}}, 204)
    assert desk.get(path) == {"headers": {"x-three": "3"}, "sensitive": []}
    kept = desk.put(f"/app/{app}/endpoint/{made}", {"url": "https://example.com/"})
    assert kept["id"] == made and desk.get(path)["headers"] == {"x-three": "3"}
    for bad in ({}, {"headers": None}, {"headers": {"x": 1}}, {"headers": {"x": None}},
                {"headers": {"host": "a"}}, {"headers": {"x y": "a"}}):
        assert desk.faults("PUT", path, bad)[0][:2] == ("body", "headers"), bad
    assert b"hidden" not in desk.call("GET", f"/api/v1/app/{app}/endpoint/{made}").body


def test_they_are_paged_through_newest_first(desk, app):
    ids = [desk.endpoint(app) for _ in range(60)]
    pages = list(desk.pages(f"/app/{app}/endpoint", 25))
    assert [one["id"] for page in pages for one in page["data"]] == ids[::-1]
    back = list(desk.pages(f"/app/{app}/endpoint", 25, pages[-1]["prevIterator"]))
    assert [one["id"] for page in reversed(back) for one in page["data"]] == ids[:9:-1]
    up = desk.get(f"/app/{app}/endpoint?order=ascending&limit=1")
    assert [one["id"] for one in up["data"]] == ids[:1]
