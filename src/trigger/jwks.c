/* SPDX-License-Identifier: Apache-2.0 */
#include "trigger/jwks.h"

#include "base/clock.h"
#include "base/table.h"
#include "http/list.h"
#include "http/url.h"
#include "trigger/inlet.h"
#include "json/check.h"
#include "json/value.h"

enum {
        FETCH_MS = 5000, /* senders wait for it */
        DOCUMENT_MAX_BYTES = 256 * 1024,
};

/* The keys of one address, on the loop that owns it. */
typedef struct KeyDesk {
        Link link;
        char *address;
        bool discover;
        Jwks *jwks;
        Client *client;
        JwkSet *set;
        uint64_t number; /* counts the fetches that brought keys */
        int64_t fresh_until_ms, stale_until_ms, asked_ms, failed_until_ms;
        int64_t pause_until_ms; /* before it no fetch is begun for a name that is not known */
        char why[256];
        List waiters;
        /* The fetch on its way. */
        bool is_fetching;
        Snapshot *snapshot;
        ClientCall call;
        HttpHeader header;
        char url[URL_MAX_BYTES + 64];
} KeyDesk;

/* What a loop was given. */
typedef struct Copy {
        Link link;
        char *address;
        JwkSet *set;
        uint64_t number;
        int64_t fresh_until_ms, used_ms;
} Copy;

void jwks_init(Jwks *j) {
        list_init(&j->desks);
        list_init(&j->copies);
}

/* ---- what a loop was given ---- */

static void copy_free(Jwks *j, Copy *c) {
        list_remove(&j->copies, &c->link);
        jwk_set_unref(c->set);
        free(c->address);
        free(c);
}

static Copy *copy_find(Jwks *j, const char *address) {
        LIST_EACH(&j->copies, it) {
                Copy *c = CONTAINER_OF(it, Copy, link);

                if (strcmp(c->address, address) == 0)
                        return c;
        }
        return NULL;
}

const JwkSet *jwks_get(Inlet *in, const char *address, uint64_t *ret_number) {
        Copy *c = copy_find(&in->jwks, address);
        int64_t now = clock_mono_ms();

        *ret_number = c ? c->number : 0;
        if (!c || now >= c->fresh_until_ms)
                return NULL;
        c->used_ms = now;
        return c->set;
}

static void copy_keep(JwksAsk *a) {
        Jwks *j = &a->home->jwks;
        Copy *c = copy_find(j, a->address);

        if (!c) {
                if (j->copies.n >= JWKS_ADDRESSES_MAX)
                        copy_free(j, CONTAINER_OF(list_first(&j->copies), Copy, link));
                c = must_alloc(sizeof *c);
                c->address = must_dup(a->address);
                list_push(&j->copies, &c->link);
        }
        jwk_set_unref(c->set);
        c->set = jwk_set_ref(a->set);
        c->number = a->number;
        c->fresh_until_ms = a->fresh_until_ms;
}

/* ---- answers ---- */

static void on_answered(Note *n) {
        JwksAsk *a = CONTAINER_OF(n, JwksAsk, note);

        if (a->set)
                copy_keep(a);
        a->done(a);
}

static void answer(KeyDesk *d, JwksAsk *a) {
        if (d->set && clock_mono_ms() < d->stale_until_ms) {
                a->set = jwk_set_ref(d->set);
                a->number = d->number;
                a->fresh_until_ms = d->fresh_until_ms;
        } else {
                (void)snprintf(a->why, sizeof a->why, "%s", d->why);
        }
        a->note.read = on_answered;
        inbox_send(&a->home->loop->inbox, &a->note);
}

/* One that no desk can take. */
static void turn_away(JwksAsk *a, const char *why) {
        (void)snprintf(a->why, sizeof a->why, "%s", why);
        a->note.read = on_answered;
        inbox_send(&a->home->loop->inbox, &a->note);
}

/* All who wait hear what there is now. */
static void answer_all(KeyDesk *d) {
        for (Link *l; (l = list_pop(&d->waiters));)
                answer(d, CONTAINER_OF(l, JwksAsk, link));
}

static void fetched(KeyDesk *d) {
        d->is_fetching = false;
        d->snapshot = snapshot_unref(d->snapshot);
        answer_all(d);
}

/* ---- the fetch ---- */

static void failed(KeyDesk *d, const char *format, ...) PRINTF_LIKE(2, 3);

static void failed(KeyDesk *d, const char *format, ...) {
        int64_t now = clock_mono_ms();
        va_list ap;

        va_start(ap, format);
        (void)vsnprintf(d->why, sizeof d->why, format, ap);
        va_end(ap);
        d->failed_until_ms = now + JWKS_FAILURE_MS;
        /* The old keys go on counting for a while, and loops do not ask for each request. */
        if (d->set && now < d->stale_until_ms && d->fresh_until_ms < now + JWKS_PAUSE_MS)
                d->fresh_until_ms = now + JWKS_PAUSE_MS;
        if (d->jwks->failed)
                d->jwks->failed(d->jwks->self, d->address, d->why);
        fetched(d);
}

