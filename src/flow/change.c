/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/change.h"

#include "json/diff.h"
#include "json/value.h"

const char change_as_help[] =
        "The format of what is sent: `merge` is a merge patch (RFC 7396); `json-patch` is a JSON "
        "Patch (RFC 6902); `json-patch-test` the same with a test of each old value, so that the "
        "target refuses it when somebody else was faster; `scim` is a SCIM PatchOp (RFC 7644); "
        "`scim-entra` writes it as Microsoft Entra does (`Add`, `Replace`, `Remove`; booleans as "
        "`\"True\"` and `\"False\"`), `scim-okta` as Okta does (one `replace` with a value and no "
        "path). In all of them a null in `body` takes a member away, and a list is the whole list. "
        "All but `merge` have to know the entity as it is.";

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

/* The members that differ, as an object: what a person hears of, whatever the format. */
static Span told_of(Act *a, Span have, Span want) {
        AUTO(buf_done)
        Buf merge = BUF(MAP_OUTPUT_MAX_BYTES);

        return json_diff_merge(have, want, &merge) == 1 ? act_keep(a, buf_span(&merge))
                                                        : (Span){NULL, 0};
}

/* What has to be sent: all of `want` where the entity is not known. 0 when nothing differs; below 0
 * when the act has failed. */
static int difference(Act *a, const PatchFormat *format, const ChangeTo *t, Span *ret) {
        AUTO(buf_done)
        Buf patch = BUF(MAP_OUTPUT_MAX_BYTES);
        bool is_known = t->have.p && json_kind(t->have) == JSON_OBJECT;
        int r;

        *ret = t->want;
        if (!is_known && format->needs_have) {
                act_fail(a, 422, "mapping-failed", false,
                         "step " SPAN_FMT ": %s has to know the entity, and nothing gave it",
                         SPAN_ARG(a->step->name), format->name);
                return -EINVAL;
        }
        if (!is_known)
                return 1;
        r = format->diff(t->have, t->want, &patch);
        if (r > 0)
                *ret = act_keep(a, buf_span(&patch));
        if (r >= 0 && ret->p)
                return r;
        if (r == -EINVAL)
                act_fail(a, 422, "mapping-failed", false,
                         "step " SPAN_FMT ": a member of the body is no name of a SCIM attribute",
                         SPAN_ARG(a->step->name));
        else
                act_fail(a, 422, "too-large", false, "the patch is too large");
        return -EMSGSIZE;
}

static bool is_scim(const Change *c) {
        return strcmp(patch_formats[c->as].content_type, SCIM_CONTENT_TYPE) == 0;
}

const char *change_content_type(const Change *c) {
        return is_scim(c) ? SCIM_CONTENT_TYPE : "application/json";
}

Span change_whole(Act *a, const Change *c, Span body) {
        AUTO(buf_done)
        Buf whole = BUF(MAP_OUTPUT_MAX_BYTES);

        if (!is_scim(c))
                return body;
        return json_merge(SPAN("null"), body, &whole) < 0 ? (Span){NULL, 0}
                                                          : act_keep(a, buf_span(&whole));
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
        const PatchFormat *format = &patch_formats[c->as];
        a->had = c->as == PATCH_MERGE ? t->have : (Span){NULL, 0};
        r = difference(a, format, t, &body);
        if (r == 0) {
                send_unchanged(a, t->to->target);
                t->then(a, t->have, false);
        } else if (r > 0)
                send_start(a, &(Send){.method = "PATCH",
                                      .to = t->to,
                                      .url = t->url,
                                      .body = body,
                                      .content_type = format->content_type,
                                      .mapping = t->mapping ? t->mapping : c->program,
                                      .verb = t->verb,
                                      .told = c->as == PATCH_MERGE ? body
                                                                   : told_of(a, t->have, t->want),
                                      .refused = t->refused,
                                      .then = on_sent});
}
