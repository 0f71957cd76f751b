# SPDX-License-Identifier: Apache-2.0
"""The kinds of sources. Each has a page in docs/sources, whose configuration is what runs here, and a
folder in tests/cases/kinds with what its product sends and what it has to hear, to the letter.

With GRAPNEL_WRITE_CASES=1 the answers are written down instead of compared: read them before they
are kept."""

import json
import os
import pathlib
import re

import pytest

import signers
from harness import PATIENCE_S, Reply, Scene, ask, wait_until

ROOT = pathlib.Path(__file__).resolve().parents[2]
CASES = ROOT / "tests" / "cases" / "kinds"
PAGES = ROOT / "docs" / "sources"
KINDS = sorted(path.name for path in CASES.iterdir())
PUBLIC = "https://hooks.example.com"
WRITES = bool(os.environ.get("GRAPNEL_WRITE_CASES"))


class Kind:
    """One kind: its case, and a daemon on the configuration of its page."""

    def __init__(self, name, folder):
        self.name = name
        self.file = CASES / name / "case.json"
        self.case = json.loads(self.file.read_text())
        self.secrets = signers.secrets_of(self.case["signer"])
        text = re.search(r"^```yaml\n(.*?)^```$", (PAGES / f"{name}.md").read_text(), re.M | re.S)[1]
        self.source = re.search(r"^sources:\n  ([a-z0-9-]+):", text, re.M)[1]
        self.scene = Scene(folder)
        self.scene.target.act = self.act
        self.refusal = None
        target = f"http://127.0.0.1:{self.scene.target.port}"
        text = text.replace("https://crm.example.com", target)
        text = re.sub(r"https://login\S+/keys", target + "/keys", text)
        secret = r'secret: "\$\{(?!CRM)\w+\}"'
        text = re.sub(secret, 'secret: ["${NEW}", "${OLD}"]', text)
        self.daemon = self.scene.start(text, CRM_TOKEN="t" * 20, NEW=self.secrets["new"],
                                       OLD=self.secrets["old"])

    def act(self, request):
        """The target: keys for tokens, and whatever the flows ask for."""
        if request.path == "/keys":
            return Reply(200, signers.key_set("new", "old"))
        return self.refusal or Reply(201, {"id": "c-1"})

    def bytes_of(self, name, secret="new"):
        """A body of the case, with a secret where the product puts it there."""
        return (CASES / self.name / name).read_bytes().replace(b"SECRET",
                                                               self.secrets[secret].encode())

    def request(self, case=None, secret="new", age_s=0):
        """Headers and body, signed."""
        case = {**self.case, **(case or {})}
        body = self.bytes_of(case["body"], secret)
        sign = getattr(signers, case["signer"])
        proof = sign(self.secrets[secret], body, age_s=age_s, url=f"{PUBLIC}/in/{self.source}",
                     message_id=f"msg_{case['body'].partition('.')[0]}")
        return {"Content-Type": case["content_type"], **case.get("headers", {}), **proof}, body

    def post(self, headers, body):
        """The answer."""
        return ask(self.daemon.port, "POST", f"/in/{self.source}", body, headers)

    def check(self, name, answer):
        """Is it what the case says, to the letter, but for the event's number?"""
        text = re.sub(r"evt_[0-9a-z]{13}(-[0-9a-z]+)?", "EVENT", answer.body.decode())
        # The call's own limit or the run's may come first.
        text = re.sub(r"in time\. Nothing is certain; try", "in time. Try", text)
        got = {"status": answer.status, "type": answer.headers.get("Content-Type"), "body": text}
        if WRITES:
            self.case["answers"][name] = got
            self.file.write_text(json.dumps(self.case, indent=2, ensure_ascii=False) + "\n")
        assert got == self.case["answers"][name]

    def sent(self):
        """What the flows have sent so far."""
        return [one for one in self.scene.target.requests if one.path != "/keys"]

    def new_events(self, before):
        """Those behind `before`, oldest first, with all that is known of them."""
        ids = [event["id"] for event in reversed(self.daemon.events())]
        answers = [ask(self.daemon.admin, "GET", f"/api/v1/events/{one}") for one in ids[before:]]
        return [(answer.json, answer.body) for answer in answers]


