/* SPDX-License-Identifier: Apache-2.0
 *
 * How an endpoint's deliveries stand, counted. */
#include "api/nouns.h"

static const Field query_fields[] = {
        {.name = "since", .type = FIELD_TIME, .help = "Messages received from this moment on."},
        {.name = "until", .type = FIELD_TIME, .help = "Messages received before this moment."},
};
const Schema query_stats = {SCHEMA_FIELDS(query_fields)};

static const Field out_fields[] = {
        {.name = "success", .type = FIELD_INTEGER, .required = true},
        {.name = "pending", .type = FIELD_INTEGER, .required = true},
        {.name = "sending",
         .type = FIELD_INTEGER,
         .required = true,
         .help = "Always 0: what is under way counts as pending."},
        {.name = "fail", .type = FIELD_INTEGER, .required = true},
        {.name = "canceled", .type = FIELD_INTEGER, .required = true, .help = "Always 0."},
};
const Schema schema_stats = {.name = "EndpointStats", SCHEMA_FIELDS(out_fields)};

static void on_counted(Op *op) {
        AUTO(put_done)
        Put p = PUT(4096);
        const int64_t *jobs = op->request.target.ret.jobs;

        put_open(&p, NULL, '{');
        put_int(&p, "success", jobs[JOB_DONE]);
        put_int(&p, "pending", jobs[JOB_QUEUED] + jobs[JOB_WAITING] + jobs[JOB_BLOCKED]);
        put_int(&p, "sending", 0);
        put_int(&p, "fail", jobs[JOB_DEAD]);
        put_int(&p, "canceled", 0);
        put_close(&p, '}');
        op_json(op, 200, &p);
}

void endpoint_stats(Op *op) {
        op_ask(op,
               &(LedgerRequest){.ask = ASK_TARGET,
                                .target = {.target = span_of(op->endpoint->endpoint->target),
                                           .from_ms = value_time(&op->query, "since"),
                                           .to_ms = value_time(&op->query, "until")}},
               on_counted);
}
