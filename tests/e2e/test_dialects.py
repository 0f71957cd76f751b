# SPDX-License-Identifier: Apache-2.0
"""What each source hears, in its own words: the examples of docs/replies.md, and one flow that
answers through every dialect."""

import json
import re
import subprocess

import pytest

from harness import GRAPNEL, PATIENCE_S, RESET, TO_TARGET, Reply, Scene, wait_until
from test_docs import ANY_SECRET, ROOT, blocks

PAGE = ROOT / "docs" / "replies.md"
EVENT = re.compile(rb"evt_[0-9a-z]{13}(-[0-9a-z]{13})?")


@pytest.fixture(name="scene")
def its_scene(tmp_path):
    """A daemon, and a system that knows what it wants."""
    scene = Scene(tmp_path)
    scene.target.act = crm
    yield scene
    scene.close()


def crm(request):
    """Takes what it can, complains about the field, or is out of order."""
    (field, value), = request.json.items()
    if value.startswith("taken"):
        return Reply(409, {"field": field, "message": "This belongs to somebody else."})
    if value.startswith("down"):
        return Reply(503)
    return Reply(201, {"id": "C-2002"})


def exactly(answer):
    """Status, type and bytes, as the page writes them; every event has the same name there."""
    head = " ".join(filter(None, [str(answer.status), answer.headers.get("Content-Type")]))
    body = EVENT.sub(b"evt_1", answer.body).decode().rstrip("\n")
    return head + ("\n" + body if body else "")


def examples():
    """(configuration, transcripts) of the page on replies."""
    found = blocks(PAGE)
    return [pytest.param(one[1], other[1], id=f"line-{one[2]}")
            for one, other in zip(found, found[1:]) if (one[0], other[0]) == ("yaml", "text")]


@pytest.mark.parametrize("config, wanted", examples())
def test_each_example_answers_what_the_page_says(scene, config, wanted):
    daemon = scene.start(config.replace("https://crm.example.com",
                                        f"http://127.0.0.1:{scene.target.port}"), TOKEN=ANY_SECRET)
    said = []
    for one in re.findall(r"^POST .*$", wanted, re.M):
        source, body = re.fullmatch(r"POST /in/(\S+) (.*)", one).groups()
        answer = daemon.post(source, body.encode(), Authorization=f"Bearer {ANY_SECRET}")
        said.append(one + "\n" + exactly(answer) + "\n")
    assert "\n".join(said) == wanted


def test_the_page_has_an_example_of_every_dialect():
    text = PAGE.read_text()
    listed = re.findall(r"^\| `([a-z-]+)` \|", text.partition("begin -->")[2], re.M)
    named = [name for name in listed if f"\n- `{name}`: " in text]
    assert len(named) >= 14
    for name in named:
        assert f"reply: {name}" in text and f"\n## {name}\n" in text, name


# ---- one flow, every dialect ----

ONE_FLOW = TO_TARGET + """
sources: {%s}
flows:
  to-crm:
    on: [%s]
    reply: wait
    steps:
      - saved: {post: 'target:/contacts', body: '{mail: .event.data.userProfile.email}'}
"""
DIALECTS = ["problem", "plain", "status", "kratos", "okta-inline", "okta-event", "entra-extension",
            "graph", "zitadel", "keycloak", "scim", "trivore", "slack", "action-json"]
TAKEN = "This belongs to somebody else."
BUSY = "target cannot take this now (503). Try again later."
PLACE = "/data/userProfile/email"


def kratos(text, code, **context):
    """Its messages: without traits in the pointer, for the whole form."""
    return {"messages": [{"instance_ptr": "#/", "messages": [
        {"id": 4000001, "text": text, "type": "error",
         "context": {"code": code, **context, "event": "evt_1"}}]}]}


def okta(text, reason, code, **location):
    """Its error, of one cause."""
    return {"error": {"errorSummary": text, "errorCauses": [
        {"errorSummary": text, "reason": reason, **location, "domain": "end-user"}]},
            "debugContext": {"event": "evt_1", "code": code}}


