# SPDX-License-Identifier: Apache-2.0
"""The two example services by themselves, and the walk-through's own honesty.

Grapnel takes no part: a receiver in this process answers the webhooks, and the walk-through runs
against a stand-in that can be told to do one thing wrong.
"""

import base64
import concurrent.futures
import contextlib
import hashlib
import hmac
import html
import http.client
import http.server
import json
import os
import pathlib
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import urllib.parse

import pytest

HERE = pathlib.Path(__file__).resolve().parent
EXAMPLE = HERE.parents[1] / "examples" / "onboarding"
STANDIN = HERE / "onboarding_standin.py"
KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()
JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
START_MAX_S = 20

sys.path.insert(0, str(EXAMPLE))
import webhook  # noqa: E402  (lives in the example's folder)
from stack import wait_until  # noqa: E402


class Service:
    """One example service as a child process."""

    def __init__(self, script, folder, *flags):
        self._command = [sys.executable, str(EXAMPLE / script), *flags]
        self._command += ["--db", str(folder / "service.db")]
        self.database = folder / "service.db"
        self._log = folder / "service.log"
        self.port = 0
        self.start()

    def start(self):
        """Starts it, again on the same port."""
        with open(self._log, "wb") as log:
            command = [*self._command, "--port", str(self.port)]
            self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        self.port = wait_until(self._named_port, START_MAX_S)
        assert self.port, self._log.read_text()

    def _named_port(self):
        found = re.match(r"listening on http://127\.0\.0\.1:(\d+)\n", self._log.read_text())
        return int(found[1]) if found else None

    def call(self, method, target, body=None, headers=None):
        """Status, headers, text."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        with contextlib.closing(connection):
            if isinstance(body, dict):
                body = json.dumps(body)
            connection.request(method, target, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read().decode()

    def row(self, statement, *values):
        """The first row of a query on its database file."""
        with contextlib.closing(sqlite3.connect(self.database)) as database:
            return database.execute(statement, values).fetchone()

    def stop(self):
        """SIGTERM; the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)

    def log(self):
        """What it wrote."""
        return self._log.read_text()


class Receiver:
    """Answers webhooks as told, and keeps them."""

    def __init__(self):
        self.answer = (200, "application/json", '{"message":"Updated the contact."}')
        self.seen = []
        self.on_webhook = lambda: None
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.seen.append((self.path, dict(self.headers), body))
                receiver.on_webhook()
                status, kind, text = receiver.answer
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def problem(self, status, **members):
        """Answers with problem details from now on."""
        self.answer = (status, "application/problem+json", json.dumps(members))

    def close(self):
        """Stops listening; a second time does nothing."""
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


@pytest.fixture
def receiver():
    one = Receiver()
    yield one
    one.close()


def identity_service(folder, receiver, *flags):
    base = f"http://127.0.0.1:{receiver.port}"
    return Service("identity_service.py", folder, "--webhook", f"{base}/in/now",
                   "--webhook-later", f"{base}/in/later", "--secret", SECRET,
                   "--client-secret", "s3cr:t", *flags)


@pytest.fixture
def identity(tmp_path, receiver):
    service = identity_service(tmp_path, receiver)
    yield service
    service.stop()
    assert "Traceback" not in service.log()


@pytest.fixture
def commercial(tmp_path):
    service = Service("commercial_service.py", tmp_path, "--token", "t0k")
    yield service
    service.stop()
    assert "Traceback" not in service.log()


@pytest.fixture(params=["identity", "commercial"])
def either(request):
    return request.getfixturevalue(request.param)


# Identity service: OAuth2 and the REST API


def token_of(service, headers=None, **form):
    body = urllib.parse.urlencode({"grant_type": "client_credentials", **form})
    return service.call("POST", "/token", body, {**FORM, **(headers or {})})


def basic(pair):
    return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


def bearer(service):
    token = json.loads(token_of(service, client_id="grapnel", client_secret="s3cr:t")[2])
    return {"Authorization": f"Bearer {token['access_token']}"}


@pytest.mark.parametrize(
    "headers, form",
    [(basic("grapnel:s3cr%3At"), {}), ({}, {"client_id": "grapnel", "client_secret": "s3cr:t"})],
)
def test_token_by_header_and_by_form(identity, headers, form):
    status, answer_headers, text = token_of(identity, headers, **form)
    token = json.loads(text)
    assert status == 200 and answer_headers["Cache-Control"] == "no-store"
    assert token["token_type"] == "Bearer" and token["expires_in"] == 3600
    auth = {"Authorization": f"Bearer {token['access_token']}"}
    assert identity.call("GET", "/api/v1/users", headers=auth)[0] == 200


