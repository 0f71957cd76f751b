/* SPDX-License-Identifier: Apache-2.0 */
#include "trigger/backfill_item.h"

#include "json/value.h"

#include <openssl/evp.h>

/* Of what has no key, or one that is too long: by its bytes. */
static void key_by_bytes(Span bytes, char ret[BACKFILL_KEY_MAX_BYTES + 1]) {
        unsigned char digest[EVP_MAX_MD_SIZE];
        unsigned n = 0;

        must(EVP_Digest(bytes.p ? bytes.p : "", bytes.n, digest, &n, EVP_sha256(), NULL) == 1);
        (void)snprintf(ret, BACKFILL_KEY_MAX_BYTES + 1, "sha256:");
        for (unsigned i = 0; i < n; i++)
                (void)snprintf(ret + 7 + 2 * (size_t)i, 3, "%02x", digest[i]);
}

static void find_key(const BackfillPlan *plan, Span item, char ret[BACKFILL_KEY_MAX_BYTES + 1]) {
        AUTO(buf_done)
        Buf b = BUF(64 * 1024);
        Span v = json_kind(item) == JSON_OBJECT ? path_follow(&plan->key_path, 0, item)
                                                : (Span){NULL, 0};

        if (!v.p || json_text(v, &b) < 0 || b.n == 0)
                key_by_bytes(json_trim(item), ret);
        else if (b.n > BACKFILL_KEY_MAX_BYTES || memchr(b.p, 0, b.n))
                key_by_bytes(buf_span(&b), ret);
        else {
                memcpy(ret, b.p, b.n);
                ret[b.n] = 0;
        }
}

static void on_mapped(MapperRun *run) {
        BackfillItem *i = run->arg;

        i->made = run->end == MAP_OK      ? BACKFILL_MADE
                  : run->end == MAP_EMPTY ? BACKFILL_SKIPPED
                                          : BACKFILL_BROKEN;
        if (run->end == MAP_OK && json_kind(run->output) == JSON_NULL)
                i->made = BACKFILL_SKIPPED;
        i->body = run->output;
        (void)snprintf(i->why, sizeof i->why, "the event's expression failed: %s%s",
                       run->end == MAP_UNSAFE ? "jq would round the number at " : "",
                       run->why ? run->why : "");
        i->done(i);
}

void backfill_item_start(BackfillItem *i, const BackfillPlan *plan, Mapper *mapper) {
        find_key(plan, i->item, i->key);
        if (plan->event.n == 0) {
                i->made = BACKFILL_MADE;
                i->body = json_trim(i->item);
                i->done(i);
                return;
        }
        i->root[0] = (MapRoot){SPAN(""), i->item};
        i->run = (MapperRun){
                .text = plan->event, .roots = i->root, .n_roots = 1, .done = on_mapped, .arg = i};
        mapper_run(mapper, &i->run);
}
