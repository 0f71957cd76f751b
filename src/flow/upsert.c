/* SPDX-License-Identifier: Apache-2.0
 *
 * How an upsert goes: look (by the search, or by an id that is remembered), then write what is
 * missing. Twice the world may have changed between the two, so the search is made once more, and
 * never again:
 *
 *   the entity is gone, though it was found   search again, and take what is there now
 *   somebody else has created it meanwhile    search again, and change theirs */
#include "base/clock.h"
#include "flow/run.h"
#include "flow/step_upsert.h"
#include "http/url.h"
#include "json/diff.h"
#include "json/value.h"

enum {
        IDS_TOLD_MAX = 5,            /* of an ambiguous match */
        TAKEN_LOOK_MAX_BYTES = 4096, /* of a refusal, for the word that says so */
};

typedef struct Upsert {
        bool is_gone; /* the source says so */
        bool has_searched_again;
        const char *collection, *search; /* URLs */
        Span want, more;                 /* the body; what a new one gets beside it */
        Span have, id;                   /* JSON: the entity as it was found; .p NULL for none */
        Outcome *lost;                   /* the race to create: what the target said */
} Upsert;

static const UpsertOptions *options_of(const Act *a) {
        return a->step->options;
}

static void no_room(Act *a) {
        act_fail(a, 422, "too-large", false, "the results of the steps are too large");
}

/* ---- the end ---- */

/* The step's value: {"done":"updated","id":...,"entity":{...}}. */
static void end(Act *a, const char *done, Span entity) {
        const Upsert *u = a->scratch;
        char *value = arena_printf(a->run->arena,
                                   "{\"done\":\"%s\",\"id\":" SPAN_FMT ",\"entity\":" SPAN_FMT "}",
                                   done, SPAN_ARG(u->id.p ? u->id : SPAN("null")),
                                   SPAN_ARG(entity.p ? entity : SPAN("null")));

        if (value)
                act_done(a, span_of(value));
        else
                no_room(a);
}

static bool is_id(Span id) {
        return id.p && (json_kind(id) == JSON_NUMBER ||
                        (json_kind(id) == JSON_STRING && json_trim(id).n > 2));
}

static Span id_in(const Act *a, Span entity) {
        Span id = entity.p ? path_follow(&options_of(a)->id_path, 0, entity) : (Span){NULL, 0};

        return is_id(id) ? id : (Span){NULL, 0};
}

static void remember(Act *a) {
        const UpsertOptions *o = options_of(a);
        const Upsert *u = a->scratch;

        /* An entity that was made only in a test or a rehearsal has no id to be remembered. */
        if (o->ids && u->id.p && !a->run->dialler)
                id_cache_put(o->ids, span_of(u->search), u->id, clock_mono_ms());
}

static void forget(Act *a) {
        const UpsertOptions *o = options_of(a);
        const Upsert *u = a->scratch;

        if (o->ids && u->id.p)
                id_cache_forget(o->ids, span_of(u->search), u->id);
}

/* What the target answered, when that is the entity; else what it has to be by now. */
static Span entity_after(Act *a, Span answer, Span have, Span sent) {
        AUTO(buf_done)
        Buf merged = BUF(MAP_OUTPUT_MAX_BYTES);

        if (id_in(a, answer).p || !sent.p)
                return answer;
        if (!have.p || json_kind(have) != JSON_OBJECT)
                return sent;
        return json_merge(have, sent, &merged) < 0 ? sent : act_keep(a, buf_span(&merged));
}

/* ---- writing ---- */

static void search_again(Act *a);

static bool is_away(int status) {
        return status == 404 || status == 410;
}

/* One that was found has gone meanwhile. */
static bool on_write_refused(Act *a, const ClientAnswer *answer) {
        Upsert *u = a->scratch;

        if (!is_away(answer->status) || u->has_searched_again)
                return false;
        search_again(a);
        return true;
}

