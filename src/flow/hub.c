/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/hub.h"

#include "base/clock.h"
#include "flow/runner.h"

struct TokenDesk {
        Link link;
        Snapshot *snapshot;
        size_t target;
        TokenConfig config;
        TokenSource *source;
};

void hub_init(Hub *h, Loop *loop, Client *client, struct Writes *writes, Hub *all, unsigned n) {
        *h = (Hub){.loop = loop, .client = client, .writes = writes, .all = all, .n = n};
        list_init(&h->runners);
        list_init(&h->desks);
        children_init(&h->children, &loop->uv);
}

static void desk_free(Hub *h, TokenDesk *d) {
        list_remove(&h->desks, &d->link);
        token_source_free(d->source);
        snapshot_unref(d->snapshot);
        free(d);
}

void hub_done(Hub *h) {
        LIST_EACH(&h->desks, it)
        desk_free(h, CONTAINER_OF(it, TokenDesk, link));
}

/* ---- permits ---- */

typedef struct Wake {
        Note note;
        Hub *hub;
} Wake;

static void on_wake(Note *n) {
        Wake *w = CONTAINER_OF(n, Wake, note);

        LIST_EACH(&w->hub->runners, it)
        runner_poke(CONTAINER_OF(it, Runner, link));
        free(w);
}

void hub_wake(Hub *h, uint64_t loops) {
        for (unsigned i = 0; i < h->n; i++) {
                if (!(loops >> i & 1))
                        continue;
                Wake *w = must_alloc(sizeof *w);
                *w = (Wake){.note = {.read = on_wake}, .hub = &h->all[i]};
                inbox_send(&h->all[i].loop->inbox, &w->note);
        }
}

/* ---- tokens ---- */

static TokenDesk *desk_of(Hub *h, Snapshot *s, size_t target) {
        LIST_EACH(&h->desks, it) {
                TokenDesk *d = CONTAINER_OF(it, TokenDesk, link);

                if (d->snapshot == s && d->target == target)
                        return d;
        }
        /* Desks of configurations that are gone but for us are of no use any more. */
        LIST_EACH(&h->desks, old) {
                TokenDesk *d = CONTAINER_OF(old, TokenDesk, link);

                if (d->snapshot->refs == 1)
                        desk_free(h, d);
        }
        TokenDesk *d = must_alloc(sizeof *d);
        const OAuth2Config *o = &s->targets[target].config->oauth2;
        d->snapshot = snapshot_ref(s);
        d->target = target;
        d->config = (TokenConfig){.token_url = o->token_url,
                                  .client_id = o->client_id,
                                  .scope = o->scope,
                                  .audience = o->audience,
                                  .client_secret = &o->client_secret,
                                  .in_body = o->auth_style == 1,
                                  .allow = &s->allow};
        d->source = token_source_new(h->client, &d->config);
        list_push(&h->desks, &d->link);
        return d;
}

static void on_answered(Note *n) {
        TokenAsk *a = CONTAINER_OF(n, TokenAsk, note);

        a->done(a);
}

static void on_token(TokenWait *w, const Secret *token, const char *why) {
        TokenAsk *a = CONTAINER_OF(w, TokenAsk, wait);

        if (token)
                a->token = secret_copy(secret_reveal(token));
        else
                (void)snprintf(a->why, sizeof a->why, "%s", why);
        a->note.read = on_answered;
        inbox_send(&a->home->loop->inbox, &a->note);
}

static Hub *owner_of(Hub *h, size_t target) {
        return &h->all[target % h->n];
}

static void on_asked(Note *n) {
        TokenAsk *a = CONTAINER_OF(n, TokenAsk, note);
        Hub *here = owner_of(a->home, a->target);
        TokenDesk *d = desk_of(here, a->snapshot, a->target);
        int64_t now = clock_mono_ms();

        if (a->rejected.n)
                token_reject(d->source, a->rejected);
        const Secret *cached = token_cached(d->source, now);
        a->wait.done = on_token;
        if (cached)
                on_token(&a->wait, cached, NULL);
        else if (token_wait(d->source, &a->wait, now) < 0)
                on_token(&a->wait, NULL, "too many calls wait for a token");
}

void hub_ask_token(Hub *h, Snapshot *s, size_t target, Span rejected, void (*done)(TokenAsk *a),
                   void *arg, TokenAsk **ret) {
        TokenAsk *a = must_alloc(sizeof *a + rejected.n);

        *a = (TokenAsk){.note = {.read = on_asked},
                        .home = h,
                        .snapshot = snapshot_ref(s),
                        .target = target,
                        .done = done,
                        .arg = arg};
        if (rejected.n) {
                memcpy(a + 1, rejected.p, rejected.n);
                a->rejected = (Span){(char *)(a + 1), rejected.n};
        }
        *ret = a;
        inbox_send(&owner_of(h, target)->loop->inbox, &a->note);
}

void token_ask_free(TokenAsk *a) {
        secret_done(&a->token);
        snapshot_unref(a->snapshot);
        free(a);
}
