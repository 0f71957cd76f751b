# SPDX-License-Identifier: Apache-2.0
"""What an endpoint may ask of its deliveries: a filter, a transformation, CloudEvents, credentials,
certificates of its own."""

import http.server
import json
import ssl
import subprocess
import threading

import pytest

from harness import JSON, PATIENCE_S, Reply, ask, wait_until


class Sender:
    """An application, and what is done with it through the API."""

    def __init__(self, scene):
        self.scene = scene
        self.daemon = scene.start("")
        assert self.call("POST", "/app", {"name": "shop", "uid": "shop"}).status == 201

    def call(self, method, path, body=None):
        body = None if body is None else json.dumps(body).encode()
        return ask(self.daemon.admin, method, f"/api/v1{path}", body, JSON)

    def endpoint(self, path="/hook", **more):
        """One at the target of the scene, unless its url is given."""
        url = more.pop("url", f"http://127.0.0.1:{self.scene.target.port}{path}")
        answer = self.call("POST", "/app/shop/endpoint", {"url": url, **more})
        assert answer.status == 201, answer.body
        return answer.json["id"]

    def send(self, payload, event_type="user.updated", **more):
        """Sends and waits until each endpoint was tried once."""
        answer = self.call("POST", f"/app/shop/msg?wait={PATIENCE_S * 1000}",
                           {"eventType": event_type, "payload": payload, **more})
        assert answer.status == 202, answer.body
        return answer.json

    def jobs(self, message):
        """The deliveries of a message, once each was tried and that is written down."""

        def look():
            jobs = self.daemon.event("evt" + message["id"][3:])["jobs"]
            return jobs if all(job["attempts"] for job in jobs) else None

        return wait_until(look, PATIENCE_S)


@pytest.fixture(name="sender")
def one_application(scene):
    return Sender(scene)


def test_a_filter_chooses_by_content(sender):
    sender.endpoint("/large", filter=".event.amount > 100")
    assert sender.send({"amount": 7})["delivered"] is True
    assert sender.send({"amount": 700})["delivered"] is True
    assert [one.json for one in sender.scene.target.seen(path="/large")] == [{"amount": 700}]


def test_a_filter_that_fails_is_no_match_and_no_silence(sender):
    sender.endpoint(filter=".event.name | ascii_downcase")
    message = sender.send({"name": 7})
    assert message["delivered"] is False
    job, = sender.jobs(message)
    assert job["state"] == "dead" and job["attempts"][0]["code"] == "mapping-failed"
    assert "filter" in job["attempts"][0]["message"]
    assert not sender.scene.target.requests


def test_a_transformation_makes_the_body_and_the_signature_is_over_it(sender):
    sender.endpoint(transform='{who: .event.user.email, what: .meta.type, id: .meta.id}')
    message = sender.send({"user": {"email": "a@example.com"}})
    request, = sender.scene.target.requests
    assert request.json == {"who": "a@example.com", "what": "user.updated", "id": message["id"]}
    assert request.headers["webhook-id"] == message["id"]


def test_a_message_for_slack_is_ready_made(sender):
    sender.endpoint(transform="slack")
    sender.send({"n": 1})
    request, = sender.scene.target.requests
    assert request.json == {"text": '*user.updated*\n```{"n":1}```'}


def test_programs_survive_a_restart_and_many_share_the_shelf(sender):
    for n in range(40):  # more than one board
        sender.endpoint(f"/{n}", transform=f"{{n: ({n} + .event.n)}}")
    sender.send({"n": 1})
    assert sorted(one.json["n"] for one in sender.scene.target.requests) == list(range(1, 41))
    sender.daemon.stop()
    sender.daemon.start()
    sender.scene.target.requests.clear()
    sender.send({"n": 2})
    assert sorted(one.json["n"] for one in sender.scene.target.requests) == list(range(2, 42))


def test_cloudevents_in_headers(sender):
    sender.endpoint(format="cloudevents")
    message = sender.send({"n": 1}, subject='Euro "€"')
    request, = sender.scene.target.requests
    ce = {name: value for name, value in request.headers.items() if name.startswith("ce-")}
    assert ce.pop("ce-time").endswith("Z") and ce.pop("ce-source").startswith("/app_")
    assert ce == {"ce-specversion": "1.0", "ce-id": message["id"], "ce-type": "user.updated",
                  "ce-subject": "Euro%20%22%E2%82%AC%22"}
    assert request.json == {"n": 1} and request.headers["content-type"] == "application/json"


def test_cloudevents_as_one_document(sender):
    sender.endpoint(format="cloudevents-structured", transform="[.event.n]")
    message = sender.send({"n": 1})
    request, = sender.scene.target.requests
    assert request.headers["content-type"] == "application/cloudevents+json"
    assert request.json["id"] == message["id"] and request.json["data"] == [1]


def test_a_receiver_is_asked_for_its_consent_first(sender):
    allowed = [None]

    def act(request):
        if request.method == "OPTIONS":
            return Reply(200, None, {"WebHook-Allowed-Origin": allowed[0]} if allowed[0] else {})
        return Reply(200)

    sender.scene.target.act = act
    endpoint = sender.endpoint(handshake=True, retry=[])
    message = sender.send({})
    job, = sender.jobs(message)
    assert job["attempts"][0]["code"] == "no-consent"
    asked, = sender.scene.target.requests
    origin = asked.headers["webhook-request-origin"]
    allowed[0] = origin
    assert sender.send({"n": 1})["delivered"] is True
    assert sender.send({"n": 2})["delivered"] is True  # asked once
    assert [(one.method, one.headers["webhook-request-origin"])
            for one in sender.scene.target.requests[1:]] == [
                ("OPTIONS", origin), ("POST", origin), ("POST", origin)]
    allowed[0] = "*"
    moved = f"http://127.0.0.1:{sender.scene.target.port}/moved"
    assert sender.call("PATCH", f"/app/shop/endpoint/{endpoint}", {"url": moved}).status == 200
    assert sender.send({"n": 3})["delivered"] is True  # another URL, asked anew
    assert [one.method for one in sender.scene.target.seen(path="/moved")] == ["OPTIONS", "POST"]


