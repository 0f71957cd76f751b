/* SPDX-License-Identifier: Apache-2.0 */
#include "watch/page.h"

#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { PAGE_MAX_BYTES = 64 * 1024 * 1024 };

Page *page_new(Triggers *set, const PageAsk *ask) {
        Page *p = must_alloc(sizeof *p);

        p->refs = 1;
        p->arena = arena_new(PAGE_MAX_BYTES);
        p->set = triggers_ref(set);
        p->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        must(p->bell >= 0);
        p->ask = *ask;
        p->ask.url = arena_span(p->arena, ask->url.n ? ask->url : SPAN(""));
        p->ask.etag = arena_span(p->arena, ask->etag.n ? ask->etag : SPAN(""));
        must(p->ask.url.p && p->ask.etag.p);
        return p;
}

Page *page_ref(Page *p) {
        atomic_fetch_add(&p->refs, 1);
        return p;
}

Page *page_unref(Page *p) {
        if (p && atomic_fetch_sub(&p->refs, 1) == 1) {
                triggers_unref(p->set);
                arena_free(p->arena);
                (void)close(p->bell);
                free(p);
        }
        return NULL;
}

static Span keep(Page *p, Span s, bool *fits) {
        Span copy = arena_span(p->arena, s.n ? s : SPAN(""));

        *fits &= copy.p != NULL;
        return copy;
}

void page_answer(Page *p, const PageAnswer *a) {
        uint64_t one = 1;
        bool fits = true;

        p->answer = *a;
        p->answer.list = keep(p, a->list, &fits);
        p->answer.next = keep(p, a->next, &fits);
        p->answer.etag = keep(p, a->etag, &fits);
        if (a->why)
                p->answer.why = arena_text(p->arena, span_of(a->why));
        if (!fits || (a->why && !p->answer.why))
                p->answer = (PageAnswer){.why = "the page is too large", .wait_ms = -1};
        atomic_store(&p->is_answered, true);
        (void)!write(p->bell, &one, sizeof one);
}
