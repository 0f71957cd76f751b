# SPDX-License-Identifier: Apache-2.0
"""Calls of the API that the programs of this folder make."""

import json
import urllib.request

JSON = {"content-type": "application/json"}
NDJSON = {"content-type": "application/x-ndjson"}


def call(daemon, method, path, body=None, headers=None):
    """One call; the document that comes back. `body` may be bytes already."""
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
    asked = urllib.request.Request(f"http://127.0.0.1:{daemon.admin}/api/v1{path}", body,
                                   headers or JSON, method=method)
    with urllib.request.urlopen(asked, timeout=60) as answer:
        return json.load(answer)


def metric(daemon, name):
    """One figure of the daemon's metrics."""
    with urllib.request.urlopen(f"http://127.0.0.1:{daemon.admin}/metrics", timeout=60) as answer:
        for line in answer.read().decode().splitlines():
            if line.startswith(name + " "):
                return int(line.split()[1])
    raise SystemExit(f"no metric {name}")
