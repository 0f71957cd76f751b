# SPDX-License-Identifier: Apache-2.0
"""The commercial service's page: plain functions from data to HTML."""

from webapp import escape, time_html


def contacts(rows):
    """The list of contacts, with when and by what each last changed."""
    lines = "".join(
        f'<tr><th scope="row">{escape(contact["name"])}</th>'
        f'<td data-label="E-mail">{escape(contact["email"])}</td>'
        f'<td class="whole" data-label="Phone">{escape(contact["phone"]) or "–"}</td>'
        f'<td data-label="External id"><code>{escape(contact["external_id"]) or "–"}</code></td>'
        f'<td data-label="Changed">{time_html(contact["updated_at"])}<br>'
        f'<span class="fine">by {escape(contact["updated_by"])}, version '
        f'{contact["version"]}</span></td></tr>\n'
        for contact in rows
    )
    return (
        '<p class="lead">The customers of a shop. Those with an external id belong to a user of '
        "the identity service and are kept up to date from there.</p>\n"
        '<table class="cards"><caption class="hidden">Contacts</caption>\n<thead><tr>'
        '<th scope="col">Name</th><th scope="col">E-mail</th><th scope="col">Phone</th>'
        '<th scope="col">External id</th><th scope="col">Changed</th></tr></thead>\n'
        f"<tbody>\n{lines}</tbody></table>\n"
    )


def fault(mode, milliseconds):
    """Says that the API misbehaves on request."""
    if mode == "none":
        return ""
    return (
        f'<p class="banner error" role="status">The API misbehaves on request: '
        f"<code>{escape(mode)}</code>, {milliseconds} ms.</p>\n"
    )


def requests(entries):
    """The latest requests to the API, newest first, each one to be unfolded."""
    if not entries:
        return '<h2>Requests</h2>\n<p class="fine">Nobody has called the API yet.</p>\n'
    return "<h2>Requests</h2>\n" + "".join(_request(entry) for entry in entries)


def _request(entry):
    status = entry["status"]
    kind = "success" if status and status < 300 else "error"
    summary = (
        f'<span class="status {kind}">{status or "none"}</span> '
        f'<code>{escape(entry["method"])} {escape(entry["path"])}</code> '
        f'<span class="fine">{time_html(entry["time"])} {escape(entry["agent"])}</span>'
    )
    if not entry["body"]:
        return f'<p class="entry">{summary}</p>\n'
    return (
        f'<details class="entry"><summary>{summary}</summary>\n'
        f'<pre>{escape(entry["body"])}</pre>\n</details>\n'
    )
