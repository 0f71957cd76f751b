# SPDX-License-Identifier: Apache-2.0
"""A target that misbehaves as it is told: each listener has one behaviour, a function that is
called with every connection. What it was asked, on which connection, and how many connections are
open stays to be looked at. Nothing here is endless: what sends without end stops when the other
side has gone, or at SENT_MAX_BYTES."""

import dataclasses
import select
import socket
import ssl
import struct
import subprocess
import threading
import time

SENT_MAX_BYTES = 100 * 1024 * 1024
LINGER_MAX_S = 30
REQUEST_MAX_BYTES = 16 * 1024 * 1024


@dataclasses.dataclass
class Request:
    """One request that was read whole."""

    connection: int
    headers: dict  # names in lower case
    body: bytes
    began: float  # monotonic


class Peer:
    """One connection, as its target sees it."""

    def __init__(self, target, connection, number):
        self.target, self.connection, self.number = target, connection, number
        self.sent = 0
        self._stream = connection.makefile("rb")

    def read(self):
        """The next request, or None when there will be none."""
        line = self._stream.readline()
        if not line.endswith(b"\n"):
            return None
        began, headers = time.monotonic(), {}
        while (line := self._stream.readline()) not in (b"\r\n", b""):
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        length = int(headers.get("content-length", 0))
        assert length <= REQUEST_MAX_BYTES
        body = self._stream.read(length)
        if len(body) < length:
            return None
        request = Request(self.number, headers, body, began)
        self.target.requests.append(request)
        return request

    def send(self, data):
        """Sends bytes; an OSError when the other side has gone."""
        self.connection.sendall(data)
        self.sent += len(data)

    def until_gone(self):
        """Waits until the other side hangs up; what it still says is not looked at."""
        end = time.monotonic() + LINGER_MAX_S
        while time.monotonic() < end:
            if select.select([self.connection], [], [], 0.5)[0] and not self.connection.recv(65536):
                return

    def reset(self):
        """The connection ends by RST instead of FIN."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._stream.close()
        self.connection.close()

    def close(self):
        """By whoever is done with it."""
        self._stream.close()
        self.connection.close()


class Rude:
    """A listener on loopback whose connections all meet the same behaviour. With `tls`, a context,
    they begin with a handshake."""

    def __init__(self, act, tls=None, receive_buffer=None, port=0):
        self.act, self.tls = act, tls
        self.requests = []
        self.connections = 0
        self.open = 0
        self.sent_most = 0  # on one connection
        self._peers = set()
        self.lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", port), backlog=64)
        if receive_buffer:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        """Nobody is heard any more, and who is connected hears that."""
        with self.lock:
            leaving = [self._listener, *self._peers]
        for one in leaving:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it has gone before
        self._listener.close()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self.lock:
                self.connections += 1
                self.open += 1
                self._peers.add(connection)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(connection, self.connections),
                             daemon=True).start()

    def _serve(self, connection, number):
        peer, plain = None, connection
        try:
            connection.settimeout(LINGER_MAX_S)
            if self.tls:
                connection = self.tls.wrap_socket(connection, server_side=True,
                                                  do_handshake_on_connect=False)
                shake_hands(connection)
            peer = Peer(self, connection, number)
            self.act(peer)
        except OSError:
            pass  # the other side has gone, as it should
        finally:
            if peer:
                peer.close()
            else:
                connection.close()
            with self.lock:
                self.open -= 1
                self._peers.discard(plain)
                self.sent_most = max(self.sent_most, peer.sent if peer else 0)


def shake_hands(connection):
    """When that fails, what the other side has sent already is read before the connection ends: a
    reset would take away our reason, which is on its way."""
    try:
        connection.do_handshake()
    except ssl.SSLError:
        while socket.socket.recv(connection, 65536):
            pass
        raise


# ---- behaviours ----


def answers(data):
    """Every request is answered so, whatever that is; the connection stays open. A function is
    asked, with the peer, for each answer."""

    def act(peer):
        while peer.read():
            peer.send(data(peer) if callable(data) else data)

    return act


def answers_and_waits(data):
    """A request is answered so, and then nothing more happens."""

    def act(peer):
        if peer.read():
            peer.send(data)
            peer.until_gone()

    return act


def answers_and_hangs_up(data):
    """A request is answered so, and the connection closed."""

    def act(peer):
        if peer.read():
            peer.send(data)

    return act


def answers_and_resets(data):
    """A request is answered so, and the connection reset once the other side can have read it."""

    def act(peer):
        if peer.read():
            peer.send(data)
            # A reset throws away what was not read yet, also at the other side.
            peer.connection.shutdown(socket.SHUT_WR)
            time.sleep(0.05)
            peer.reset()

    return act


def sends_on(head, more):
    """After the head, `more` again and again."""

    def act(peer):
        if not peer.read():
            return
        peer.send(head)
        while peer.sent < SENT_MAX_BYTES:
            peer.send(more)

    return act


def drips(data):
    """A byte at a time, one a tenth of a second."""

    def act(peer):
        if not peer.read():
            return
        for i in range(len(data)):
            peer.send(data[i:i + 1])
            time.sleep(0.1)

    return act


def resets_at_accept(peer):
    """A connection is reset before anything was read."""
    peer.reset()


def resets_after_request(peer):
    """The request is read, and the connection reset."""
    if peer.read():
        peer.reset()


def says_nothing(peer):
    """The request is read, and that is all."""
    peer.read()
    peer.until_gone()


def reads_slowly(peer):
    """A byte a tenth of a second, for longer than anybody waits; then what is left of it."""
    for _ in range(10):
        peer.connection.recv(1)
        time.sleep(0.1)
    peer.until_gone()


def never_shakes_hands(peer):
    """For a client that wants TLS: it hears nothing at all."""
    peer.until_gone()


def speaks_clear_text(peer):
    """To a client that wants TLS."""
    peer.connection.recv(65536)
    peer.send(OK)


def old_protocol_alert(peer):
    """What a server says that knows no TLS above 1.1: a fatal alert, protocol_version."""
    peer.connection.recv(65536)
    peer.send(b"\x15\x03\x02\x00\x02\x02\x46")


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


def closes_as_it_is_asked_again(peer):
    """The second request on a connection is read, and the connection closed without a word."""
    if peer.read():
        peer.send(OK)
        peer.read()


# ---- certificates ----

CA_CONFIG = """
[req]
distinguished_name = subject
[subject]
[ca]
default_ca = one
[one]
database = index.txt
new_certs_dir = .
serial = serial
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
[root]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,digitalSignature
[leaf]
basicConstraints = CA:FALSE
subjectAltName = {name}
"""


class Certificates:
    """Keys, a certificate authority and what it has signed, made by openssl in a folder."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "index.txt").write_text("")
        (folder / "serial").write_text("01\n")
        self.authority("ca")
        self.authority("stranger")

    def _openssl(self, *arguments):
        subprocess.run(["openssl", *map(str, arguments)], cwd=self.folder, check=True,
                       capture_output=True)

    def authority(self, name):
        """A certificate that signs itself and others."""
        (self.folder / "ca.cnf").write_text(CA_CONFIG.format(name="IP:127.0.0.1"))
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                      "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj",
                      f"/CN={name}", "-days", "30", "-config", "ca.cnf", "-extensions", "root")

    def leaf(self, name, host="IP:127.0.0.1", since="20200101000000Z", until="20400101000000Z",
             authority="ca", key=("ec", "-pkeyopt", "ec_paramgen_curve:P-256")):
        """A server's certificate; the context of a server that shows it."""
        (self.folder / "ca.cnf").write_text(CA_CONFIG.format(name=host))
        self._openssl("req", "-newkey", *key, "-nodes", "-keyout", f"{name}.key", "-out",
                      f"{name}.csr", "-subj", f"/CN={name}", "-config", "ca.cnf")
        self._openssl("ca", "-batch", "-notext", "-config", "ca.cnf", "-extensions", "leaf", "-in",
                      f"{name}.csr", "-out", f"{name}.pem", "-cert", f"{authority}.pem", "-keyfile",
                      f"{authority}.key", "-startdate", since, "-enddate", until)
        return self.context(name)

    def context(self, name):
        """Of a server that shows this certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.load_cert_chain(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        return context

    def pem(self, name="ca"):
        """A certificate's text."""
        return (self.folder / f"{name}.pem").read_text()
