# SPDX-License-Identifier: Apache-2.0
"""What the two example services share: a small HTTP application on the standard library.

An App holds routes and answers Requests with Responses; a Server carries it on a loopback port,
one thread per connection. Everything has a maximum: bodies, connections, the request log.
"""

import argparse
import collections
import dataclasses
import datetime
import html
import http.server
import json
import pathlib
import signal
import socketserver
import sys
import threading
import traceback
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent
BODY_MAX_BYTES = 64 * 1024
CONNECTIONS_MAX = 1024
IDLE_TIMEOUT_S = 75
LOG_MAX_ENTRIES = 10_000
LOG_BODY_MAX_CHARS = 2048
QUERY_MAX_FIELDS = 50
JSON_TYPES = ("application/json", "application/merge-patch+json")
FORM_TYPE = "application/x-www-form-urlencoded"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")

# No script, no foreign content, and forms that only come home: the pages need nothing else.
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src data:;"
    " form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


def now_text(milliseconds=True):
    """The present moment in UTC as RFC 3339 writes it."""
    now = datetime.datetime.now(datetime.timezone.utc)
    return now.isoformat(timespec="milliseconds" if milliseconds else "seconds")[:-6] + "Z"


class Refusal(Exception):
    """Ends a request with an error status; the App chooses how to say it."""

    def __init__(self, status, message, headers=None, **members):
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers or {}
        self.members = members  # of the JSON document, beside the message


