# SPDX-License-Identifier: Apache-2.0
"""Who sends: several senders that write down what was acknowledged before they go on."""

import http.client
import threading
import time

DOWN_S = 0.005  # between two tries while nobody listens


class Generator:
    """`request` makes path, headers and body of a number; sender k of n sends k, k + n, k + 2n, and
    so on, so that whatever belongs to one remainder is sent by one sender in its order. With
    `again`, what was not acknowledged is sent again until it is. While `is_ahead`, they pause."""

    def __init__(self, address, request, senders, is_ahead=lambda: False, again=False):
        self.address = address  # a function: the port changes with each life
        self.request, self.senders, self.is_ahead, self.again = request, senders, is_ahead, again
        self.acknowledged = {}  # number -> the answer's body
        self.sent = {}  # number -> how often
        self.refused = []
        self._stopping = False
        self._threads = [threading.Thread(target=self._run, args=(k,)) for k in range(senders)]

    def start(self):
        """They begin."""
        for thread in self._threads:
            thread.start()

    def stop(self):
        """They end with what they are at."""
        self._stopping = True
        for thread in self._threads:
            thread.join()

    def _run(self, number):
        connection = None
        while not self._stopping:
            if self.is_ahead():
                time.sleep(0.01)
                continue
            connection, is_done = self._send(connection, number)
            if is_done or not self.again:
                number += self.senders
        # What was begun is carried through, so that every number is either sent or not.
        while self.again and self.sent.get(number) and number not in self.acknowledged:
            connection, _ = self._send(connection, number)

    def _send(self, connection, number):
        path, headers, body = self.request(number)
        self.sent[number] = self.sent.get(number, 0) + 1
        try:
            connection = connection or http.client.HTTPConnection("127.0.0.1", self.address(),
                                                                  timeout=10)
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            text = answer.read()
            if answer.status == 202:
                self.acknowledged[number] = text
                return connection, True
            if answer.status not in (429, 503):
                self.refused.append((number, answer.status, text))
        except (OSError, http.client.HTTPException):
            if connection:
                connection.close()
            connection = None
        time.sleep(DOWN_S)
        return connection, False
