/* SPDX-License-Identifier: Apache-2.0
 *
 * A target's complaint, read and traced back to the source's field: tests/cases/flow. */
#include "case_file.h"
#include "flow/complaint.h"
#include "flow/run.h"
#include "flow/runner.h"
#include "json/value.h"

static const char *cases;

typedef struct Case {
        Buf mapping, roots, sent, said, wanted;
} Case;

static void take(Buf *into, const CaseFile *f, bool adds) {
        if (!adds)
                buf_clear(into);
        else if (into->n)
                assert_int_equal(buf_add_char(into, '\n'), 0);
        assert_int_equal(buf_add(into, buf_span(&f->value)), 0);
}

/* "message" and a line "pointer | field | detail" for each error. */
static void print(const Outcome *o, Buf *out) {
        assert_int_equal(buf_add(out, o->message), 0);
        for (size_t i = 0; i < o->n_errors; i++)
                assert_int_equal(buf_addf(out, "\n" SPAN_FMT " | " SPAN_FMT " | " SPAN_FMT,
                                          SPAN_ARG(o->errors[i].pointer),
                                          SPAN_ARG(o->errors[i].field),
                                          SPAN_ARG(o->errors[i].detail)),
                                 0);
}

static void check(const CaseFile *f, const Case *c) {
        ProgramSet *set = program_set_new();
        Program *mapping = NULL;
        Target crm = {0}, id = {0};
        Step steps[STEPS_MAX] = {0};
        MapRoot roots[STEPS_MAX];
        StepList list = {steps, 0};
        Run run = {.arena = arena_new(1 << 20)};
        Walk walk = {.run = &run, .list = &list, .roots = roots};
        Act act = {.run = &run, .walk = &walk};
        AUTO(buf_done)
        Buf got = BUF(1 << 16);
        Outcome o = {.retry_after_s = -1};
        Span key, value;
        Err e = {0};

        act.call.body = buf_span(&c->sent);
        for (size_t pos = 0; json_next(buf_span(&c->roots), &pos, &key, &value); list.n++) {
                roots[list.n] = (MapRoot){key, value};
                steps[list.n].name = key;
                if (span_eq(key, SPAN("user")) || span_eq(key, SPAN("contact")))
                        steps[list.n].target = span_eq(key, SPAN("user")) ? &id : &crm;
        }
        act.index = list.n;
        assert_int_equal(program_add(set, buf_span(&c->mapping), &mapping, &e), 0);
        complaint_read(&act, buf_span(&c->said), mapping, &crm, &o);
        print(&o, &got);
        if (!span_eq(buf_span(&got), buf_span(&c->wanted)))
                fail_msg("%s:%u: " SPAN_FMT "\nis read as\n" SPAN_FMT, f->name, f->line,
                         SPAN_ARG(buf_span(&c->said)), SPAN_ARG(buf_span(&got)));
        arena_free(run.arena);
        program_set_unref(set);
}

static void complaints_are_read_and_traced_back(void **state) {
        Case c = {BUF(1 << 16), BUF(1 << 16), BUF(1 << 16), BUF(1 << 16), BUF(1 << 16)};
        char folder[2048];
        size_t n = 0;

        (void)state;
        (void)snprintf(folder, sizeof folder, "%s/flow", cases);
        CaseFile f = case_open(folder, "complaint.case");
        for (bool more = true; more;) {
                more = case_next(&f);
                if (!more || !f.key[0]) {
                        if (c.said.n) {
                                check(&f, &c);
                                n++;
                        }
                        buf_clear(&c.said);
                        buf_clear(&c.wanted);
                } else if (strcmp(f.key, "mapping") == 0)
                        take(&c.mapping, &f, false);
                else if (strcmp(f.key, "roots") == 0)
                        take(&c.roots, &f, false);
                else if (strcmp(f.key, "sent") == 0)
                        take(&c.sent, &f, false);
                else if (strcmp(f.key, "said") == 0)
                        take(&c.said, &f, false);
                else if (strcmp(f.key, "message") == 0)
                        take(&c.wanted, &f, false);
                else if (strcmp(f.key, "error") == 0) {
                        assert_int_equal(buf_add_char(&c.wanted, '\n'), 0);
                        assert_int_equal(buf_add(&c.wanted, buf_span(&f.value)), 0);
                } else
                        fail_msg("%s:%u: unknown key %s", f.name, f.line, f.key);
        }
        case_close(&f);
        assert_true(n > 20);
        buf_done(&c.mapping);
        buf_done(&c.roots);
        buf_done(&c.sent);
        buf_done(&c.said);
        buf_done(&c.wanted);
}

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(complaints_are_read_and_traced_back),
        };

        must(argc > 1);
        cases = argv[1];
        return cmocka_run_group_tests(tests, NULL, NULL);
}