int64_t jwks_age_s(Span control, Span age) {
        uint64_t seconds = JWKS_AGE_DEFAULT_S, spent = 0;
        Span item, name, value;

        while (control.p && http_list_next(&control, ',', &item)) {
                if (!http_parameter_read(item, &name, &value))
                        continue;
                if (span_eq_nocase(name, SPAN("no-store")) ||
                    span_eq_nocase(name, SPAN("no-cache")))
                        return JWKS_AGE_MIN_S;
                if (span_eq_nocase(name, SPAN("max-age")) &&
                    !span_to_u64(value, UINT32_MAX, &seconds))
                        seconds = JWKS_AGE_DEFAULT_S;
        }
        if (age.p && span_to_u64(age, UINT32_MAX, &spent))
                seconds = seconds > spent ? seconds - spent : 0;
        return seconds < JWKS_AGE_MIN_S   ? JWKS_AGE_MIN_S
               : seconds > JWKS_AGE_MAX_S ? JWKS_AGE_MAX_S
                                          : (int64_t)seconds;
}

static bool is_answered(KeyDesk *d, const ClientAnswer *a) {
        if (a->end != CLIENT_ANSWERED)
                failed(d, "the keys could not be fetched: %.200s", a->why);
        else if (a->status != 200)
                failed(d, "the keys could not be fetched: the answer was %d", a->status);
        else
                return true;
        return false;
}

static void on_keys(ClientCall *c, const ClientAnswer *a) {
        KeyDesk *d = c->arg;
        Err e = {0};

        if (!is_answered(d, a))
                return;
        JwkSet *set = jwk_set_parse(a->body, &e);
        if (!set) {
                failed(d, "no keys were fetched: %.200s", e.text);
                return;
        }
        int64_t now = clock_mono_ms();
        jwk_set_unref(d->set);
        d->set = set;
        d->number++;
        d->fresh_until_ms = now + jwks_age_s(client_answer_get(a, "cache-control"),
                                             client_answer_get(a, "age")) *
                                          1000;
        d->stale_until_ms = d->fresh_until_ms + (int64_t)JWKS_STALE_MAX_S * 1000;
        d->failed_until_ms = 0;
        fetched(d);
}

static int start_call(KeyDesk *d, void (*done)(ClientCall *c, const ClientAnswer *a)) {
        Err e = {0};

        d->header = (HttpHeader){SPAN("Accept"), SPAN("application/json")};
        d->call = (ClientCall){.method = "GET",
                               .url = d->url,
                               .headers = &d->header,
                               .n_headers = 1,
                               .timeout_ms = FETCH_MS,
                               .answer_max = DOCUMENT_MAX_BYTES,
                               .allow = &d->snapshot->allow,
                               .done = done,
                               .arg = d};
        if (client_start(d->client, &d->call, &e) == 0)
                return 0;
        failed(d, "the keys could not be fetched: %.200s", e.text);
        return -EAGAIN;
}

/* A text member that is there once; false for anything else. */
static bool text_of(Span object, const char *name, Buf *ret) {
        Span value = json_member(object, span_of(name));

        return value.p && json_member_count(object, span_of(name)) == 1 &&
               json_kind(value) == JSON_STRING && json_text(value, ret) == 0;
}

/* Reads where the set is. The document must be the issuer's own (section 4.3 of Discovery), and an
 * issuer that is asked by TLS may not send us to where there is none. */
static const char *read_document(KeyDesk *d, Span body) {
        AUTO(buf_done)
        Buf issuer = BUF(URL_MAX_BYTES), where = BUF(URL_MAX_BYTES);
        JsonFault fault;
        Url url, own;

        if (json_check(body, JSON_KEYS_MAX, &fault) < 0 || json_kind(body) != JSON_OBJECT)
                return "the issuer's document is no JSON object";
        if (!text_of(body, "issuer", &issuer) || !text_of(body, "jwks_uri", &where))
                return "the issuer's document names no issuer or no jwks_uri";
        if (!span_eq(buf_span(&issuer), span_of(d->address)))
                return "the issuer's document is that of another issuer";
        if (url_parse(buf_span(&where), &url, NULL) < 0 ||
            url_parse(span_of(d->address), &own, NULL) < 0 || (own.https && !url.https))
                return "the issuer's jwks_uri is no URL that may be called";
        (void)snprintf(d->url, sizeof d->url, SPAN_FMT, SPAN_ARG(buf_span(&where)));
        return NULL;
}

