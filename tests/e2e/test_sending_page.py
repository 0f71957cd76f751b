# SPDX-License-Identifier: Apache-2.0
"""The page for people who send (docs/sending.md): its commands are run from the first to the last,
answered as the page says, and do what it says."""

import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest

from harness import GRAPNEL, PATIENCE_S, Reply, Scene, ask, wait_until

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "sending.md").read_text()
LIBRARIES = ROOT / "tests" / "interop"
TOKEN = "whsec_" + "QUJD" * 11
RECEIVER = "http://127.0.0.1:3000"
MARK = "@@ "


def blocks(language):
    """(line, text) of each block of the page in that language."""
    found = re.finditer(rf"^```{language}\n(.*?)^```$", PAGE, re.M | re.S)
    return [(PAGE.count("\n", 0, m.start()) + 2, m[1]) for m in found]


def answers(text):
    """(status, document) of each answer in what a block has printed."""
    parts = re.split(r"^(\d{3})$", text, flags=re.M)
    return [(int(status), json.loads(body) if body.strip() else None)
            for body, status in zip(parts[::2], parts[1::2])]


class Walk:
    """The page, walked through once."""

    def __init__(self, folder):
        self.scene = Scene(folder)
        self.target = self.scene.target
        self.target.act = self.receive
        (_, config), *_ = blocks("yaml")
        config = re.sub(r"^(listen|admin):.*$", r"\1: 127.0.0.1:0", config, flags=re.M)
        self.daemon = self.scene.start(config, GRAPNEL_TOKEN=TOKEN)
        binary = pathlib.Path(GRAPNEL)
        assert binary.name == "grapnel"
        self.environment = {**os.environ, "PATH": f"{binary.parent}:{os.environ['PATH']}",
                            "GRAPNEL_TOKEN": TOKEN,
                            "GRAPNEL_SERVER": f"http://127.0.0.1:{self.daemon.admin}"}
        self.printed = self.run("".join(f"echo '{MARK}{line}'\n{text}"
                                        for line, text in blocks("sh")))
        self.answers = {int(line): answers(text) for line, text in
                        re.findall(rf"^{MARK}(\d+)\n(.*?)(?=^{MARK}|\Z)", self.printed,
                                   re.M | re.S)}

    def receive(self, request):
        """The receivers of the page; one of them is away for two messages."""
        if request.path == "/away" and len(self.target.seen(path="/away")) <= 2:
            return Reply(503)
        return Reply(204)

    def run(self, script):
        """What a shell prints for it."""
        script = script.replace(RECEIVER, f"http://127.0.0.1:{self.target.port}")
        done = subprocess.run(["sh", "-eu"], input=script, env=self.environment, text=True,
                              cwd=self.daemon.folder, capture_output=True, check=False,
                              timeout=6 * PATIENCE_S)
        assert (done.returncode, done.stderr) == (0, ""), done
        return done.stdout

    def api(self, path):
        """A document."""
        answer = ask(self.daemon.admin, "GET", f"/api/v1{path}",
                     headers={"authorization": f"Bearer {TOKEN}"})
        assert answer.status == 200, answer
        return answer.json

    def answer_to(self, words):
        """The document of the only command that holds these."""
        for line, text in blocks("sh"):
            commands = re.split(r"(?<=# \d{3})\n", text)
            for command, (_, document) in zip(commands, self.answers[line]):
                if words in command:
                    return document
        raise AssertionError(f"the page has no command with {words}")

    def ids(self, path):
        """Of the messages that a receiver has got, in order, each once."""
        return list(dict.fromkeys(one.headers["webhook-id"] for one in self.target.seen(path=path)))

    def id(self, event_id):
        """Of the message with this name."""
        return self.api(f"/app/acme/msg/{event_id}")["id"]


@pytest.fixture(scope="module", name="walk")
def one_walk(tmp_path_factory):
    walk = Walk(tmp_path_factory.mktemp("page"))
    yield walk
    walk.scene.close()


@pytest.mark.parametrize("line, text", [pytest.param(*one, id=f"line-{one[0]}")
                                        for one in blocks("sh")])
def test_each_command_is_answered_as_the_page_says(walk, line, text):
    wanted = [int(status) for status in re.findall(r"# (\d{3})$", text, re.M)]
    assert [status for status, _ in walk.answers[line]] == wanted
    assert len(wanted) == len(re.findall(r"^(?:api|again|curl) ", text, re.M))


def test_the_page_has_commands():
    assert len(re.findall(r"# \d{3}$", PAGE, re.M)) >= 40


def test_the_first_message_arrives_as_it_was_written(walk):
    first = walk.target.seen(path="/hook")[0]
    assert first.body == b'{"order": 1, "total": 12.50}'
    assert first.headers["webhook-id"] == walk.id("order-1-paid")
    assert re.search(r"^msg_\w+ order\.paid: delivered$", walk.printed, re.M)
    assert re.search(r"^ep_\w+ +hook +enabled ", walk.printed, re.M)
    assert walk.answer_to('"eventId": "order-1-paid"')["delivered"] is True