/* The address of the one that was found; NULL when the run has failed. */
static const char *entity_url(Act *a) {
        Upsert *u = a->scratch;
        AUTO(buf_done)
        Buf text = BUF(ID_CACHE_ID_MAX_BYTES * 4);
        AUTO(buf_done)
        Buf encoded = BUF(URL_MAX_BYTES);
        char *url = NULL;

        if (json_text(u->id, &text) == 0 && url_encode(&encoded, buf_span(&text)) == 0)
                url = arena_printf(a->run->arena, "%s/" SPAN_FMT, u->collection,
                                   SPAN_ARG(buf_span(&encoded)));
        if (!url)
                act_fail(a, 422, "too-large", false, "the address is too long");
        return url;
}

static void on_changed(Act *a, Span value, bool was_sent) {
        Upsert *u = a->scratch;
        const char *done = !was_sent ? "unchanged" : u->is_gone ? "deactivated" : "updated";

        remember(a);
        end(a, done, was_sent ? entity_after(a, value, u->have, u->want) : value);
}

static void on_deleted(Act *a, const ClientAnswer *answer, Span value) {
        const Upsert *u = a->scratch;

        (void)answer;
        (void)value;
        forget(a);
        end(a, "deleted", u->have);
}

static bool on_delete_refused(Act *a, const ClientAnswer *answer) {
        if (!is_away(answer->status))
                return false;
        send_unchanged(a, options_of(a)->to.target);
        forget(a);
        end(a, "unchanged", (Span){NULL, 0});
        return true;
}

static void change_it(Act *a) {
        const UpsertOptions *o = options_of(a);
        const Upsert *u = a->scratch;
        const char *url = entity_url(a);

        if (!url)
                return;
        if (u->is_gone && o->gone_rule == GONE_DELETE)
                send_start(a, &(Send){.method = "DELETE",
                                      .to = &o->to,
                                      .url = url,
                                      .verb = "Deleted",
                                      .refused = on_delete_refused,
                                      .then = on_deleted});
        else
                change_start(a, &o->change,
                             &(ChangeTo){.to = &o->to,
                                         .url = url,
                                         .have = u->have,
                                         .want = u->want,
                                         .mapping = u->is_gone ? o->inactive_program : NULL,
                                         .verb = u->is_gone ? "Deactivated" : "Updated",
                                         .refused = on_write_refused,
                                         .then = on_changed});
}

/* ---- creating ---- */

/* The last part of the path in Location, as a JSON text. */
static Span id_of_location(Act *a, const ClientAnswer *answer) {
        Span at = client_answer_get(answer, "location");
        AUTO(buf_done)
        Buf plain = BUF(URL_MAX_BYTES);
        AUTO(buf_done)
        Buf id = BUF(URL_MAX_BYTES * 6);

        if (!at.p)
                return (Span){NULL, 0};
        at.n = span_find(at, '?');
        for (size_t slash; (slash = span_find(at, '/')) < at.n;)
                at = span_from(at, slash + 1);
        if (at.n == 0 || url_decode(&plain, at) < 0 || buf_add_json(&id, buf_span(&plain)) < 0)
                return (Span){NULL, 0};
        return act_keep(a, buf_span(&id));
}

static void on_created(Act *a, const ClientAnswer *answer, Span value) {
        Upsert *u = a->scratch;

        u->id = id_in(a, value);
        if (!u->id.p)
                u->id = id_of_location(a, answer);
        remember(a);
        end(a, "created", entity_after(a, value, (Span){NULL, 0}, a->sending->body));
}

/* Does it say so in a word? A wrong guess costs one search. */
static bool says_taken(Span body) {
        static const char *const words[] = {"taken", "exist", "duplicate", "unique"};
        size_t n = body.n < TAKEN_LOOK_MAX_BYTES ? body.n : TAKEN_LOOK_MAX_BYTES;

        for (size_t w = 0; w < COUNT_OF(words); w++) {
                size_t length = strlen(words[w]);

                for (size_t i = 0; i + length <= n; i++)
                        if (span_eq_nocase((Span){body.p + i, length}, span_of(words[w])))
                                return true;
        }
        return false;
}

static bool on_create_refused(Act *a, const ClientAnswer *answer) {
        Upsert *u = a->scratch;
        bool is_taken =
                answer->status == 409 ||
                ((answer->status == 400 || answer->status == 422) && says_taken(answer->body));

        if (!is_taken || u->has_searched_again)
                return false;
        u->lost = arena_alloc(a->run->arena, sizeof *u->lost);
        if (!u->lost)
                return false;
        exchange_refusal(a, answer, u->lost);
        search_again(a);
        return true;
}