@dataclasses.dataclass
class Request:
    """One request, wholly read. `query` and form fields keep the last of equal names."""

    method: str
    target: str
    headers: object
    body: bytes = b""
    path: str = ""
    query: dict = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        parts = urllib.parse.urlsplit(self.target)
        self.path = parts.path
        self.query = self._pairs(parts.query)

    def content_type(self):
        """The media type in lower case, without parameters; empty when there is none."""
        return (self.headers.get("Content-Type") or "").partition(";")[0].strip().lower()

    def json_object(self):
        """The body as a JSON object; an absent body is an empty one."""
        if not self.body:
            return {}
        if self.content_type() not in JSON_TYPES:
            raise Refusal(415, f"send {JSON_TYPES[0]}")
        try:
            value = json.loads(self.body, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            raise Refusal(400, f"the body is not JSON: {error}") from None
        if not isinstance(value, dict):
            raise Refusal(400, "the body must be a JSON object")
        return value

    def form(self):
        """The fields of a submitted form. A form that stands on another site is refused."""
        if self.content_type() != FORM_TYPE:
            raise Refusal(415, f"send {FORM_TYPE}")
        origin = self.headers.get("Origin")
        if origin and urllib.parse.urlsplit(origin).netloc != self.headers.get("Host"):
            raise Refusal(403, "this form was sent from another site")
        return self._pairs(self.body.decode("utf-8", "replace"))

    @staticmethod
    def _pairs(text):
        try:
            return dict(
                urllib.parse.parse_qsl(
                    text, keep_blank_values=True, max_num_fields=QUERY_MAX_FIELDS
                )
            )
        except ValueError:
            raise Refusal(400, f"more than {QUERY_MAX_FIELDS} fields") from None


def _no_constant(name):
    raise ValueError(f"{name} is no JSON number")


@dataclasses.dataclass
class Response:
    """An answer. Status 0 is none at all: the connection just closes."""

    status: int
    body: bytes = b""
    content_type: str = ""
    headers: dict = dataclasses.field(default_factory=dict)


def json_response(document, status=200, content_type="application/json", headers=None):
    """A document as compact JSON with its keys in the order given."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return Response(status, text.encode(), content_type, headers or {})


def redirect(location):
    """Send a browser on by GET, so that reloading the page does not submit the form again."""
    return Response(303, headers={"Location": location})


def escape(value):
    """Text made safe between tags and in quoted attributes."""
    return html.escape("" if value is None else str(value), quote=True)


def segment(value):
    """Text made safe as one segment of a path."""
    return urllib.parse.quote(str(value), safe="")


def time_html(moment):
    """A stored moment for people: the machine's form stands in the attribute."""
    return f'<time datetime="{escape(moment)}">{escape(moment[:19].replace("T", " "))}</time>'


class RequestLog:
    """The latest requests to the API, oldest first, for the page and for tests."""

    def __init__(self):
        self._entries = collections.deque(maxlen=LOG_MAX_ENTRIES)
        self._lock = threading.Lock()
        self._count = 0

    def add(self, request, body):
        """Writes a request down on arrival; its status is None until it is answered."""
        with self._lock:
            self._count += 1
            entry = {
                "n": self._count,
                "time": now_text(),
                "method": request.method,
                "path": request.target,
                "body": body[:LOG_BODY_MAX_CHARS],
                "status": None,
                "agent": request.headers.get("User-Agent") or "",
            }
            self._entries.append(entry)
        return entry

    def entries(self, after=0):
        """Copies of the entries numbered above `after`."""
        with self._lock:
            return [dict(entry) for entry in self._entries if entry["n"] > after]

    def clear(self):
        """Forgets the entries; numbering goes on."""
        with self._lock:
            self._entries.clear()


class App:
    """Routes, the request log and the look of one service.

    A subclass sets `title`, `stylesheet` and `api` (the path prefixes that are its API: logged,
    and told of errors in JSON), and adds its routes.
    """

    title = ""
    stylesheet = ""
    api = ()

    def __init__(self):
        self.log = RequestLog()
        self._routes = []
        self._style = b"".join(
            (HERE / name).read_bytes() for name in ("webapp.css", self.stylesheet)
        )
        self.route("GET", "/style.css", self._get_style)
        self.route("GET", "/healthz", lambda request: json_response({"status": "ok"}))
        self.route("GET", "/demo/requests", self._get_requests)
        self.route("DELETE", "/demo/requests", self._clear_requests)

    def route(self, method, pattern, function):
        """`{}` in the pattern stands for one segment, which the function gets as an argument."""
        self._routes.append((method, pattern.split("/"), function))

    def handle(self, request):
        """The answer to a request; never raises."""
        entry = self.log.add(request, self.log_body(request)) if self.is_api(request) else None
        try:
            response = self.before(request) or self._dispatch(request)
        except Refusal as refusal:
            response = self._refuse(request, refusal)
        except Exception:  # a bug of ours must not take the connection down with it
            traceback.print_exc()
            response = self._refuse(request, Refusal(500, "this service has a bug"))
        if entry:
            entry["status"] = response.status or None
        return response

    def is_api(self, request):
        """Whether a program asks, not a browser."""
        return request.path.startswith(self.api)

    def before(self, request):
        """For subclasses: an answer given here goes out instead of the route's."""

    def log_body(self, request):
        """For subclasses: what the request log may show of the body."""
        return request.body.decode("utf-8", "replace")

    def api_error(self, refusal):
        """For subclasses: a refusal in the form of this service's API."""
        document = {"error": refusal.message, **refusal.members}
        return json_response(document, refusal.status, headers=refusal.headers)

    def page(self, heading, content, status=200):
        """A whole HTML page around the content given."""
        text = (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<title>{escape(heading)} · {escape(self.title)}</title>\n"
            '<link rel="icon" href="data:,">\n<link rel="stylesheet" href="/style.css">\n'
            '</head>\n<body>\n<a class="skip" href="#main">Skip to content</a>\n'
            f'<header class="bar"><a href="/">{escape(self.title)}</a></header>\n'
            f'<main id="main">\n<h1>{escape(heading)}</h1>\n{content}\n</main>\n</body>\n</html>\n'
        )
        return Response(status, text.encode(), "text/html; charset=utf-8", dict(PAGE_HEADERS))

    def close(self):
        """For subclasses: called once, when the service ends."""

    def _dispatch(self, request):
        segments = request.path.split("/")
        method = "GET" if request.method == "HEAD" else request.method
        allowed = set()
        for route_method, pattern, function in self._routes:
            arguments = _match(pattern, segments)
            if arguments is None:
                continue
            if route_method == method:
                return function(request, *arguments)
            allowed.add(route_method)
        if allowed:
            allow = ", ".join(sorted(allowed))
            raise Refusal(405, f"only {allow} here", headers={"Allow": allow})
        raise Refusal(404, "there is nothing here")

    def _refuse(self, request, refusal):
        if self.is_api(request) or request.path.startswith("/demo/"):
            return self.api_error(refusal)
        back = '<p><a href="/">Back to the start</a></p>'
        message = f'<p class="banner error">{escape(refusal.message)}</p>'
        phrase = http.HTTPStatus(refusal.status).phrase
        response = self.page(phrase, message + back, refusal.status)
        response.headers.update(refusal.headers)
        return response

    def _get_style(self, _request):
        headers = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
        return Response(200, self._style, "text/css; charset=utf-8", headers)

    def _get_requests(self, request):
        after = whole_number(request.query.get("after", "0"), "after", 0, 2**53)
        return json_response(self.log.entries(after))

    def _clear_requests(self, _request):
        self.log.clear()
        return Response(204)


def _match(pattern, segments):
    """The decoded segments under `{}`, or None when the path is another one."""
    if len(pattern) != len(segments):
        return None
    arguments = []
    for wanted, given in zip(pattern, segments):
        if wanted == "{}" and given:
            arguments.append(urllib.parse.unquote(given))
        elif wanted != given:
            return None
    return arguments


def whole_number(value, name, lowest, highest):
    """A whole number between two bounds, from text or JSON; else a Refusal that names it."""
    text = str(value)
    if isinstance(value, bool) or not (text.isascii() and text.isdigit() and len(text) < 17):
        raise Refusal(400, f"{name} must be a whole number")
    if not lowest <= int(text) <= highest:
        raise Refusal(400, f"{name} must be {lowest} to {highest}")
    return int(text)


def items_page(request, items):
    """One page of a list (`limit`, `offset`) with the total, as both APIs answer lists."""
    limit = whole_number(request.query.get("limit", "100"), "limit", 1, 1000)
    offset = whole_number(request.query.get("offset", "0"), "offset", 0, 2**31)
    return json_response({"items": items[offset : offset + limit], "total": len(items)})


def etag(version):
    """The entity tag of a row's version."""
    return f'"v{version}"'


def require_version(request, version):
    """Refuses with 412 when If-Match names another version than the row has now (RFC 9110)."""
    wanted = request.headers.get("If-Match")
    if wanted is None or wanted.strip() == "*":
        return
    if etag(version) not in [tag.strip() for tag in wanted.split(",")]:
        raise Refusal(412, "it was changed in the meantime", headers={"ETag": etag(version)})


class Handler(http.server.BaseHTTPRequestHandler):
    """Reads requests off one connection and writes the App's answers."""

    protocol_version = "HTTP/1.1"
    timeout = IDLE_TIMEOUT_S
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body leave in one write

    def __getattr__(self, name):
        if name.startswith("do_") and name[3:] in METHODS:
            return self._answer
        raise AttributeError(name)

    def _answer(self):
        try:
            body = self._read_body()
            request = Request(self.command, self.path, self.headers, body)
        except Refusal as refusal:
            self.close_connection = True  # what follows may be the unread body
            response = json_response({"error": refusal.message}, refusal.status)
        else:
            response = self.server.app.handle(request)
        self._write(response)

    def _read_body(self):
        if "Transfer-Encoding" in self.headers:
            raise Refusal(411, "send a Content-Length")
        lengths = self.headers.get_all("Content-Length", ["0"])
        if len(lengths) > 1:
            raise Refusal(400, "Content-Length is given twice")
        length = whole_number(lengths[0].strip(), "Content-Length", 0, 2**53)
        if length > BODY_MAX_BYTES:
            raise Refusal(413, f"a body may have {BODY_MAX_BYTES} bytes")
        body = self.rfile.read(length)
        if len(body) < length:
            raise ConnectionError("the client left in the middle of its body")
        return body

    def _write(self, response):
        if response.status == 0:
            self.close_connection = True
            return
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        if response.content_type:
            self.send_header("Content-Type", response.content_type)
        if response.status != 204:
            self.send_header("Content-Length", str(len(response.body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD" and response.status != 204:
            self.wfile.write(response.body)

    def handle_expect_100(self):
        """Says `100 Continue` now: the buffered writer would keep it to itself."""
        proceed = super().handle_expect_100()
        self.wfile.flush()
        return proceed

    def version_string(self):
        """The Server header names the service, not the library."""
        return self.server.app.title.lower().replace(" ", "-")

    def log_message(self, format, *args):
        """Quiet: the request log holds what happened."""


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """One App on one loopback port."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 1024

    def __init__(self, app, port):
        self.app = app
        self._free = threading.BoundedSemaphore(CONNECTIONS_MAX)
        super().__init__(("127.0.0.1", port), Handler)

    def server_bind(self):
        """Binds without asking the name service who we are, which can take seconds."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]

    def process_request(self, request, client_address):
        """A connection beyond the maximum is closed at once."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request, client_address):
        """Serves one connection and gives its place back."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request, client_address):
        """Clients may leave when they like; anything else is a bug worth seeing."""
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            traceback.print_exc()


def serve(app, port):
    """Runs the App until SIGTERM or Ctrl-C, then returns."""

    # Waited for, not handled: an exception out of a handler can be lost in a finalizer.
    ends = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    server = Server(app, port)
    try:
        work = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
        work.start()
        print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
        signal.sigwait(ends)
        server.shutdown()
        work.join()
    finally:
        server.server_close()
        app.close()


def argument_parser(description, database):
    """The options that both services share."""
    parser = argparse.ArgumentParser(description=description.partition("\n")[0])
    parser.add_argument("--port", type=int, default=0, help="on 127.0.0.1; 0 picks a free one")
    parser.add_argument("--db", default=database, help=f"SQLite file (default: {database})")
    return parser