@pytest.mark.parametrize(
    "headers, form",
    [
        ({}, {}),
        (basic("grapnel:other"), {}),
        (basic("other:s3cr%3At"), {}),
        ({"Authorization": "Basic %%%"}, {}),
        ({}, {"client_id": "grapnel", "client_secret": "sécret"}),
        # The header counts, even where the form would do.
        (basic("grapnel:other"), {"client_id": "grapnel", "client_secret": "s3cr:t"}),
    ],
)
def test_token_is_refused_to_strangers(identity, headers, form):
    status, answer_headers, text = token_of(identity, headers, **form)
    assert (status, json.loads(text)) == (401, {"error": "invalid_client"})
    assert answer_headers["WWW-Authenticate"].startswith("Basic")


def test_token_of_another_grant_is_refused(identity):
    form = {"client_id": "grapnel", "client_secret": "s3cr:t", "grant_type": "password"}
    status, _, text = token_of(identity, **form)
    assert (status, json.loads(text)) == (400, {"error": "unsupported_grant_type"})


def test_token_expires(tmp_path, receiver):
    service = identity_service(tmp_path, receiver, "--token-lifetime", "0")
    try:
        status, headers, _ = service.call("GET", "/api/v1/users", headers=bearer(service))
        assert status == 401 and "invalid_token" in headers["WWW-Authenticate"]
    finally:
        service.stop()


def test_token_requests_are_logged_without_the_secret(identity):
    bearer(identity)
    entries = json.loads(identity.call("GET", "/demo/requests")[2])
    assert entries[0]["path"] == "/token" and "s3cr" not in json.dumps(entries)


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer x"}, basic("grapnel:s3cr%3At")])
def test_users_need_a_token(identity, headers):
    for method, path in (("GET", "/api/v1/users"), ("PATCH", "/api/v1/users/IDNUMBER1234")):
        status, _, text = identity.call(method, path, "{}", {**JSON, **headers})
        assert status == 401 and "Aino" not in text


def test_users_are_listed_and_found(identity):
    auth = bearer(identity)
    listed = json.loads(identity.call("GET", "/api/v1/users?limit=2&offset=1", headers=auth)[2])
    assert listed["total"] == 3 and len(listed["items"]) == 2
    status, headers, text = identity.call("GET", "/api/v1/users/IDNUMBER1234", headers=auth)
    user = json.loads(text)
    assert status == 200 and headers["ETag"] == '"v1"'
    assert list(user) == "id firstName lastName email phone version lastModified".split()
    assert user["email"] == "aino.virtanen@example.com"
    status, headers, text = identity.call("GET", "/api/v1/users/NOBODY", headers=auth)
    assert status == 404 and headers["Content-Type"] == "application/problem+json"


def test_user_patched_through_the_api_sends_no_webhook(identity, receiver):
    auth = {**JSON, **bearer(identity), "If-Match": '"v1"'}
    path = "/api/v1/users/IDNUMBER1234"
    status, _, text = identity.call("PATCH", path, {"phone": "+358 9 1234"}, auth)
    assert status == 200 and json.loads(text)["version"] == 2
    assert identity.call("PATCH", path, {"phone": ""}, auth)[0] == 412
    status, _, text = identity.call("PATCH", path, {"version": 9}, {**auth, "If-Match": "*"})
    assert (status, json.loads(text)["errors"][0]["pointer"]) == (422, "/version")
    status, _, text = identity.call("PATCH", path, {"email": None}, {**auth, "If-Match": "*"})
    assert (status, json.loads(text)["errors"][0]["pointer"]) == (422, "/email")
    assert receiver.seen == []


# Identity service: Save


def form_of(service, user_id="IDNUMBER1234", **changes):
    """Loads the form and sends it as a browser does; status, headers, text of the answer."""
    page = service.call("GET", f"/users/{user_id}")[2]
    found = re.findall(r'<input [^>]*name="(\w+)"[^>]* value="([^"]*)"', page)
    values = {name: html.unescape(value) for name, value in found}
    assert set(values) == {"firstName", "lastName", "email", "phone", "version"}
    headers = {**FORM, **changes.pop("headers", {})}
    body = urllib.parse.urlencode({**values, **changes})
    return service.call("POST", f"/users/{user_id}", body, headers)