@pytest.mark.parametrize("auth, shown", [
    ({"basic": {"user": "me", "password": "p:w"}}, "Basic bWU6cDp3"),
    ({"bearer": "t0ken"}, "Bearer t0ken")])
def test_plain_credentials(sender, auth, shown):
    endpoint = sender.endpoint(auth=auth)
    sender.send({})
    assert sender.scene.target.requests[0].headers["authorization"] == shown
    for path in (f"/app/shop/endpoint/{endpoint}", "/app/shop/endpoint"):
        text = sender.call("GET", path).body
        assert b"t0ken" not in text and b"p:w" not in text
    assert "t0ken" not in json.dumps(sender.daemon.events())


def test_tokens_are_fetched_once_and_anew_after_401(sender):
    tokens = []

    def act(request):
        if request.path == "/token":
            tokens.append(f"t{len(tokens) + 1}")
            return Reply(200, {"access_token": tokens[-1], "token_type": "Bearer",
                               "expires_in": 3600})
        good = request.headers.get("authorization") == "Bearer t2"
        return Reply(200 if good or len(tokens) == 1 and request.json["n"] == 1 else 401)

    sender.scene.target.act = act
    target = sender.scene.target.port
    endpoint = sender.endpoint(auth={"oauth2": {
        "tokenUrl": f"http://127.0.0.1:{target}/token", "clientId": "c", "clientSecret": "s3cret"}})
    assert sender.send({"n": 1})["delivered"] is True
    assert sender.send({"n": 2})["delivered"] is True  # 401, another token, 200
    assert sender.send({"n": 3})["delivered"] is True
    assert tokens == ["t1", "t2"]
    assert b"s3cret" not in sender.call("GET", f"/app/shop/endpoint/{endpoint}").body


@pytest.fixture(name="papers", scope="module")
def certificates(tmp_path_factory):
    """A CA of one's own, with a server's and a client's certificate."""
    folder = tmp_path_factory.mktemp("papers")

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True,
                       timeout=PATIENCE_S)

    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-days", "2", "-subj", "/CN=own CA", "-keyout", "ca.key", "-out", "ca.pem")
    for name in ("server", "client"):
        (folder / f"{name}.ext").write_text("subjectAltName=IP:127.0.0.1")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                "-CAcreateserial", "-days", "2", "-extfile", f"{name}.ext", "-out", f"{name}.pem")
    return folder


@pytest.fixture(name="locked")
def server_that_wants_a_certificate(papers):
    """An HTTPS server that knows who calls."""
    seen = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):  # pylint: disable=invalid-name
            self.rfile.read(int(self.headers["content-length"]))
            seen.append(self.connection.getpeercert()["subject"])
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            """Says nothing."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(papers / "server.pem", papers / "server.key")
    context.load_verify_locations(papers / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.handle_error = lambda *_: None
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        server.seen = seen
        yield server
        server.shutdown()


def test_a_client_certificate_is_shown_and_an_own_ca_is_believed(sender, locked, papers):
    read = {name: (papers / name).read_text() for name in ("ca.pem", "client.pem", "client.key")}
    url = f"https://127.0.0.1:{locked.server_address[1]}/"
    known = {"certificate": read["client.pem"], "key": read["client.key"], "ca": read["ca.pem"]}
    good = sender.endpoint(url=url, tls=known)
    bad = [sender.endpoint(url=url, tls={"ca": read["ca.pem"]}),  # shows none
           sender.endpoint(url=url, tls={k: known[k] for k in ("certificate", "key")})]  # usual CAs
    message = sender.send({})
    jobs = {job["target"]: job for job in sender.jobs(message)}
    assert jobs[f"endpoint:{good}"]["state"] == "done"
    codes = [jobs[f"endpoint:{endpoint}"]["attempts"][0]["code"] for endpoint in bad]
    # Under TLS 1.3 a server says only behind the handshake that it wants a certificate.
    assert codes[0] in ("tls", "broken") and codes[1] == "tls"
    assert locked.seen == [((("commonName", "client"),),)]
    assert "PRIVATE KEY" not in sender.call("GET", f"/app/shop/endpoint/{good}").body.decode()


def test_the_programs_of_one_application_have_a_maximum_that_is_told(sender):
    def make(number, app="shop", **more):
        body = {"url": "http://127.0.0.1:1/", "uid": f"e{number}", **more,
                "filter": f".event.n{number}"}  # a plain path: quick
        return sender.call("POST", f"/app/{app}/endpoint", body)

    sender.call("POST", "/app", {"name": "other", "uid": "other"})
    for number in range(100):
        assert make(number).status == 201
    answer = make(100)
    assert answer.status == 422, answer
    assert answer.json["detail"][0]["loc"] == ["body", "filter"]
    assert "100 different programs" in answer.json["detail"][0]["msg"]
    assert make(7, uid="same").status == 201  # one that is there already
    assert make(100, app="other").status == 201  # others have room of their own
    assert sender.call("PATCH", "/app/shop/endpoint/e4", {"description": "d"}).status == 200
    assert make(100).status == 422
    assert sender.call("PATCH", "/app/shop/endpoint/e4", {"filter": None}).status == 200
    assert make(100).status == 201  # the place of what e4 had