@pytest.fixture(name="kind", scope="module", params=KINDS)
def its_kind(request, tmp_path_factory):
    """One daemon for all tests of a kind."""
    kind = Kind(request.param, tmp_path_factory.mktemp(request.param))
    yield kind
    kind.scene.close()


def deliver(kind, case):
    """Delivers it; what is recorded and what leaves is what the case says. Gives the answer."""
    headers, body = kind.request(case)
    events, sent = len(kind.daemon.events()), len(kind.sent())
    answer = kind.post(headers, body)
    assert 200 <= answer.status < 300, answer.body
    recorded = kind.new_events(events)
    assert len(recorded) == len(case["events"])
    for want, (event, shown) in zip(case["events"], recorded):
        stored = want.get("body", "").replace("SECRET", kind.secrets["new"]).encode() or body
        for key in ("type", "subject", "time", "headers", "cloudevent"):
            assert (event.get(key) or None) == want.get(key), key
        if "form" in case["content_type"]:
            assert event["bodyText"] == stored.decode()
        else:
            assert b'"body":' + stored.strip() in shown.replace(stored, stored.strip())
    left = case["sent"]
    assert wait_until(lambda: len(kind.sent()) >= sent + len(left), PATIENCE_S)

    def in_order(one):
        return json.dumps([one["path"], one["json"]], sort_keys=True)

    got = [{"path": one.path, "json": one.json} for one in kind.sent()[sent:]]
    assert sorted(got, key=in_order) == sorted(left, key=in_order)
    return answer


def test_a_good_one_is_recorded_and_goes_its_way(kind):
    kind.check("good", deliver(kind, kind.case))


def test_so_are_the_other_forms_in_which_it_comes(kind):
    for other in kind.case.get("others", []):
        deliver(kind, {**kind.case, **other})


def test_the_same_once_more_runs_nothing(kind):
    headers, body = kind.request()
    first = kind.post(headers, body)
    assert wait_until(lambda: not kind.daemon.metrics().get("grapnel_jobs_running", 0), PATIENCE_S)
    events, sent = len(kind.daemon.events()), len(kind.sent())
    assert wait_until(lambda: kind.post(headers, body).body == first.body, PATIENCE_S)
    assert kind.post(headers, body).status == first.status
    assert len(kind.daemon.events()) == events
    assert len(kind.sent()) == sent


def test_a_wrong_proof_is_refused(kind):
    events = len(kind.daemon.events())
    kind.check("wrong", kind.post(*kind.request(secret="wrong")))
    assert len(kind.daemon.events()) == events


def test_a_missing_proof_is_refused(kind):
    events = len(kind.daemon.events())
    headers, body = kind.request()
    proof = getattr(signers, kind.case["signer"])(kind.secrets["new"], body)
    bare = {name: value for name, value in headers.items() if name not in proof}
    if kind.case["signer"] == "member":
        body = body.replace(b"clientState", b"clientStat")
    kind.check("missing", kind.post(bare, body))
    assert len(kind.daemon.events()) == events


def test_an_altered_body_is_refused(kind):
    if kind.case["signer"] in ("bearer", "basic", "member", "jwt"):
        pytest.skip("the body is not signed")
    headers, body = kind.request()
    at = len(body) // 2
    altered = body[:at] + bytes([body[at] ^ 1]) + body[at + 1:]
    assert kind.post(headers, altered).status == 401


def test_a_token_for_others_is_refused(kind):
    if kind.case["signer"] != "jwt":
        pytest.skip("it sends no token")
    headers, body = kind.request()
    for claim in ({"iss": signers.ISSUER + "/"}, {"aud": "other"}, {"azp": signers.AUDIENCE}):
        assert kind.post(headers | signers.jwt("new", body, **claim), body).status == 401
    assert kind.post(headers | signers.jwt("new", body), body).status == 200