def scim(status, detail, **kind):
    """Its Error."""
    return {"schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"], "status": str(status),
            **kind, "detail": detail}


# What each says: done; refused at a field; try again later. A body that is no text is JSON.
SAYS = {
    "problem": [
        (200, {"event": "evt_1", "code": "updated", "message": "Updated in target: mail."}),
        (409, {"title": "Conflict", "status": 409, "detail": TAKEN, "instance": "/events/evt_1",
               "code": "conflict", "retryable": False, "event": "evt_1",
               "errors": [{"pointer": PLACE, "detail": TAKEN, "field": "mail"}]}),
        (424, {"title": "Failed Dependency", "status": 424, "detail": BUSY,
               "instance": "/events/evt_1", "code": "target-failed", "retryable": True,
               "event": "evt_1"})],
    "plain": [(200, "Updated in target: mail.\n"), (409, f"{TAKEN}\n{PLACE}: {TAKEN}\n"),
              (424, f"{BUSY}\n")],
    "status": [(204, ""), (409, ""), (503, "")],
    "kratos": [(204, ""), (400, kratos(f"{PLACE}: {TAKEN}", "conflict", field="mail")),
               (400, kratos(BUSY, "target-failed"))],
    "okta-inline": [(204, ""),
                    (200, okta(TAKEN, "UNIQUE_CONSTRAINT", "conflict", locationType="body",
                               location="data.userProfile.email")),
                    (200, okta(BUSY, "TARGET_FAILED", "target-failed"))],
    "okta-event": [(204, ""), (400, ""), (503, "")],
    # The delivery is no event of Entra's: nothing that it would take for an answer.
    "entra-extension": [(500, {"message": "This is no event of a custom authentication extension."}),
                        (409, {"message": TAKEN}), (503, {"message": BUSY})],
    "graph": [(202, ""), (202, ""), (503, "")],
    "zitadel": [(200, {}), (200, {"forwardedStatusCode": 409,
                                  "forwardedErrorMessage": f"{TAKEN} ({PLACE})"}),
                (200, {"forwardedStatusCode": 424, "forwardedErrorMessage": BUSY})],
    "keycloak": [(204, ""), (204, ""), (503, "")],
    "scim": [(204, ""), (409, scim(409, f"{TAKEN} (data.userProfile.email)",
                                   scimType="uniqueness")), (503, scim(503, BUSY))],
    "trivore": [(200, {"message": "Updated in target: mail."}),
                (409, {"message": TAKEN,
                       "errors": [{"pointer": PLACE, "message": TAKEN, "field": "mail"}]}),
                (503, {"message": BUSY})],
    "slack": [(200, {"text": "Updated in target: mail."}), (200, {"text": f"{TAKEN} ({PLACE})"}),
              (200, {"text": BUSY})],
    "action-json": [
        (200, {"allow": True, "code": "updated", "message": "Updated in target: mail.",
               "event": "evt_1"}),
        (200, {"allow": False, "code": "conflict", "userMessage": TAKEN, "retryable": False,
               "errors": [{"pointer": PLACE, "detail": TAKEN, "field": "mail"}],
               "event": "evt_1"}),
        (200, {"allow": False, "code": "target-failed", "userMessage": BUSY, "retryable": True,
               "event": "evt_1"})],
}


def one_flow(scene, mode="wait", verify="none"):
    """The daemon with a source for each dialect, named as it is."""
    sources = ", ".join(f"{name}: {{verify: {verify}, reply: {name}}}" for name in DIALECTS)
    return scene.start((ONE_FLOW % (sources, ", ".join(DIALECTS))).replace("reply: wait",
                                                                          f"reply: {mode}"))


def said(answer):
    """(status, body) with every event under the same name."""
    text = EVENT.sub(b"evt_1", answer.body).decode()
    is_json = "json" in answer.headers.get("Content-Type", "")
    if is_json:
        assert text == json.dumps(json.loads(text), separators=(",", ":"), ensure_ascii=False)
    return answer.status, json.loads(text) if is_json else text


