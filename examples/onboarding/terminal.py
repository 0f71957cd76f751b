# SPDX-License-Identifier: Apache-2.0
"""The walk-through on paper: titles, labelled lines and checks, in colour on a terminal only."""

import json
import os
import shutil
import sys
import textwrap

WIDTH_MAX = 100
LABEL_WIDTH = 13
MARGIN = 2
COLOURS = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


class Screen:
    """Writes to one stream, never wider than it is."""

    def __init__(self, stream=sys.stdout):
        self._stream = stream
        is_terminal = stream.isatty()
        self._is_coloured = is_terminal and "NO_COLOR" not in os.environ
        columns = shutil.get_terminal_size((WIDTH_MAX, 24)).columns if is_terminal else WIDTH_MAX
        self._width = max(60, min(WIDTH_MAX, columns))
        is_unicode = (stream.encoding or "").lower().replace("-", "") == "utf8"
        self._good, self._bad, self._rule = ("✓", "✗", "─") if is_unicode else ("ok", "NO", "-")

    def _paint(self, text, *colours):
        if not self._is_coloured or not colours:
            return text
        codes = ";".join(COLOURS[colour] for colour in colours)
        return f"\x1b[{codes}m{text}\x1b[0m"

    def line(self, text="", *colours):
        """One line, as it is."""
        print(self._paint(text, *colours).rstrip(), file=self._stream, flush=True)

    def title(self, number, text):
        """A rule with the case's number and name in it."""
        head = f"{self._rule * 2} {number}. {text} "
        self.line()
        self.line(head + self._rule * (self._width - len(head)), "bold")

    def story(self, text):
        """A paragraph."""
        self.line()
        indent = " " * MARGIN
        for line in textwrap.wrap(text, self._width, initial_indent=indent,
                                  subsequent_indent=indent):
            self.line(line)

    def block(self, label, lines):
        """Lines under one label. A line is text, or a pair of text and colour."""
        self.line()
        for line in lines:
            text, *colours = (line,) if isinstance(line, str) else line
            for part in self._wrap(text):
                self.line(
                    " " * MARGIN
                    + self._paint(label.ljust(LABEL_WIDTH), "cyan")
                    + self._paint(part, *colours)
                )
                label = ""

    def _wrap(self, text):
        """Text cut to the width; the rest of a long line hangs in by two."""
        width = self._width - MARGIN - LABEL_WIDTH
        wrapped = []
        for line in text.split("\n"):
            depth = len(line) - len(line.lstrip())
            parts = textwrap.wrap(
                line,
                width,
                subsequent_indent=" " * (depth + 2),
                drop_whitespace=False,
                break_on_hyphens=False,
            )
            wrapped += parts or [""]
        return wrapped

    def body(self, text):
        """A body as it was sent, or with line breaks where it is JSON too long for one line."""
        if len(text) <= self._width - MARGIN - LABEL_WIDTH:
            return text
        try:
            return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
        except ValueError:
            return text

    def table(self, rows):
        """Rows of text as lines with straight columns; the last column is free."""
        columns = list(zip(*rows))
        widths = [max(len(cell) for cell in column) for column in columns[:-1]]
        return [
            "  ".join([cell.ljust(width) for cell, width in zip(row, widths)] + [row[-1]])
            for row in rows
        ]

    def check(self, is_good, text, found=""):
        """One verified claim; `found` tells what was there instead."""
        look = (self._good, "green") if is_good else (self._bad, "red", "bold")
        mark = self._paint(*look)
        first, *more = textwrap.wrap(text, self._width - MARGIN - len(look[0]) - 1)
        self.line(f"{' ' * MARGIN}{mark} {first}")
        for part in more:
            self.line(" " * (MARGIN + len(look[0]) + 1) + part)
        if not is_good and found:
            for part in self._wrap(f"found: {found}"):
                self.line(" " * (MARGIN + 4) + part)

    def verdict(self, is_good, text):
        """The line that ends a case, or the whole."""
        self.line(text, "bold", "green" if is_good else "red")