static void create(Act *a) {
        const UpsertOptions *o = options_of(a);
        const Upsert *u = a->scratch;
        AUTO(buf_done)
        Buf merged = BUF(MAP_OUTPUT_MAX_BYTES);
        Span body = u->want;

        if (u->more.p) {
                body = (Span){NULL, 0};
                if (json_merge(u->want, u->more, &merged) >= 0)
                        body = act_keep(a, buf_span(&merged));
        }
        if (body.p)
                body = change_whole(a, &o->change, body);
        if (!body.p)
                no_room(a);
        else
                send_start(a, &(Send){.method = "POST",
                                      .to = &o->to,
                                      .url = u->collection,
                                      .body = body,
                                      .content_type = change_content_type(&o->change),
                                      .mapping = o->change.program,
                                      .verb = "Created",
                                      .told = body,
                                      .refused = on_create_refused,
                                      .then = on_created});
}

/* ---- looking ---- */

static void on_none(Act *a) {
        const UpsertOptions *o = options_of(a);
        const Upsert *u = a->scratch;

        if (u->lost) {
                act_fail_with(a, u->lost); /* somebody has it, but not under this id */
        } else if (u->is_gone) {
                send_unchanged(a, o->to.target);
                end(a, "unchanged", (Span){NULL, 0});
        } else if (o->creates) {
                create(a);
        } else if (o->when_missing.as_null) {
                end(a, "skipped", (Span){NULL, 0});
        } else
                missing_run(a, &o->when_missing, o->to.target);
}

static void on_one(Act *a, Span hit) {
        Upsert *u = a->scratch;

        u->have = hit;
        u->id = id_in(a, hit);
        if (u->id.p) {
                change_it(a);
                return;
        }
        act_fail(a, 422, "mapping-failed", false,
                 "step " SPAN_FMT ": what %s found has no id at " SPAN_FMT, SPAN_ARG(a->step->name),
                 options_of(a)->to.target->config->name, SPAN_ARG(options_of(a)->id.text));
}

static void on_many(Act *a, Span hits) {
        AUTO(buf_done)
        Buf ids = BUF(1024);
        Span key, hit;
        size_t n = 0;

        for (size_t pos = 0; n < IDS_TOLD_MAX && json_next(hits, &pos, &key, &hit);) {
                Span id = id_in(a, hit);
                size_t before = ids.n;

                if (!id.p)
                        continue;
                if ((n > 0 && buf_add(&ids, SPAN(", ")) < 0) || json_text(id, &ids) < 0)
                        ids.n = before;
                else
                        n++;
        }
        act_fail(a, 409, "ambiguous", false,
                 "%s holds %zu entities that match, where there must be one%s" SPAN_FMT "%s.",
                 options_of(a)->to.target->config->name, json_length(hits), n ? ": " : "",
                 SPAN_ARG(buf_span(&ids)), n && n < json_length(hits) ? " and others" : "");
}

static void on_hits(Act *a, const ClientAnswer *answer) {
        Span all, hits;

        if (answer->status == 404) {
                on_none(a);
                return;
        }
        if (!exchange_json(a, answer, false, &all))
                return;
        hits = path_follow(&options_of(a)->pick_path, 0, all);
        if (hits.p && json_kind(hits) == JSON_ARRAY) {
                if (json_length(hits) > 1) {
                        on_many(a, hits);
                        return;
                }
                hits = json_element(hits, 0);
        }
        if (!hits.p || json_kind(hits) == JSON_NULL)
                on_none(a);
        else
                on_one(a, hits);
}

static void search(Act *a) {
        const Upsert *u = a->scratch;

        a->call = (Call){.method = "GET"};
        exchange_mapping(a, NULL);
        exchange_at(a, &options_of(a)->search, u->search, on_hits);
}

static void search_again(Act *a) {
        Upsert *u = a->scratch;

        forget(a);
        u->has_searched_again = true;
        u->have = u->id = (Span){NULL, 0};
        search(a);
}