def delivery(name, number=0):
    """A webhook with this address in it."""
    return {"data": {"userProfile": {"email": f"{name}@example.com"}}, "number": number}


def test_one_flow_is_heard_in_every_dialect(scene):
    daemon = one_flow(scene)
    for name in DIALECTS:
        answers = [daemon.post(name, delivery(what)) for what in ("aino", "taken", "down")]
        assert [said(answer) for answer in answers] == SAYS[name], name
        hints = answers[2].headers.get("Retry-After")
        assert (hints is not None) == (name in ("problem", "plain", "status", "scim", "trivore"))
        refused = daemon.post(name, b"{")  # nothing is stored: no success without a word
        assert refused.status == 400 or json.loads(refused.body), name
    # Also of those that heard a success.
    assert wait_until(lambda: len(daemon.events("dead")) == 2 * len(DIALECTS), PATIENCE_S)


def test_a_repeat_hears_the_same_in_every_dialect(scene):
    daemon = one_flow(scene)
    for name in DIALECTS:
        first = daemon.post(name, delivery("taken"))

        def again(name=name, first=first):
            answer = daemon.post(name, delivery("taken"))
            return (answer.status, answer.body) == (first.status, first.body)

        assert wait_until(again, PATIENCE_S), name
    assert len(scene.target.requests) == len(DIALECTS)


def test_who_is_accepted_hears_it_in_every_dialect(scene):
    daemon = one_flow(scene, mode="accepted")
    statuses = {}
    for name in DIALECTS:
        answer = daemon.post(name, delivery("aino"))
        statuses[name] = answer.status
        assert ("Location" in answer.headers) == (name in ("problem", "plain", "status", "scim",
                                                           "trivore")), name
    assert {name for name in DIALECTS if statuses[name] == 202} == {
        "problem", "plain", "status", "graph", "scim", "trivore"}
    assert {name for name in DIALECTS if statuses[name] == 204} == {
        "kratos", "okta-inline", "okta-event", "keycloak"}


def test_a_stranger_hears_401_in_every_dialect(scene):
    daemon = one_flow(scene, verify='{scheme: bearer, secret: "of-these-sources-only"}')
    assert {daemon.post(name, delivery("aino")).status for name in DIALECTS} == {401}
    assert daemon.events() == []


def test_a_target_that_is_away_is_told_and_the_next_try_runs_anew(scene):
    daemon = one_flow(scene)
    scene.target.act = RESET
    status, body = said(daemon.post("kratos", delivery("aino")))
    assert status == 400
    assert body["messages"][0]["messages"][0]["text"] == (
        "target broke off before it answered. Try again later.")
    scene.target.act = crm
    assert daemon.post("kratos", delivery("aino")).status == 204


# ---- fail and answer ----

OWN_WORDS = TO_TARGET + """
sources:
  app: {verify: none}
  zitadel: {verify: none, reply: zitadel}
  kratos: {verify: none, reply: kratos}
flows:
  judge:
    on: app
    match: {kind: judge}
    reply: wait
    steps:
      - one:
          when: '.event.one'
          fail: 409
          code: email-taken
          pointer: '/emails/{.event.at}/address'
          message: '{.event.one} is taken'
      - many:
          when: '.event.many'
          fail: 422
          message: 'Some of this is wrong'
          errors: '[.event.many[] | {pointer: .where, message: .what}]'
      - odd: {fail: 422, message: x, errors: '.event.odd', when: '.event.odd'}
      - no_place: {fail: 400, message: 'No place', pointer: '{.event.nowhere}', when: '.event.nowhere'}
  tell:
    on: [app, zitadel]
    match: {kind: tell}
    reply: wait
    answer: '.event.answer | if . == "fails" then error else . end'
    steps:
      - user: {get: 'target:/users/1'}
  number: {on: kratos, reply: wait, answer: '7', steps: [{sent: {post: 'target:/contacts', body: '{mail: "x"}'}}]}
  later: {on: app, match: {kind: later}, answer: 'error', steps: [{sent: {post: 'target:/contacts', body: '{mail: "x"}'}}]}
"""