static void on_document(ClientCall *c, const ClientAnswer *a) {
        KeyDesk *d = c->arg;
        const char *why;

        if (!is_answered(d, a))
                return;
        why = read_document(d, a->body);
        if (why)
                failed(d, "the keys could not be found: %s", why);
        else
                (void)start_call(d, on_keys);
}

static void fetch(KeyDesk *d, JwksAsk *a) {
        Span address = span_of(d->address);

        d->is_fetching = true;
        if (a->seen && a->seen == d->number)
                d->pause_until_ms = clock_mono_ms() + JWKS_PAUSE_MS;
        d->snapshot = snapshot_ref(a->snapshot);
        while (d->discover && address.n > 0 && address.p[address.n - 1] == '/')
                address.n--;
        (void)snprintf(d->url, sizeof d->url, SPAN_FMT "%s", SPAN_ARG(address),
                       d->discover ? "/.well-known/openid-configuration" : "");
        (void)start_call(d, d->discover ? on_document : on_keys);
}

/* ---- desks ---- */

static void desk_free(KeyDesk *d) {
        must(!d->is_fetching);
        list_remove(&d->jwks->desks, &d->link);
        jwk_set_unref(d->set);
        free(d->address);
        free(d);
}

/* The one that was asked longest ago, and that nobody waits for, makes room. */
static void make_room(Jwks *j) {
        KeyDesk *oldest = NULL;

        if (j->desks.n < JWKS_ADDRESSES_MAX)
                return;
        LIST_EACH(&j->desks, it) {
                KeyDesk *d = CONTAINER_OF(it, KeyDesk, link);

                if (!d->is_fetching && (!oldest || d->asked_ms < oldest->asked_ms))
                        oldest = d;
        }
        if (oldest)
                desk_free(oldest);
}

static KeyDesk *desk_of(Inlet *in, const char *address, bool discover) {
        Jwks *j = &in->jwks;

        LIST_EACH(&j->desks, it) {
                KeyDesk *d = CONTAINER_OF(it, KeyDesk, link);

                if (d->discover == discover && strcmp(d->address, address) == 0)
                        return d;
        }
        make_room(j);
        KeyDesk *d = must_alloc(sizeof *d);
        d->address = must_dup(address);
        d->discover = discover;
        d->jwks = j;
        d->client = in->runner->hub->client;
        list_init(&d->waiters);
        list_push(&j->desks, &d->link);
        return d;
}

/* Must it be fetched before this can be answered? */
static bool wants_fetch(const KeyDesk *d, const JwksAsk *a, int64_t now) {
        if (now < d->failed_until_ms)
                return false;
        if (!d->set || now >= d->fresh_until_ms)
                return true;
        return a->seen == d->number && now >= d->pause_until_ms;
}

static Inlet *owner_of(Inlet *in, const char *address) {
        const uint64_t key[2] = {0, 0}; /* addresses are the operator's own */

        return &in->all[hash_keyed(span_of(address), key[0], key[1]) % in->n];
}

static void on_asked(Note *n) {
        JwksAsk *a = CONTAINER_OF(n, JwksAsk, note);
        Inlet *in = owner_of(a->home, a->address);
        int64_t now = clock_mono_ms();

        if (in->jwks.closed) {
                turn_away(a, "Grapnel is stopping");
                return;
        }
        KeyDesk *d = desk_of(in, a->address, a->discover);
        d->asked_ms = now;
        if (!d->is_fetching && !wants_fetch(d, a, now)) {
                answer(d, a);
                return;
        }
        if (d->waiters.n >= JWKS_WAITERS_MAX) {
                turn_away(a, "too many requests wait for keys");
                return;
        }
        list_push(&d->waiters, &a->link);
        if (!d->is_fetching)
                fetch(d, a);
}

void jwks_ask(Inlet *in, Snapshot *s, const char *address, bool discover, uint64_t seen,
              void (*done)(JwksAsk *a), void *arg) {
        JwksAsk *a = must_alloc(sizeof *a);

        *a = (JwksAsk){.note = {.read = on_asked},
                       .home = in,
                       .snapshot = snapshot_ref(s),
                       .address = address,
                       .discover = discover,
                       .seen = seen,
                       .done = done,
                       .arg = arg};
        inbox_send(&owner_of(in, address)->loop->inbox, &a->note);
}

void jwks_ask_free(JwksAsk *a) {
        jwk_set_unref(a->set);
        snapshot_unref(a->snapshot);
        free(a);
}

void jwks_close(Inlet *in) {
        in->jwks.closed = true;
        LIST_EACH(&in->jwks.desks, it)
        desk_free(CONTAINER_OF(it, KeyDesk, link));
        LIST_EACH(&in->jwks.copies, it)
        copy_free(&in->jwks, CONTAINER_OF(it, Copy, link));
}