def saved_page(service, user_id="IDNUMBER1234", **changes):
    """Saves by the form and follows to the page that tells how it went."""
    status, headers, _ = form_of(service, user_id, **changes)
    assert status == 303
    return service.call("GET", headers["Location"])[2]


def banner(page):
    found = re.search(r'<p class="banner (\w+)" role="(\w+)" id="banner">(.*?)</p>', page)
    return found.groups() if found else None


def errors_beside(page):
    """The fields marked as wrong, with the text that is tied to each."""
    marked = re.findall(r'name="(\w+)"[^>]*aria-invalid="true" aria-describedby="([^"]+)"', page)
    return {
        name: html.unescape(re.search(rf'id="{tie}">(.*?)</p>', page)[1]) for name, tie in marked
    }


def test_signature_matches_the_published_example():
    key = webhook.secret_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    made = webhook.signature(
        key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
    )
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_save_commits_and_then_sends_the_signed_webhook(identity, receiver):
    stored = []
    receiver.on_webhook = lambda: stored.append(
        identity.row("SELECT email, version FROM users WHERE id = 'IDNUMBER1234'")
    )
    page = saved_page(identity, email="aino@new.example.com")
    assert banner(page) == ("success", "status", "Saved. Updated the contact.")
    assert stored == [("aino@new.example.com", 2)]
    (path, headers, body), = receiver.seen
    assert path == "/in/now" and headers["Content-Type"] == "application/json"
    assert re.fullmatch(
        rb'\{"id":"IDNUMBER1234","entityType":"USER","eventType":"UPDATE",'
        rb'"timestamp":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"\}',
        body,
    )
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    digest = base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{digest}"


def test_each_save_is_another_message(identity, receiver):
    saved_page(identity)
    saved_page(identity)
    ids = {headers["webhook-id"] for _, headers, _ in receiver.seen}
    assert len(ids) == 2
    # Nothing was changed, so the user is still the first version.
    assert identity.row("SELECT version FROM users WHERE id = 'IDNUMBER1234'") == (1,)


def test_reload_of_the_answer_sends_nothing(identity, receiver):
    _, headers, _ = form_of(identity)
    for _ in range(3):
        assert banner(identity.call("GET", headers["Location"])[2])
    assert len(receiver.seen) == 1
    # The answer belongs to one user, and a made-up number to none.
    for target in ("/users/IDNUMBER2345?webhook=1", "/users/IDNUMBER1234?webhook=99",
                   "/users/IDNUMBER1234?webhook=x"):
        assert banner(identity.call("GET", target)[2]) is None


def test_error_stands_beside_its_field(identity, receiver):
    text = 'The e-mail <b>"x"</b> is taken.'
    receiver.problem(409, detail=text, errors=[{"pointer": "/email", "detail": text}])
    page = saved_page(identity)
    assert errors_beside(page) == {"email": text} and "<b>" not in page
    kind, role, message = banner(page)
    assert (kind, role) == ("error", "alert") and '<a href="#email">E-mail</a>' in message


def test_error_of_no_field_stands_on_top(identity, receiver):
    receiver.problem(424, detail="The shop is closed.", retryable=True,
                     errors=[{"pointer": "/elsewhere", "detail": "Some other place."}, 7])
    page = saved_page(identity)
    assert errors_beside(page) == {}
    message = banner(page)[2]
    assert "The shop is closed. Some other place." in message and "try again" in message


@pytest.mark.parametrize(
    "answer, kind, words",
    [
        ((202, "application/json", '{"url":"/e"}'), "accepted", "accepted and will be delivered"),
        ((204, "", ""), "success", "Saved."),
        ((400, "text/plain", "no <such> thing"), "error", "no &lt;such&gt; thing"),
        ((422, "application/json", '{"message":"Look again."}'), "error", "Look again."),
        ((500, "text/plain", ""), "error", "The answer was 500."),
        ((422, "application/problem+json", '{"errors":{"a":1},"detail":3,"title":"Sad"}'),
         "error", "Sad"),
        ((422, "application/json", "[[["), "error", "[[["),
        ((307, "text/plain", "over there"), "error", "over there"),
    ],
)
def test_any_answer_is_shown(identity, receiver, answer, kind, words):
    receiver.answer = answer
    page = saved_page(identity)
    assert banner(page)[0] == kind and words in banner(page)[2]
    assert f'<span class="status {kind}">{answer[0]}</span>' in page