/* An id that was remembered and is no more: no fault, the first search is still to come. */
static void search_after_all(Act *a) {
        Upsert *u = a->scratch;

        forget(a);
        u->id = (Span){NULL, 0};
        search(a);
}

static void on_remembered(Act *a, const ClientAnswer *answer) {
        Upsert *u = a->scratch;
        Span id;

        if (answer->status == 404) {
                search_after_all(a);
                return;
        }
        if (!exchange_json(a, answer, false, &u->have))
                return;
        id = id_in(a, u->have);
        if (!id.p || !json_equal(id, u->id))
                u->have = (Span){NULL, 0}; /* wrapped in something: all of the body is sent */
        change_it(a);
}

static bool on_remembered_refused(Act *a, const ClientAnswer *answer) {
        if (answer->status != 410)
                return false;
        search_after_all(a);
        return true;
}

static void on_search_url(Act *a, Span path) {
        const UpsertOptions *o = options_of(a);
        Upsert *u = a->scratch;
        const char *url;

        u->search = arena_printf(a->run->arena, "%s" SPAN_FMT, o->to.target->config->url,
                                 SPAN_ARG(path));
        if (!u->search) {
                act_fail(a, 422, "too-large", false, "the address is too long");
                return;
        }
        if (o->ids)
                u->id = id_cache_get(o->ids, span_of(u->search), clock_mono_ms(), a->run->arena);
        if (!u->id.p) {
                search(a);
                return;
        }
        url = entity_url(a);
        if (!url)
                return;
        a->call = (Call){.method = "GET"};
        exchange_catch(a, on_remembered_refused);
        exchange_at(a, &o->to, url, on_remembered);
}

static void on_collection_url(Act *a, Span path) {
        const UpsertOptions *o = options_of(a);
        Upsert *u = a->scratch;

        u->collection = arena_printf(a->run->arena, "%s" SPAN_FMT, o->to.target->config->url,
                                     SPAN_ARG(path));
        if (u->collection)
                act_template(a, &o->search.path, true, on_search_url);
        else
                act_fail(a, 422, "too-large", false, "the address is too long");
}

/* ---- what is wanted ---- */

static void look(Act *a) {
        act_template(a, &options_of(a)->to.path, true, on_collection_url);
}

static bool is_object(Act *a, Span value, const char *what) {
        if (value.p && json_kind(value) == JSON_OBJECT)
                return true;
        act_fail(a, 422, "mapping-failed", false, "step " SPAN_FMT ": %s is no object",
                 SPAN_ARG(a->step->name), what);
        return false;
}

/* Before anything is asked, so that a mapping that fails has no effect. */
static void on_body(Act *a) {
        const UpsertOptions *o = options_of(a);
        Upsert *u = a->scratch;

        u->want = a->evaluation.values[0];
        u->more = a->evaluation.values[1];
        if (is_object(a, u->want, "the body") &&
            (!o->body_programs[1] || is_object(a, u->more, "new")))
                look(a);
}

static void on_inactive(Act *a) {
        Upsert *u = a->scratch;

        u->want = a->evaluation.values[0];
        if (is_object(a, u->want, "inactive"))
                look(a);
}

static void on_gone(Act *a) {
        const UpsertOptions *o = options_of(a);
        Span gone = a->evaluation.values[0];
        Upsert *u = a->scratch;

        u->is_gone = gone.p && json_kind(gone) != JSON_FALSE;
        if (!u->is_gone)
                act_evaluate(a, o->body_programs, COUNT_OF(o->body_programs), on_body);
        else if (o->gone_rule == GONE_DEACTIVATE)
                act_evaluate(a, &o->inactive_program, 1, on_inactive);
        else if (o->gone_rule == GONE_DELETE)
                look(a);
        else
                end(a, "skipped", (Span){NULL, 0});
}

void upsert_run(Act *a, const Step *s) {
        const UpsertOptions *o = s->options;

        a->scratch = arena_alloc(a->run->arena, sizeof(Upsert));
        if (!a->scratch)
                no_room(a);
        else /* without `gone` its value is nothing */
                act_evaluate(a, &o->gone_program, 1, on_gone);
}
