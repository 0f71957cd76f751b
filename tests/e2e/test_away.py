# SPDX-License-Identifier: Apache-2.0
"""A target that is away: what the source hears, and that its next try is a real one."""

import json

from harness import wait_until


def update(minute):
    return json.dumps({"id": "IDNUMBER1234", "entityType": "USER", "eventType": "UPDATE",
                       "timestamp": f"2020-01-01T00:{minute:02}:00Z"}).encode()


def test_the_same_delivery_is_heard_anew_after_try_again(house):
    body = update(1)
    headers = house.headers(body)
    house.set_email("again@example.com")
    house.stack.commercial.stop()
    status, answer_headers, text = house.post(body, headers)
    assert status == 424 and json.loads(text)["retryable"] is True
    assert int(answer_headers["Retry-After"]) > 0
    house.stack.start_commercial()
    status, _, text = house.post(body, headers)
    assert status == 200 and json.loads(text)["code"] == "updated"
    patches = len(house.patches())
    # Now it is a repeat; the answer is kept a moment after the source has heard it.
    assert wait_until(lambda: house.post(body, headers)[2] == text, 20)
    assert len(house.patches()) == patches


def test_a_target_that_is_away_is_left_alone_then_probed(house):
    house.stack.commercial.stop()
    for minute in range(10, 15):
        status, _, text = house.post(update(minute))
        assert status == 424 and "could not be reached." in json.loads(text)["detail"]
    status, headers, text = house.post(update(15))
    assert status == 424 and "could not be reached lately" in json.loads(text)["detail"]
    assert 1 <= int(headers["Retry-After"]) <= 5
    house.stack.start_commercial()
    assert wait_until(lambda: house.post(update(16))[0] == 200, 20)
