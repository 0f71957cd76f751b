# SPDX-License-Identifier: Apache-2.0
"""The identity service's pages: plain functions from data to HTML."""

import json
import typing
import urllib.parse

from webapp import escape, segment, time_html


class Field(typing.NamedTuple):
    """One field of the form."""

    name: str
    label: str
    kind: str  # of the input
    autocomplete: str


FIELDS = (
    Field("firstName", "First name", "text", "off"),
    Field("lastName", "Last name", "text", "off"),
    Field("email", "E-mail", "email", "off"),
    Field("phone", "Phone", "tel", "off"),
)


def users(rows):
    """The list of users, each leading to its form."""
    lines = "".join(
        f'<tr><th scope="row"><a href="/users/{segment(user["id"])}">'
        f'{escape(user["firstName"])} {escape(user["lastName"])}</a></th>'
        f'<td data-label="E-mail">{escape(user["email"])}</td>'
        f'<td class="whole" data-label="Phone">{escape(user["phone"]) or "–"}</td>'
        f'<td data-label="Id"><code>{escape(user["id"])}</code></td>'
        f'<td data-label="Changed">{time_html(user["lastModified"])}</td></tr>\n'
        for user in rows
    )
    return (
        '<p class="lead">Open a user, change something, press Save: the systems that are connected'
        " hear of it at once, and you see how it went.</p>\n"
        '<table class="cards"><caption class="hidden">Users</caption>\n<thead><tr>'
        '<th scope="col">Name</th><th scope="col">E-mail</th><th scope="col">Phone</th>'
        '<th scope="col">Id</th><th scope="col">Changed</th></tr></thead>\n'
        f"<tbody>\n{lines}</tbody></table>\n"
    )


def user_form(user, values, verdict, has_later):
    """The form of one user with `values` in its fields, and what became of the last Save."""
    beside = verdict.fields if verdict else {}
    inputs = "".join(_input(field, values[field.name], beside.get(field.name)) for field in FIELDS)
    later = (
        '<button class="quiet" name="action" value="later">Save, deliver later</button>'
        if has_later
        else ""
    )
    return (
        f'{_banner(verdict)}<form class="sheet" method="post" novalidate '
        f'action="/users/{segment(user["id"])}">\n{inputs}'
        f'<input type="hidden" name="version" value="{user["version"]}">\n'
        '<p class="buttons"><button name="action" value="save">Save</button>'
        f'{later}<a href="/">All users</a></p>\n'
        f'<p class="fine"><code>{escape(user["id"])}</code>, version {user["version"]}, changed '
        f'{time_html(user["lastModified"])} UTC</p>\n</form>\n'
    )


def _banner(verdict):
    """What happened, read out by screen readers; says where to look when a field is concerned."""
    if not verdict:
        return ""
    labels = {field.name: field.label for field in FIELDS}
    places = [
        f'<a href="#{escape(name)}">{escape(labels[name])}</a>'
        for name in labels
        if name in verdict.fields
    ]
    look = f" See {' and '.join(places)} below." if places else ""
    role = "alert" if verdict.kind == "error" else "status"
    return (
        f'<p class="banner {verdict.kind}" role="{role}" id="banner">'
        f"{escape(verdict.message)}{look}</p>\n"
    )


def _input(field, value, error):
    """A labelled input; an error stands under it and is tied to it."""
    name = escape(field.name)
    tie, message = "", ""
    if error:
        tie = f' aria-invalid="true" aria-describedby="{name}-error"'
        message = f'<p class="field-error" id="{name}-error">{escape(error)}</p>\n'
    return (
        f'<div class="field"><label for="{name}">{escape(field.label)}</label>\n'
        f'<input id="{name}" name="{name}" type="{field.kind}" value="{escape(value)}" '
        f'autocomplete="{field.autocomplete}" spellcheck="false"{tie}>\n{message}</div>\n'
    )


def webhooks(records):
    """The log of webhooks, each one to be unfolded."""
    if not records:
        return '<h2>Webhooks</h2>\n<p class="fine">None was sent yet. Press Save on a user.</p>\n'
    return "<h2>Webhooks</h2>\n" + "".join(_webhook(record) for record in records)


def _webhook(record):
    """One webhook and its answer."""
    sent, answer = record["webhook"], record["answer"]
    status = answer["status"]
    kind = "accepted" if status == 202 else "success" if 200 <= status < 300 else "error"
    path = urllib.parse.urlsplit(sent["url"]).path
    return (
        f'<details class="entry"><summary><span class="status {kind}">{status or "none"}</span> '
        f"<code>POST {escape(path)}</code> <span>{escape(record['user'])}</span> "
        f'<span class="fine">{time_html(record["time"])}, {answer["ms"]} ms</span></summary>\n'
        f"<h3>Sent</h3>\n<pre>{_headers(sent['headers'])}\n\n{escape(sent['body'])}</pre>\n"
        f"<h3>Answer</h3>\n<pre>{_headers(answer['headers'])}\n\n"
        f"{escape(_readable(answer['body']))}</pre>\n</details>\n"
    )


def _headers(headers):
    return escape("\n".join(f"{name}: {value}" for name, value in headers.items()))


def _readable(body):
    """JSON with line breaks; any other text as it is."""
    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return body
