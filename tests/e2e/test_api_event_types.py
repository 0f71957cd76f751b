# SPDX-License-Identifier: Apache-2.0
"""Event types through the API."""

import pytest

from api_desk import Desk, unique


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    one = Desk(tmp_path_factory.mktemp("types"))
    yield one
    one.close()


def test_one_is_made_read_changed_archived_and_expunged(desk):
    name = unique("user.created")
    schemas = {"1": {"type": "object", "big": 12345678901234567890123, "examples": [{"x": 1.0}]}}
    made = desk.post("/event-type", {"name": name, "description": "d", "schemas": schemas,
                                     "featureFlag": "beta", "groupName": "users"})
    assert made["schemas"] == schemas and made["archived"] is False and made["deprecated"] is False
    assert (made["featureFlag"], made["groupName"]) == ("beta", "users")
    assert desk.get(f"/event-type/{name}") == made
    assert desk.refused("POST", "/event-type", {"name": name, "description": "d"},
                        409) == "event_type_exists"
    changed = desk.patch(f"/event-type/{name}", {"deprecated": True, "featureFlag": None})
    assert changed["deprecated"] is True and changed["featureFlag"] is None
    assert changed["schemas"] == schemas and changed["createdAt"] == made["createdAt"]
    replaced = desk.put(f"/event-type/{name}", {"description": "e"})
    assert replaced["description"] == "e" and replaced["schemas"] is None

    desk.delete(f"/event-type/{name}")
    assert desk.get(f"/event-type/{name}")["archived"] is True
    assert desk.get(f"/event-type/{name}")["description"] == "e"
    back = desk.post("/event-type", {"name": name, "description": "f"})
    assert back["archived"] is False and back["createdAt"] == made["createdAt"]
    desk.delete(f"/event-type/{name}?expunge=true")
    for method in ("GET", "DELETE"):
        assert desk.refused(method, f"/event-type/{name}") == "not_found"
    assert desk.put(f"/event-type/{name}", {"description": "g"}, 201)["name"] == name


def test_what_the_schema_does_not_allow(desk):
    assert desk.faults("POST", "/event-type", {}) == [("body", "description"), ("body", "name")]
    assert desk.faults("POST", "/event-type", {"name": "a/b", "description": "d"}) == [
        ("body", "name")]
    assert desk.faults("POST", "/event-type", {"name": "a", "description": "\0"}) == [
        ("body", "description")]
    assert desk.faults("POST", "/event-type", {"name": "a", "description": "d", "schemas": [],
                                               "archived": 1, "featureFlag": ""}) == [
        ("body", "schemas"), ("body", "archived"), ("body", "featureFlag")]
    assert desk.faults("PUT", f"/event-type/{unique('x')}", {}) == [("body", "description")]
    assert desk.refused("PUT", "/event-type/a%2Fb", {"description": "d"}) == "not_found"
    assert desk.refused("PATCH", "/event-type/no-such", {}) == "not_found"


def test_they_are_listed_by_name(tmp_path):
    desk = Desk(tmp_path)
    names = [f"t.{i:03}" for i in range(600)]
    for name in names[::2] + names[1::2]:
        desk.post("/event-type", {"name": name, "description": "d", "schemas": {"1": {}}})
    for order, expected in (("?with_content=true", names), ("?order=descending", names[::-1])):
        pages = list(desk.pages(f"/event-type{order}", 250))
        assert [len(page["data"]) for page in pages] == [250, 250, 100]
        assert [one["name"] for page in pages for one in page["data"]] == expected
        back = list(desk.pages(f"/event-type{order}", 240, pages[-1]["prevIterator"]))
        assert [one["name"] for page in reversed(back) for one in page["data"]] == expected[:500]
        with_schemas = "with_content" in order
        assert all((one["schemas"] is not None) == with_schemas
                   for page in pages for one in page["data"])
    desk.delete("/event-type/t.001")
    assert "t.001" not in [one["name"] for one in desk.get("/event-type?limit=10")["data"]]
    assert "t.001" in [one["name"] for one in
                       desk.get("/event-type?limit=10&include_archived=true")["data"]]
    # An iterator needs no longer be the name of one.
    desk.delete("/event-type/t.100?expunge=true")
    assert desk.get("/event-type?iterator=t.100&limit=1")["data"][0]["name"] == "t.101"
    desk.close()


@pytest.mark.parametrize("said", [
    {"featureFlag": "beta"}, {"featureFlags": ["alpha", "beta"]},
    {"featureFlag": "beta", "featureFlags": ["alpha"]}])
def test_a_feature_flag_hides_a_type_from_keys_without_it(desk, said):
    open_type, hidden = unique("open"), unique("hidden")
    desk.post("/event-type", {"name": open_type, "description": "d"})
    desk.post("/event-type", {"name": hidden, "description": "d", **said})
    app = desk.app()
    for flags, sees in (([], False), (["other"], False), (["other", "beta"], True)):
        key = desk.post(f"/auth/app-portal-access/{app}", {"featureFlags": flags}, 200)["token"]
        names = [one["name"] for one in desk.get("/event-type?limit=250", key=key)["data"]]
        assert open_type in names and (hidden in names) == sees
        status = desk.call("GET", f"/api/v1/event-type/{hidden}", key=key).status
        assert status == (200 if sees else 404)


def test_nothing_new_is_sent_with_one_in_the_archive(desk):
    app, name = desk.app(), unique("rests")
    desk.post("/event-type", {"name": name, "description": "d"})
    asks = desk.endpoint(app, eventTypes=[name])
    desk.delete(f"/event-type/{name}")
    message = {"eventType": name, "payload": {}}
    assert desk.faults("POST", f"/app/{app}/msg", message) == [("body", "eventType")]
    batch = desk.post(f"/app/{app}/msg/batch", [message, {"eventType": "a.b", "payload": {}}], 202)
    assert [one["status"] for one in batch["data"]] == [422, 202]
    url = {"url": "https://example.com/"}
    assert desk.faults("POST", f"/app/{app}/endpoint", {**url, "eventTypes": ["a.b", name]}) == [
        ("body", "eventTypes")]
    # Who asked for it before goes on asking, and gets it when it is back.
    desk.patch(f"/app/{app}/endpoint/{asks}", {"description": "d"})
    assert desk.get(f"/app/{app}/endpoint/{asks}")["eventTypes"] == [name]
    desk.post("/event-type", {"name": name, "description": "back"})
    sent = desk.post(f"/app/{app}/msg", message, 202)["id"]
    desk.settled(app, sent)

