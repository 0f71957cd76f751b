/* SPDX-License-Identifier: Apache-2.0
 *
 * What checking and finding cost, in ns per KiB, on bodies like those of real webhooks. With an
 * argument: on that file instead. Compare runs of one machine only. */
#include "base/buf.h"
#include "base/clock.h"
#include "json/check.h"
#include "json/value.h"

enum { RUN_MS = 300, BODY_BYTES = 1 << 14 };

typedef size_t Work(Span text);

static size_t check(Span text) {
        JsonFault fault = {0};

        must(json_check(text, JSON_KEYS_MAX, &fault) == 0);
        return fault.offset;
}

/* The last member of a flat object is the dearest one to ask for; none is dearer still. */
static size_t find(Span text) {
        return json_member(text, SPAN("no such member")).n;
}

static void report(const char *body, const char *what, Span text, Work *work) {
        int64_t start = clock_mono_us(), passed = 0;
        volatile size_t sum = 0;
        uint64_t runs = 0;

        for (; passed < RUN_MS * 1000; passed = clock_mono_us() - start)
                for (int i = 0; i < 64; i++, runs++)
                        sum = sum + work(text);
        printf("%-12s %-6s %8.0f ns/KiB   (%zu bytes)\n", body, what,
               (double)passed * 1000 * 1024 / (double)runs / (double)text.n, text.n);
}

static void measure(const char *name, Span text) {
        report(name, "check", text, check);
        report(name, "find", text, find);
}

/* Repeats a member until the body is large enough. */
static void measure_made(const char *name, const char *member) {
        AUTO(buf_done)
        Buf body = BUF(BODY_BYTES * 2);

        for (size_t i = 0; body.n < BODY_BYTES; i++)
                must(buf_addf(&body, "%s\"member%zu\":%s", i ? "," : "{", i, member) == 0);
        must(buf_add_char(&body, '}') == 0);
        measure(name, buf_span(&body));
}

static void measure_file(const char *path) {
        FILE *in = fopen(path, "rb");
        AUTO(buf_done)
        Buf body = BUF(64 << 20);
        char *room = NULL;

        must(in);
        do
                must(buf_room(&body, 1 << 16, &room) == 0);
        while (body.n += fread(room, 1, 1 << 16, in), !feof(in));
        (void)fclose(in);
        measure("file", buf_span(&body));
}

int main(int argc, char **argv) {
        if (argc > 1) {
                measure_file(argv[1]);
                return 0;
        }
        measure("brief", SPAN("{\"id\":\"IDNUMBER1234\",\"entityType\":\"USER\",\"eventType\":"
                              "\"UPDATE\",\"timestamp\":\"2019-01-01T00:00:00Z\"}"));
        measure_made("mixed", "{\"id\": 4711, \"name\": \"Ada Lovelace\", \"mail\": "
                              "\"ada@example.com\", \"tags\": [\"a\", \"b\"], \"active\": true, "
                              "\"note\": \"wrote the first program\\nfor a machine\"}");
        measure_made("numbers", "[0,1,-2,3.25,4e5,123456789,0.000001]");
        measure_made("long text",
                     "\"Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do "
                     "eiusmod tempor incididunt ut labore et dolore magna aliqua.\"");
        measure_made("accents",
                     "\"\xc3\xa4\xc3\xb6\xc3\xbc \xe2\x82\xac \xd0\x9f\xd1\x80\xd0\xb8\"");
        return 0;
}
