/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/api.h"
#include "cli/table.h"
#include "json/check.h"

#include <unistd.h>

enum { PAYLOAD_MAX_BYTES = 8 * 1024 * 1024, CHANNELS_MAX = 5 };

/* The payload: the third word, or standard input. */
static int read_payload(const CommandLine *l, Buf *ret) {
        char chunk[65536];
        ssize_t n;

        if (l->n_words > 2 && strcmp(l->words[2], "-") != 0)
                return buf_add(ret, span_of(l->words[2]));
        if (l->n_words < 3 && isatty(STDIN_FILENO))
                return line_wrong(l, "no payload: give it as the third argument, or on standard "
                                     "input");
        while ((n = read(STDIN_FILENO, chunk, sizeof chunk)) > 0)
                if (buf_add(ret, (Span){chunk, (size_t)n}) < 0)
                        return line_wrong(l, "the payload is larger than %d bytes",
                                          PAYLOAD_MAX_BYTES);
        return 0;
}

static int add_text(Buf *b, const char *member, const char *text) {
        int r = text ? buf_addf(b, ",\"%s\":", member) : 0;

        return r == 0 && text ? buf_add_json(b, span_of(text)) : r;
}

static int add_channels(const CommandLine *l, Buf *b) {
        int r = line_option(l, "channel") ? buf_add(b, SPAN(",\"channels\":[")) : 0;

        if (!line_option(l, "channel"))
                return 0;
        for (int i = 0; r == 0 && line_nth(l, "channel", i); i++) {
                r = i ? buf_add_char(b, ',') : 0;
                if (r == 0)
                        r = buf_add_json(b, span_of(line_nth(l, "channel", i)));
        }
        return r == 0 ? buf_add_char(b, ']') : r;
}

static int make_body(const CommandLine *l, Span payload, Buf *b) {
        int r = buf_add(b, SPAN("{\"eventType\":"));

        if (r == 0)
                r = buf_add_json(b, span_of(l->words[1]));
        if (r == 0)
                r = add_text(b, "eventId", line_option(l, "id"));
        if (r == 0)
                r = add_text(b, "subject", line_option(l, "subject"));
        if (r == 0)
                r = add_text(b, "deliverAt", line_option(l, "at"));
        if (r == 0)
                r = add_channels(l, b);
        if (r == 0)
                r = buf_add(b, SPAN(",\"payload\":"));
        /* Its bytes are sent as they are. */
        if (r == 0)
                r = buf_add(b, payload);
        return r == 0 ? buf_add_char(b, '}') : r;
}

static void show(const CommandLine *l, const ApiAnswer *a) {
        json_t *j = api_json(a);
        const json_t *delivered = json_object_get(j, "delivered");

        if (line_option(l, "json"))
                printf(SPAN_FMT "\n", SPAN_ARG(buf_span(&a->body)));
        else
                printf("%s %s%s\n", api_text(j, "id"), api_text(j, "eventType"),
                       json_is_true(delivered)    ? ": delivered"
                       : json_is_false(delivered) ? ": not delivered to all yet"
                                                  : ": accepted");
        json_decref(j);
}

static int run(const CommandLine *l) {
        AUTO(buf_done)
        Buf payload = BUF(PAYLOAD_MAX_BYTES), body = BUF(PAYLOAD_MAX_BYTES + 65536),
            path = BUF(4096);
        const char *wait = line_option(l, "wait");
        uint64_t wait_ms = 0;
        JsonFault fault;
        ApiAnswer a;
        int r = read_payload(l, &payload);

        if (r != 0)
                return r > 0 ? r : 1;
        if (wait && !span_to_u64(span_of(wait), 60000, &wait_ms))
                return line_wrong(l, "--wait is a number of milliseconds up to 60000");
        if (json_check(buf_span(&payload), JSON_KEYS_MAX, &fault) < 0)
                return line_wrong(l, "the payload is no JSON: %s at byte %zu", fault.why,
                                  fault.offset);
        if (make_body(l, buf_span(&payload), &body) < 0 || buf_add(&path, SPAN("/app")) < 0 ||
            api_segment(&path, l->words[0]) < 0 ||
            buf_addf(&path, "/msg?wait=%" PRIu64 "%c", wait_ms, 0) < 0)
                return line_wrong(l, "the message is too large");
        if (!wait)
                path.p[span_find(buf_span(&path), '?')] = 0;
        r = api_call(l, "POST", path.p, buf_span(&body), &a);
        if (r != 0)
                return r;
        show(l, &a);
        api_done(&a);
        return 0;
}

const Command command_emit = {
        .name = "emit",
        .arguments = "APP TYPE [PAYLOAD]",
        .help = "Send a message to an application's endpoints.",
        .more = "APP is the application's id or uid, TYPE the event type's name, PAYLOAD a JSON\n"
                "text; without it, or with -, the payload is read from standard input. It goes\n"
                "to the receivers byte for byte.\n" API_HELP,
        .words_min = 2,
        .words_max = 3,
        .options = {{"id", "ID", "eventId: sent twice, it is one message", false},
                    {"channel", "NAME", "only endpoints of the channel; several may be given",
                     true},
                    {"subject", "TEXT", "which entity it is about, for endpoints in order", false},
                    {"at", "TIME", "deliver then (RFC 3339), not before", false},
                    {"wait", "MS", "wait for the deliveries, so long at most", false},
                    API_OPTION_SERVER,
                    API_OPTION_JSON},
        .run = run,
};