def test_types_channels_and_filters_choose(walk):
    order, user = walk.id("order-4-paid"), walk.id("user-1")
    for path in ("/hook", "/orders", "/eu", "/large"):
        assert order in walk.ids(path)
    assert user in walk.ids("/hook")
    assert walk.ids("/eu") == walk.ids("/large") == [order]
    assert user not in walk.ids("/orders") and walk.id("order-6-paid") in walk.ids("/orders")


def test_what_was_sent_twice_is_one_message(walk):
    listed = walk.api("/app/acme/msg?limit=250")["data"]
    assert [one["payload"] for one in listed if one["payload"].get("order") == 5] == [
        {"order": 5, "total": 1}]
    line = next(line for line, text in blocks("sh") if "again()" in text)
    _, (_, first), (_, second), _ = walk.answers[line]
    assert first["id"] == second["id"]


def test_each_of_a_batch_has_its_own_result(walk):
    batch = walk.answer_to("/msg/batch")
    assert [one["status"] for one in batch["data"]] == [202, 422]
    waiting, = [one for one in walk.api("/app/acme/msg/order-1-due/endpoint")["data"]
                if one["uid"] == "hook"]
    assert waiting["statusText"] == "pending"
    assert walk.id("order-1-due") not in walk.ids("/")
    assert walk.target.seen(path="/ordered")[0].json == {"shelf": 1, "count": 3}


def test_what_failed_goes_once_more(walk):
    refunds = [walk.id("refund-1"), walk.id("refund-2")]
    assert walk.answer_to('"eventId": "refund-1"')["delivered"] is False
    assert wait_until(lambda: len(walk.target.seen(path="/away")) == 4, PATIENCE_S)
    tries = [one.headers["webhook-id"] for one in walk.target.seen(path="/away")]
    assert sorted(tries) == sorted(2 * refunds)
    # It was made after the first messages.
    assert wait_until(lambda: walk.id("order-1-paid") in walk.ids("/orders"), PATIENCE_S)
    assert walk.answer_to('"dryRun": true')["total"] > 0
    assert re.search(r"^done: [1-9]\d* .*deliveries$", walk.printed, re.M)


def test_an_endpoint_gets_what_it_asks_for(walk):
    request, = walk.target.seen(path="/chat")
    assert request.json == {"text": "Shelf 1 is empty"}
    assert request.headers["x-team"] == "stock"
    assert request.headers["authorization"] == "Bearer a-token-of-theirs"
    shown = walk.api("/app/acme/endpoint/chat")
    assert (shown["timeout"], shown["retry"], shown["auth"]) == (
        5000, [10, 60, 600], {"bearer": None})


def test_both_secrets_sign_after_the_rotation(walk):
    last = [one for one in walk.target.seen(path="/hook")
            if one.headers["webhook-id"] == walk.id("order-7-paid")][0]
    assert len(last.headers["webhook-signature"].split()) == 2
    first = walk.target.seen(path="/hook")[0]
    assert len(first.headers["webhook-signature"].split()) == 1


def test_a_payload_is_forgotten(walk):
    assert walk.api("/app/acme/msg/user-1")["payload"] == {"expired": True}


def test_the_clients_example_runs(walk):
    if not shutil.which("node") or not (LIBRARIES / "node_modules" / "svix").exists():
        pytest.skip("svix for Node.js is not there: make interop installs it")
    (_, script), = blocks("js")
    done = subprocess.run(["node", "--input-type=module", "-"], input=script, text=True,
                          cwd=LIBRARIES, env=walk.environment, capture_output=True, check=False,
                          timeout=3 * PATIENCE_S)
    assert (done.returncode, done.stderr) == (0, ""), done
    assert re.fullmatch(r"msg_\w+ \d+\n", done.stdout)
    message = walk.id("order-3-paid")
    assert wait_until(lambda: message in walk.ids("/hook"), PATIENCE_S)


def test_operators_hear_of_what_is_disabled(walk):
    """The last one: it ends the page's first endpoint."""
    walk.target.act = lambda request: Reply(410 if request.path == "/hook" else 204)
    walk.run("grapnel emit acme user.created '{}' || true\n")
    assert wait_until(lambda: walk.target.seen(path="/operational"), PATIENCE_S)
    told = walk.target.seen(path="/operational")[-1].json
    assert told["type"] == "endpoint.disabled" and told["data"]["trigger"] == "gone"
    assert walk.daemon.facts("endpoint.disabled")
    shown = walk.api("/app/acme/endpoint/hook")
    assert (shown["disabled"], shown["disabledReason"]) == (True, "gone")