def test_one_wrong_secret_among_several_refuses_all(kind):
    if kind.case["signer"] != "member":
        pytest.skip("the secret is said once")
    headers, body = kind.request()
    right, wrong = kind.secrets["new"].encode(), kind.secrets["wrong"].encode()
    last = body.rindex(right)
    events = len(kind.daemon.events())
    assert kind.post(headers, body[:last] + wrong + body[last + len(right):]).status == 401
    assert len(kind.daemon.events()) == events


@pytest.mark.parametrize("age_s", [660, -660])
def test_a_stale_one_is_refused(kind, age_s):
    if not kind.case.get("has_time"):
        pytest.skip("no time is signed")
    events = len(kind.daemon.events())
    answer = kind.post(*kind.request(age_s=age_s))
    kind.check("stale" if age_s > 0 else "early", answer)
    assert len(kind.daemon.events()) == events


def test_the_old_secret_counts_until_it_is_gone(kind):
    answer = kind.post(*kind.request(secret="old"))
    assert 200 <= answer.status < 300, answer.body


def test_handshakes(kind):
    for one in kind.case.get("handshakes", []):
        events = len(kind.daemon.events())
        body = one.get("body", "").encode()
        headers = {"Content-Type": one.get("content_type", "application/json"),
                   **one.get("headers", {})}
        path = f"/in/{kind.source}{one.get('query', '')}"
        if one.get("signed"):
            assert ask(kind.daemon.port, one["method"], path, body, headers).status == 401
            headers |= getattr(signers, kind.case["signer"])(kind.secrets["new"], body)
        answer = ask(kind.daemon.port, one["method"], path, body, headers)
        assert (answer.status, answer.body.decode()) == (one["answer"]["status"],
                                                         one["answer"]["body"])
        for name, value in one["answer"]["headers"].items():
            assert answer.headers[name] == value
        assert len(kind.daemon.events()) == events


def test_other_methods_are_none(kind):
    used = {one["method"] for one in kind.case.get("handshakes", [])} | {"POST"}
    for method in ("GET", "PUT", "OPTIONS", "DELETE"):
        answer = ask(kind.daemon.port, method, f"/in/{kind.source}")
        assert answer.status == (400 if method in used else 405)


def post_another(kind, word):
    """Another delivery than the good one: that one's answer is known."""
    headers, body = kind.request()
    body = body.replace(b"GOsk-", word.encode()).rstrip() + b"\n" * len(word)
    headers |= getattr(signers, kind.case["signer"])(kind.secrets["new"], body)
    headers |= {"Ory-Webhook-Trigger-ID": word} if kind.name == "kratos" else {}
    return kind.post(headers, body)


def test_what_a_person_reads_when_the_target_refuses(kind):
    refusal = kind.case.get("refusal")
    if not refusal:
        pytest.skip("nobody reads its answers")
    kind.refusal = Reply(refusal["status"], refusal["body"])
    try:
        kind.check("refused", post_another(kind, "no-"))
    finally:
        kind.refusal = None


def test_what_a_person_reads_when_the_target_is_silent(kind):
    if not kind.case.get("is_hurried"):
        pytest.skip("it waits for longer than a test should")
    kind.refusal = kind.scene.target.hold()
    try:
        kind.check("late", post_another(kind, "late-"))
    finally:
        kind.refusal.release()
        kind.refusal = None


def test_each_kind_has_a_page_and_a_case():
    table = (ROOT / "docs" / "configuration.md").read_text().partition("### kinds")[2]
    names = re.findall(r"^\| `([a-z0-9-]+)` \|", table.partition("\n### ")[0], re.M)
    assert len(names) == 18
    assert sorted(names) == KINDS == sorted(path.stem for path in PAGES.glob("*.md"))
    for name in names:
        assert f"kind: {name}\n" in (PAGES / f"{name}.md").read_text()