def test_silent_receiver_ends_at_the_deadline(tmp_path, receiver):
    release = threading.Event()
    receiver.on_webhook = lambda: release.wait(20)
    service = identity_service(tmp_path, receiver, "--deadline", "0.2")
    try:
        page = saved_page(service, email="late@example.com")
        assert banner(page)[0] == "error" and "No answer within 0.2 s" in banner(page)[2]
        assert service.row("SELECT email FROM users WHERE id = 'IDNUMBER1234'") == (
            "late@example.com",)
        assert "Traceback" not in service.log()
    finally:
        release.set()
        service.stop()


@pytest.mark.parametrize("drip", [b"H", b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\nx"])
def test_dripping_receiver_ends_at_the_deadline(drip):
    """Each byte comes in time; the whole never does."""
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as server:
        done = threading.Event()

        def feed():
            connection, _ = server.accept()
            with connection, contextlib.suppress(OSError):
                connection.sendall(drip)
                for _ in range(500):  # an end, should the deadline not be one
                    if done.wait(0.02):
                        break
                    connection.sendall(b"x")

        thread = threading.Thread(target=feed, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        answer = webhook.send(webhook.user_changed(url, KEY, "UPDATE", "U", "T"), 0.2)
        done.set()
        thread.join(20)
    assert (answer.status, answer.body) == (0, "no answer within 0.2 s")


def test_nobody_listens(identity, receiver):
    receiver.close()
    page = saved_page(identity, email="alone@example.com")
    assert "Nobody listens" in banner(page)[2]
    assert "alone@example.com" in page


def test_wrong_fields_save_and_send_nothing(identity, receiver):
    status, _, page = form_of(identity, email="no address", lastName="", phone="call me")
    assert status == 422 and 'value="no address"' in page
    assert set(errors_beside(page)) == {"email", "lastName", "phone"}
    assert "Nothing was saved" in banner(page)[2]
    assert receiver.seen == []
    assert identity.row("SELECT version FROM users WHERE id = 'IDNUMBER1234'") == (1,)


def test_stale_form_is_refused(identity, receiver):
    saved_page(identity, phone="")
    status, _, page = form_of(identity, version="1", phone="+358 1 1111")
    assert status == 409 and "somebody else has changed" in page
    assert len(receiver.seen) == 1


def test_form_on_another_site_is_refused(identity, receiver):
    own = {"headers": {"Origin": f"http://127.0.0.1:{identity.port}"}}
    assert form_of(identity, **own)[0] == 303
    for origin in ("https://evil.example", "null"):
        assert form_of(identity, headers={"Origin": origin})[0] == 403
    assert len(receiver.seen) == 1


def test_names_are_text_on_every_page(identity):
    name = "<script>alert('x')</script>\"&"
    page = saved_page(identity, firstName=name)
    for text in (page, identity.call("GET", "/")[2]):
        assert "<script" not in text and html.escape(name) in text


def test_pages_forbid_scripts_and_framing(either):
    _, headers, _ = either.call("GET", "/")
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy


def test_later_goes_to_the_other_address(identity, receiver):
    saved_page(identity, action="later")
    assert [path for path, _, _ in receiver.seen] == ["/in/later"]


def test_demo_door_does_what_save_does(identity, receiver):
    receiver.problem(409, detail="Taken.")
    body = {"email": "demo@example.com", "timestamp": "2019-01-01T00:00:00Z", "later": True}
    status, _, text = identity.call("POST", "/demo/users/IDNUMBER1234", body, JSON)
    record = json.loads(text)
    assert status == 200 and record["answer"]["status"] == 409
    assert json.loads(record["answer"]["body"]) == {"detail": "Taken."}
    (path, headers, sent), = receiver.seen
    assert path == "/in/later" and record["webhook"]["body"] == sent.decode()
    assert json.loads(sent)["timestamp"] == "2019-01-01T00:00:00Z"
    assert record["webhook"]["headers"]["webhook-signature"] == headers["webhook-signature"]
    assert identity.row("SELECT email FROM users WHERE id = 'IDNUMBER1234'") == (
        "demo@example.com",)
    identity.call("POST", "/demo/users/IDNUMBER1234", {}, JSON)
    assert len(receiver.seen) == 2
    records = json.loads(identity.call("GET", "/demo/webhooks")[2])
    assert [r["id"] for r in records] == [2, 1] and records[1] == record


@pytest.mark.parametrize(
    "user, body, status",
    [("NOBODY", {}, 404), ("IDNUMBER1234", {"id": "X"}, 422), ("IDNUMBER1234", {"later": 1}, 422),
     ("IDNUMBER1234", {"timestamp": 1}, 422), ("IDNUMBER1234", {"email": "x"}, 422)],
)
def test_demo_door_refuses_nonsense(identity, receiver, user, body, status):
    assert identity.call("POST", f"/demo/users/{user}", body, JSON)[0] == status
    assert receiver.seen == []


NEW = {"firstName": "Venla", "lastName": "Salo", "email": " venla@example.com "}


def test_demo_door_creates_a_user_and_tells_of_it(identity, receiver):
    record = json.loads(identity.call("POST", "/demo/users", {"id": "ID7", **NEW}, JSON)[2])
    assert record["user"] == "ID7" and record["answer"]["status"] == 200
    (_, _, body), = receiver.seen
    told = json.loads(body)
    assert (told["id"], told["eventType"], told["entityType"]) == ("ID7", "CREATE", "USER")
    user = json.loads(identity.call("GET", "/api/v1/users/ID7", headers=bearer(identity))[2])
    assert user["email"] == "venla@example.com" and user["phone"] == "" and user["version"] == 1
    assert "Venla Salo" in identity.call("GET", "/")[2]
    made_up = json.loads(identity.call("POST", "/demo/users", NEW, JSON)[2])["user"]
    assert re.fullmatch(r"IDNUMBER\d{8}", made_up)


@pytest.mark.parametrize(
    "more, status, pointers",
    [({"id": "IDNUMBER1234"}, 409, []), ({"id": "a/b"}, 422, []), ({"id": 7}, 422, []),
     ({"email": "", "phone": "x"}, 422, ["/email", "/phone"]), ({"version": 1}, 422, ["/version"])],
)
def test_demo_door_makes_no_wrong_user(identity, receiver, more, status, pointers):
    answer = identity.call("POST", "/demo/users", {**NEW, **more}, JSON)
    told = [error["pointer"] for error in json.loads(answer[2]).get("errors", [])]
    assert (answer[0], told, receiver.seen) == (status, pointers, [])
    assert identity.row("SELECT count(*) FROM users") == (3,)


def test_demo_door_deletes_a_user_and_tells_of_it(identity, receiver):
    record = json.loads(identity.call("DELETE", "/demo/users/IDNUMBER1234")[2])
    assert record["answer"]["status"] == 200
    (_, _, body), = receiver.seen
    told = json.loads(body)
    assert (told["id"], told["eventType"]) == ("IDNUMBER1234", "DELETE")
    path = "/api/v1/users/IDNUMBER1234"
    assert identity.call("GET", path, headers=bearer(identity))[0] == 404
    assert identity.call("DELETE", "/demo/users/IDNUMBER1234")[0] == 404 and len(receiver.seen) == 1


# Commercial service


TOKEN = {"Authorization": "Bearer t0k"}


def rest(service, method, target, body=None, **headers):
    more = {name.replace("_", "-"): value for name, value in headers.items()}
    status, answer_headers, text = service.call(
        method, f"/rest/contacts{target}", body, {**JSON, **TOKEN, **more}
    )
    return status, answer_headers, json.loads(text) if text else None


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer t0K"}, basic("t0k:t0k")])
def test_contacts_need_the_token(commercial, headers):
    status, answer_headers, text = commercial.call("GET", "/rest/contacts", headers=headers)
    assert status == 401 and "Aino" not in text
    assert answer_headers["WWW-Authenticate"].startswith("Bearer")


def test_contacts_are_found(commercial):
    status, _, found = rest(commercial, "GET", "?external_id=IDNUMBER1234")
    assert status == 200 and found["total"] == 1
    assert found["items"][0]["id"] == "C-1001"
    assert rest(commercial, "GET", "?external_id=IDNUMBER3456")[2] == {"items": [], "total": 0}
    assert rest(commercial, "GET", "?email=EERO@old.example.com")[2]["total"] == 1
    assert rest(commercial, "GET", "?limit=1&offset=2")[2]["total"] == 3
    assert rest(commercial, "GET", "?limit=0")[0] == 400
    assert rest(commercial, "GET", "/C-9999")[0] == 404


def test_contact_is_patched(commercial):
    status, headers, contact = rest(
        commercial, "PATCH", "/C-1001", {"email": "a@b.example", "phone": None},
        User_Agent="tester/1", Content_Type="application/merge-patch+json",
    )
    assert status == 200 and headers["ETag"] == '"v2"'
    assert contact["version"] == 2 and contact["updated_by"] == "tester/1"
    assert rest(commercial, "GET", "/C-1001")[2] == contact
    assert contact["name"] == "Aino Virtanen" and contact["phone"] is None
    assert commercial.row("SELECT email FROM contacts WHERE id = 'C-1001'") == ("a@b.example",)
    page = commercial.call("GET", "/")[2]
    assert "by tester/1, version 2" in page and "PATCH /rest/contacts/C-1001" in page


def test_contact_keeps_its_version_under_if_match(commercial):
    name = {"name": "Aino V."}
    assert rest(commercial, "PATCH", "/C-1001", name, If_Match='"v1"')[0] == 200
    status, headers, _ = rest(commercial, "PATCH", "/C-1001", name, If_Match='"v1"')
    assert status == 412 and headers["ETag"] == '"v2"'
    assert rest(commercial, "PATCH", "/C-1001", name, If_Match='"v7", "v2"')[0] == 200
    assert rest(commercial, "PATCH", "/C-1001", name, If_Match="*")[0] == 200


@pytest.mark.parametrize(
    "field, value", [("email", "EERO.Korhonen@example.com"), ("external_id", "IDNUMBER2345")]
)
def test_taken_value_names_its_field(commercial, field, value):
    status, _, answer = rest(commercial, "PATCH", "/C-1001", {field: value})
    assert status == 409 and answer["error"] == "conflict" and answer["field"] == field
    assert value in answer["message"]
    new = {"email": "new@example.com", "name": "New", field: value}
    assert rest(commercial, "POST", "", new)[0] == 409
    assert commercial.row("SELECT sum(version) FROM contacts") == (3,)


@pytest.mark.parametrize(
    "patch, field",
    [({"email": "nobody"}, "email"), ({"email": None}, "email"), ({"name": ""}, "name"),
     ({"name": ["x"]}, "name"), ({"colour": "red"}, "colour"), ({"phone": "1" * 201}, "phone")],
)
def test_malformed_value_names_its_field(commercial, patch, field):
    status, _, answer = rest(commercial, "PATCH", "/C-1001", patch)
    assert status == 422 and [e["field"] for e in answer["errors"]] == [field]
    assert field in answer["errors"][0]["message"] or "e-mail" in answer["errors"][0]["message"]


def test_contact_is_created(commercial):
    new = {"email": "sanni@example.com", "name": "Sanni", "external_id": "IDNUMBER3456"}
    status, headers, contact = rest(commercial, "POST", "", new)
    assert status == 201 and contact["version"] == 1
    assert commercial.call("GET", headers["Location"], headers=TOKEN)[0] == 200
    assert rest(commercial, "GET", "?external_id=IDNUMBER3456")[2]["items"] == [contact]
    assert rest(commercial, "POST", "", {"name": "Nameless"})[0] == 422


def set_fault(service, mode, **more):
    status, _, text = service.call("POST", "/demo/fault", {"mode": mode, **more}, JSON)
    assert status == 200, text


def test_faults_answer_in_their_way(commercial):
    set_fault(commercial, "500")
    assert rest(commercial, "GET", "")[0] == 500
    set_fault(commercial, "503", ms=7000)
    status, headers, _ = rest(commercial, "PATCH", "/C-1001", {"name": "X"})
    assert status == 503 and headers["Retry-After"] == "7"
    set_fault(commercial, "garbage")
    status, headers, text = commercial.call("GET", "/rest/contacts", headers=TOKEN)
    assert status == 200 and headers["Content-Type"] == "application/json"
    with pytest.raises(ValueError):
        json.loads(text)
    set_fault(commercial, "slow", ms=1)
    assert rest(commercial, "GET", "")[0] == 200
    set_fault(commercial, "none")
    assert rest(commercial, "GET", "")[0] == 200
    assert commercial.row("SELECT name FROM contacts WHERE id = 'C-1001'") == ("Aino Virtanen",)
    assert commercial.call("POST", "/demo/fault", {"mode": "odd"}, JSON)[0] == 422


def test_fault_ends_after_its_times(commercial):
    set_fault(commercial, "500", times=2)
    assert [rest(commercial, "GET", "")[0] for _ in range(3)] == [500, 500, 200]


@pytest.mark.parametrize("times", [{}, {"times": 1}])
def test_hanging_request_ends_without_an_answer_when_the_fault_does(commercial, times):
    set_fault(commercial, "hang", ms=600_000, **times)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(rest, commercial, "GET", "")
        logged = lambda: json.loads(commercial.call("GET", "/demo/requests")[2])  # noqa: E731
        entry, = wait_until(logged, 20)
        assert entry["status"] is None and not hanging.done()
        # Whoever asks about other things is not held up.
        assert commercial.call("GET", "/")[0] == 200
        set_fault(commercial, "none")
        with pytest.raises(http.client.RemoteDisconnected):
            hanging.result(20)
    assert rest(commercial, "GET", "")[0] == 200


def test_request_log_tells_what_came(commercial):
    rest(commercial, "PATCH", "/C-1001", {"email": "nobody"}, User_Agent="<i>tester")
    rest(commercial, "GET", "?external_id=%C3%A4")
    first, second = json.loads(commercial.call("GET", "/demo/requests")[2])
    assert (first["method"], first["path"]) == ("PATCH", "/rest/contacts/C-1001")
    assert json.loads(first["body"]) == {"email": "nobody"} and first["status"] == 422
    assert second["path"] == "/rest/contacts?external_id=%C3%A4" and second["status"] == 200
    assert first["time"] <= second["time"] and "t0k" not in json.dumps([first, second])
    assert json.loads(commercial.call("GET", "/demo/requests?after=1")[2]) == [second]
    assert "<i>" not in commercial.call("GET", "/")[2]
    assert commercial.call("DELETE", "/demo/requests")[0] == 204
    assert json.loads(commercial.call("GET", "/demo/requests")[2]) == []


# Both services: HTTP


def raw(service, *pieces):
    """Sends bytes as they are; everything that comes back until the service closes."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=20) as connection:
        answer = b""
        # A service that closes with bytes unread resets the connection; what it said before that
        # can be read all the same.
        with contextlib.suppress(OSError):
            for piece in pieces:
                connection.sendall(piece)
            connection.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            while chunk := connection.recv(65536):
                answer += chunk
        return answer


def test_connection_is_kept(either):
    connection = http.client.HTTPConnection("127.0.0.1", either.port, timeout=20)
    with contextlib.closing(connection):
        sockets = set()
        for method, target in (("GET", "/"), ("HEAD", "/"), ("GET", "/healthz"), ("GET", "/no"),
                               ("DELETE", "/demo/requests"), ("PUT", "/healthz")):
            connection.request(method, target)
            answer = connection.getresponse()
            body = answer.read()
            sockets.add(connection.sock.getsockname())
            assert answer.version == 11 and not answer.will_close
            if method != "HEAD" and answer.status != 204:
                assert int(answer.headers["Content-Length"]) == len(body)
        assert len(sockets) == 1


def test_wrong_paths_and_methods(either):
    assert either.call("GET", "/nowhere")[0] == 404
    status, headers, _ = either.call("DELETE", "/")
    assert status == 405 and headers["Allow"] == "GET"
    assert either.call("POST", "/healthz", "{}", JSON)[0] == 405
    assert either.call("BREW", "/")[0] == 501


@pytest.mark.parametrize(
    "head, status",
    [("Content-Length: 65537", 413), ("Content-Length: -1", 400), ("Content-Length: x", 400),
     ("Content-Length: 1\r\nContent-Length: 2", 400), ("Transfer-Encoding: chunked", 411)],
)
def test_unwanted_bodies_end_the_connection(either, head, status):
    answer = raw(either, f"POST /healthz HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n".encode(),
                 b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.startswith(f"HTTP/1.1 {status} ".encode()) and answer.count(b"HTTP/1.1") == 1


def test_expected_100_comes_before_the_body(either):
    with socket.create_connection(("127.0.0.1", either.port), timeout=20) as connection:
        connection.sendall(b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
                           b"Expect: 100-continue\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        connection.sendall(b"{}")
        assert connection.recv(1000).startswith(b"HTTP/1.1 405 ")


@pytest.mark.parametrize("body", ["{", "[]", '"x"', '{"a":NaN}', "[" * 60000, "\udcff"])
def test_bodies_that_are_no_json_object(commercial, body):
    data = body.encode("utf-8", "surrogateescape")
    status, _, _ = commercial.call("PATCH", "/rest/contacts/C-1001", data, {**JSON, **TOKEN})
    assert status == 400
    text = {"Content-Type": "text/plain", **TOKEN}
    assert commercial.call("PATCH", "/rest/contacts/C-1001", b"{}", text)[0] == 415


def test_many_clients_at_once(commercial):
    def client(number):
        connection = http.client.HTTPConnection("127.0.0.1", commercial.port, timeout=60)
        with contextlib.closing(connection):
            for _ in range(50):
                connection.request("PATCH", "/rest/contacts/C-1001",
                                   json.dumps({"name": f"Client {number}"}), {**JSON, **TOKEN})
                answer = connection.getresponse()
                answer.read()
                assert answer.status == 200

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(client, range(16)))
    assert commercial.row("SELECT version FROM contacts WHERE id = 'C-1001'") == (801,)


def test_sigterm_ends_with_requests_open_and_data_stays(commercial):
    rest(commercial, "PATCH", "/C-1001", {"name": "Kept"})
    set_fault(commercial, "hang", ms=600_000)
    with socket.create_connection(("127.0.0.1", commercial.port), timeout=20) as connection:
        connection.sendall(b"GET /rest/contacts HTTP/1.1\r\nHost: x\r\n"
                           b"Authorization: Bearer t0k\r\n\r\n")
        wait_until(lambda: "GET" in commercial.call("GET", "/demo/requests")[2], 20)
        assert commercial.stop() == 0
    commercial.start()
    assert rest(commercial, "GET", "/C-1001")[2]["name"] == "Kept"


@pytest.mark.parametrize("flags", [[], ["--secret", "x"], ["--secret", "whsec_AAAA"]])
def test_unusable_flags_are_refused(flags, tmp_path):
    environment = {k: v for k, v in os.environ.items() if k not in ("ONEPORTAL_SECRET",)}
    done = subprocess.run(
        [sys.executable, str(EXAMPLE / "identity_service.py"), "--webhook", "http://127.0.0.1:1/",
         "--client-secret", "x", "--db", str(tmp_path / "x.db"), *flags],
        env=environment, capture_output=True, text=True, timeout=60,
    )
    assert done.returncode == 2 and "secret" in done.stderr and "Traceback" not in done.stderr


# The walk-through


def walkthrough(*flags, bug="", binary=STANDIN):
    command = [sys.executable, str(EXAMPLE / "walkthrough.py"), "--grapnel", str(binary), *flags]
    return subprocess.run(command, env={**os.environ, "STANDIN_BUG": bug}, capture_output=True,
                          text=True, encoding="utf-8", timeout=120)


def test_walkthrough_passes_and_is_plain_off_a_terminal():
    done = walkthrough()
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("\n5 passed, 0 failed\n")
    assert "\x1b" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 100


@pytest.mark.parametrize(
    "bug, claims",
    [
        ("false-200", ["by one PATCH", "the row holds", "the answer is 409"]),
        ("always-patch", ["and not written"]),
        ("wrong-pointer", ["which points at /email", "beside the e-mail", "no other field"]),
        ("forgets", ["was delivered"]),
        ("never-done", ["the URL of the event says so"]),
    ],
)
def test_walkthrough_fails_where_a_claim_is_wrong(bug, claims):
    done = walkthrough("--patience", "1", bug=bug)
    wrong = [line for line in done.stdout.splitlines() if re.match(r"  (✗|NO) ", line)]
    assert done.returncode == 1 and not done.stdout.endswith(" 0 failed\n")
    for claim in claims:
        assert any(claim in line for line in wrong), done.stdout


def test_walkthrough_without_a_binary_leaves_nothing_running(tmp_path):
    done = walkthrough(binary=tmp_path / "absent")
    assert done.returncode == 1 and "absent" in done.stderr and "Traceback" not in done.stderr


def test_stay_shows_the_pages_and_ends_on_a_signal():
    command = [sys.executable, str(EXAMPLE / "walkthrough.py"), "--stay", "--grapnel", str(STANDIN)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, encoding="utf-8")
    try:
        shown = ""
        while "Ctrl-C" not in shown:
            line = process.stdout.readline()
            assert line, shown
            shown += line
        ports = sorted({int(port) for port in re.findall(r"127\.0\.0\.1:(\d+)", shown)})
        assert len(ports) == 3
        for port in ports:
            socket.create_connection(("127.0.0.1", port), timeout=20).close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        for port in ports:
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port), timeout=20)
    finally:
        process.kill()
        process.stdout.close()
        process.wait()
