/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/change.h"

#include "json/diff.h"
#include "json/value.h"

int change_prepare(Build *b, Change *c) {
        Program *p = NULL;
        int r = build_program(b, &c->body, &p);

        c->program = p;
        return r;
}

static void on_sent(Act *a, const ClientAnswer *answer, Span value) {
        (void)answer;
        a->changing->then(a, value, true);
}

/* What has to be sent: all of `want` where the entity is not known. 0 when nothing differs; below 0
 * when the run has failed. */
static int difference(Act *a, const ChangeTo *t, Span *ret) {
        AUTO(buf_done)
        Buf patch = BUF(MAP_OUTPUT_MAX_BYTES);
        int r;

        *ret = t->want;
        if (!t->have.p || json_kind(t->have) != JSON_OBJECT)
                return 1;
        r = json_diff_merge(t->have, t->want, &patch);
        if (r > 0)
                *ret = act_keep(a, buf_span(&patch));
        if (r >= 0 && ret->p)
                return r;
        act_fail(a, 422, "too-large", false, "the patch is too large");
        return -EMSGSIZE;
}

void change_start(Act *a, const Change *c, const ChangeTo *to) {
        ChangeTo *t = arena_alloc(a->run->arena, sizeof *t);
        Span body;
        int r;

        if (!t) {
                act_fail(a, 422, "too-large", false, "the results of the steps are too large");
                return;
        }
        *t = *to;
        a->changing = t;
        if (!t->want.p || json_kind(t->want) != JSON_OBJECT) {
                act_fail(a, 422, "mapping-failed", false,
                         "step " SPAN_FMT ": the body is no object", SPAN_ARG(a->step->name));
                return;
        }
        r = difference(a, t, &body);
        if (r == 0) {
                send_unchanged(a, t->to->target);
                t->then(a, t->have, false);
        } else if (r > 0)
                send_start(a, &(Send){.method = "PATCH",
                                      .to = t->to,
                                      .url = t->url,
                                      .body = body,
                                      .content_type = "application/merge-patch+json",
                                      .mapping = t->mapping ? t->mapping : c->program,
                                      .verb = t->verb,
                                      .told = body,
                                      .refused = t->refused,
                                      .then = on_sent});
}
