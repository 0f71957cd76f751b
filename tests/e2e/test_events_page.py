# SPDX-License-Identifier: Apache-2.0
"""docs/triggers/api.md: its commands are run in their order, answered as the page says, and do what
it says."""

import json
import os
import pathlib
import re
import subprocess

import pytest

from harness import PATIENCE_S, Scene, ask, wait_until

PAGE = (pathlib.Path(__file__).resolve().parents[2] / "docs" / "triggers" / "api.md").read_text()
TOKEN = "whsec_" + "QUJD" * 11


def blocks(language):
    return [m[1] for m in re.finditer(rf"^```{language}\n(.*?)^```$", PAGE, re.M | re.S)]


class Walk:
    """The page, walked through once."""

    def __init__(self, folder):
        self.scene = Scene(folder)
        [config] = blocks("yaml")
        config = config.replace("https://crm.example.com",
                                f"http://127.0.0.1:{self.scene.target.port}")
        self.daemon = self.scene.start(config, GRAPNEL_TOKEN=TOKEN)
        done = subprocess.run(
            ["sh", "-eu"], input="".join(blocks("sh")), text=True, cwd=self.daemon.folder,
            env={**os.environ, "GRAPNEL_TOKEN": TOKEN,
                 "GRAPNEL_SERVER": f"http://127.0.0.1:{self.daemon.admin}"},
            capture_output=True, check=False, timeout=PATIENCE_S)
        assert (done.returncode, done.stderr) == (0, ""), done
        parts = re.split(r"^(\d{3})$", done.stdout, flags=re.M)
        self.answers = [(int(status), json.loads(body))
                        for body, status in zip(parts[::2], parts[1::2])]


@pytest.fixture(scope="module", name="walk")
def one_walk(tmp_path_factory):
    walk = Walk(tmp_path_factory.mktemp("page"))
    yield walk
    walk.scene.close()


def test_each_command_is_answered_as_the_page_says(walk):
    wanted = [int(status) for status in re.findall(r"# (\d{3})$", "".join(blocks("sh")), re.M)]
    assert [status for status, _ in walk.answers] == wanted and len(wanted) == 10


def test_the_answers_look_as_the_page_shows_them(walk):
    first, refused = map(json.loads, blocks("json"))
    first["events"][0]["id"] = walk.answers[0][1]["events"][0]["id"]
    assert walk.answers[0][1] == first
    assert walk.answers[3][1] == refused


def test_what_was_told_is_done_once(walk):
    told = [one for status, answer in walk.answers if status == 202 for one in answer["events"]]
    again = [one for one in told if not one["isNew"]]
    assert len(told) == 10 and len(again) == 1
    assert again[0]["id"] == told[-2]["id"] and "jobs" not in again[0]
    assert [one["jobs"] for one in told if one["isNew"]].count(0) == 1  # of "left"
    cities = {"C-1": "Turku", "C-2": "Oulu", "C-3": "Vaasa", "C-4": "Espoo", "C-7": "Lahti",
              "C-8": "Kotka", "C-9": "Pori", "C-10": "Salo"}
    assert wait_until(lambda: len(walk.scene.target.seen("PATCH")) >= len(cities), PATIENCE_S)
    seen = walk.scene.target.seen("PATCH")
    assert sorted((one.path, one.json["city"]) for one in seen) == sorted(
        (f"/contacts/{name}", city) for name, city in cities.items())
    listed = ask(walk.daemon.admin, "GET", "/api/v1/events?limit=50",
                 headers={"authorization": f"Bearer {TOKEN}"}).json["events"]
    assert len(listed) == len({one["id"] for one in told})