def test_a_flow_says_the_field_and_the_code(scene):
    daemon = scene.start(OWN_WORDS)
    told = daemon.post("app", {"kind": "judge", "one": "a@b", "at": 1})
    assert told.status == 409 and told.json["code"] == "email-taken"
    assert told.json["errors"] == [{"pointer": "/emails/1/address", "detail": "a@b is taken"}]
    many = [{"where": "/a", "what": "too long"}, {"where": "b", "what": 7}, {"what": "c"}]
    told = daemon.post("app", {"kind": "judge", "many": many})
    assert told.json["code"] == "refused" and told.json["detail"] == "Some of this is wrong"
    assert told.json["errors"] == [{"pointer": "/a", "detail": "too long"}, {"detail": "7"},
                                   {"detail": "c"}]
    told = daemon.post("app", {"kind": "judge", "many": [{"where": f"/{i}"} for i in range(40)]})
    assert len(told.json["errors"]) == 16
    told = daemon.post("app", {"kind": "judge", "odd": {"pointer": "/a"}})
    assert told.json["code"] == "mapping-failed" and "step odd" in told.json["detail"]
    told = daemon.post("app", {"kind": "judge", "nowhere": "no pointer"})
    assert told.json["errors"] == [{"detail": "No place"}]


@pytest.mark.parametrize("step, wanted", [
    ("{fail: 400, message: x, code: 'a b'}", "code: letters, digits"),
    ("{fail: 400, message: x, code: ''}", "code: letters, digits"),
    ("{fail: 400, message: x, pointer: emails.0}", "pointer: it begins with a slash"),
    ("{fail: 500, message: x}", "fail"),
])
def test_a_fail_that_cannot_be_is_told_by_the_check(tmp_path, step, wanted):
    (tmp_path / "grapnel.yaml").write_text(
        "sources: {app: {verify: none}}\n"
        f"flows: {{f: {{on: app, steps: [{{no: {step}}}]}}}}\n")
    done = subprocess.run([GRAPNEL, "check"], cwd=tmp_path, capture_output=True, text=True,
                          timeout=60, check=False)
    assert done.returncode != 0 and wanted in done.stderr


def test_a_flow_answers_with_data_of_its_own(scene):
    scene.target.act = lambda request: (Reply(200, {"name": "Aino"}) if request.method == "GET"
                                        else crm(request))
    daemon = scene.start(OWN_WORDS)
    told = daemon.post("app", {"kind": "tell", "answer": {"claims": [1]}})
    assert (told.status, told.body) == (200, b'{"claims":[1]}')
    # Unasked, but not against the source's wish to hear little.
    assert daemon.post("app", {"kind": "tell", "answer": 2}, Prefer="return=minimal").status == 204
    # Nothing is no data, and not the entity that the first step fetched either.
    told = daemon.post("app", {"kind": "tell", "answer": None}, Prefer="return=representation")
    assert told.json["code"] == "done"
    told = daemon.post("app", {"kind": "tell", "answer": "fails"})
    assert told.status == 422 and "step answer" in told.json["detail"]
    told = daemon.post("zitadel", {"kind": "tell", "answer": "fails"})
    assert told.status == 200 and told.json["forwardedStatusCode"] == 422


def test_data_that_the_source_cannot_read_is_no_success(scene):
    daemon = scene.start(OWN_WORDS)
    status, body = said(daemon.post("kratos", {"x": 1}))
    assert status == 400
    assert body["messages"][0]["messages"][0]["context"]["code"] == "answer-misfit"


def test_nobody_waits_nothing_is_answered(scene):
    daemon = scene.start(OWN_WORDS)
    answer = daemon.post("app", {"kind": "later"})
    assert answer.status == 202
    assert daemon.settled(answer.json["event"])["jobs"][0]["state"] == "done"
