/* SPDX-License-Identifier: Apache-2.0
 *
 * What requests for backfills take and give. */
#include "api/nouns.h"
#include "trigger/backfill.h"

static const Field pages_fields[] = {
        {.name = "next",
         .type = FIELD_TEXT,
         .max = 256,
         .help = "`link` for a Link header with rel=\"next\", or a plain path to the next page's "
                 "URL, or to a cursor together with `as`."},
        {.name = "as", .type = FIELD_TEXT, .min = 1, .max = 64, .help = "The cursor's parameter."},
        {.name = "number",
         .type = FIELD_TEXT,
         .min = 1,
         .max = 64,
         .help = "The query parameter that counts the pages."},
        {.name = "offset",
         .type = FIELD_TEXT,
         .min = 1,
         .max = 64,
         .help = "The query parameter that says how many items come before the page."},
        {.name = "index",
         .type = FIELD_TEXT,
         .min = 1,
         .max = 64,
         .help = "The same for one that counts from 1 on."},
        {.name = "from",
         .type = FIELD_INTEGER,
         .max = 1000000,
         .help = "The `number` of the first page; 1 when it is not given."},
        {.name = "list",
         .type = FIELD_TEXT,
         .min = 1,
         .max = 256,
         .help = "Where the items are in a page, a plain path; its only list when it is not "
                 "given."},
};
static const Schema schema_pages = {
        .name = "BackfillPagesIn", SCHEMA_FIELDS(pages_fields), .strict = true};

static const Field in_fields[] = {
        {.name = "flow", .type = FIELD_TEXT, .required = true, .min = 1, .max = 100},
        {.name = "from",
         .type = FIELD_TEXT,
         .required = true,
         .min = 1,
         .max = 2048,
         .help = "Where the list is: connection:/path?query."},
        {.name = "source",
         .type = FIELD_TEXT,
         .nullable = true,
         .min = 1,
         .max = 100,
         .help = "Whose events the items become; the first of the flow's when it is not given."},
        {.name = "event",
         .type = FIELD_TEXT,
         .nullable = true,
         .min = 1,
         .max = 16384,
         .help = "A jq expression that makes the event of an item; the item itself when it is not "
                 "given. Nothing, or null: the item is left out."},
        {.name = "key",
         .type = FIELD_TEXT,
         .nullable = true,
         .min = 1,
         .max = 256,
         .help = "A plain path to what tells items apart; .id when it is not given."},
        {.name = "pages",
         .type = FIELD_OBJECT,
         .of = &schema_pages,
         .help = "How the list goes on: one of next, number, offset, index."},
        {.name = "rate",
         .type = FIELD_INTEGER,
         .nullable = true,
         .min = 1,
         .max = 100000,
         .help = "Items a second."},
        {.name = "maxPages",
         .type = FIELD_INTEGER,
         .nullable = true,
         .min = 1,
         .max = 1000000,
         .help = "A list with more pages fails; 10,000 when it is not given."},
};
const Schema schema_backfill_in = {.name = "BackfillIn", SCHEMA_FIELDS(in_fields), .strict = true};

static const Field after_fields[] = {
        {.name = "after",
         .type = FIELD_OBJECT,
         .nullable = true,
         .help = "The `next` of an earlier answer; the beginning of the list when it is not "
                 "given."},
};
const Schema schema_backfill_report_in = {.name = "BackfillReportIn",
                                          .base = &schema_backfill_in,
                                          SCHEMA_FIELDS(after_fields),
                                          .strict = true};

static const Field row_fields[] = {
        {.name = "key", .type = FIELD_TEXT, .required = true},
        {.name = "status", .type = FIELD_INTEGER, .required = true},
        {.name = "code", .type = FIELD_TEXT, .required = true},
        {.name = "message", .type = FIELD_TEXT, .required = true},
        {.name = "writes", .type = FIELD_LIST, .item = FIELD_ANY, .required = true},
};
static const Schema schema_row = {.name = "BackfillReportRow", SCHEMA_FIELDS(row_fields)};

static const Field report_fields[] = {
        {.name = "data",
         .type = FIELD_LIST,
         .item = FIELD_OBJECT,
         .of = &schema_row,
         .required = true,
         .help = "The items that would change something, or fail."},
        {.name = "seen", .type = FIELD_INTEGER, .required = true},
        {.name = "wouldChange", .type = FIELD_INTEGER, .required = true},
        {.name = "unchanged", .type = FIELD_INTEGER, .required = true},
        {.name = "failed", .type = FIELD_INTEGER, .required = true},
        {.name = "skipped", .type = FIELD_INTEGER, .required = true},
        {.name = "total", .type = FIELD_INTEGER, .nullable = true},
        {.name = "next",
         .type = FIELD_OBJECT,
         .nullable = true,
         .help = "Give it as `after` for what comes behind; null: that was all."},
};
const Schema schema_backfill_report_out = {.name = "BackfillReportOut",
                                           SCHEMA_FIELDS(report_fields)};

static const Field problem_fields[] = {
        {.name = "key", .type = FIELD_TEXT, .required = true},
        {.name = "event", .type = FIELD_TEXT, .nullable = true},
        {.name = "code", .type = FIELD_TEXT, .required = true},
        {.name = "message", .type = FIELD_TEXT, .required = true},
};
static const Schema schema_problem = {.name = "BackfillProblem", SCHEMA_FIELDS(problem_fields)};

static const Field out_fields[] = {
        {.name = "id", .type = FIELD_TEXT, .required = true},
        {.name = "flow", .type = FIELD_TEXT, .required = true},
        {.name = "source", .type = FIELD_TEXT, .required = true},
        {.name = "from", .type = FIELD_TEXT, .required = true},
        {.name = "event", .type = FIELD_TEXT, .nullable = true},
        {.name = "key", .type = FIELD_TEXT, .nullable = true},
        {.name = "rate", .type = FIELD_INTEGER, .nullable = true},
        {.name = "progress", .type = FIELD_TEXT, .required = true, .choices = backfill_progresses},
        {.name = "pages", .type = FIELD_INTEGER, .required = true, .help = "That are through."},
        {.name = "total",
         .type = FIELD_INTEGER,
         .nullable = true,
         .help = "Items of the list, where its pages say it."},
        {.name = "seen", .type = FIELD_INTEGER, .required = true, .help = "Items so far."},
        {.name = "open",
         .type = FIELD_INTEGER,
         .required = true,
         .help = "Items whose runs have not ended."},
        {.name = "succeeded",
         .type = FIELD_INTEGER,
         .required = true,
         .help = "Runs that did something."},
        {.name = "unchanged",
         .type = FIELD_INTEGER,
         .required = true,
         .help = "Runs that found nothing to do."},
        {.name = "failed",
         .type = FIELD_INTEGER,
         .required = true,
         .help = "Items that did not end well."},
        {.name = "dead",
         .type = FIELD_INTEGER,
         .required = true,
         .help = "Of these, events that are recorded, and whose jobs are dead."},
        {.name = "skipped",
         .type = FIELD_INTEGER,
         .required = true,
         .help = "Items that `event` left out."},
        {.name = "repeated",
         .type = FIELD_INTEGER,
         .required = true,
         .help = "Items with the key of one before: not run again."},
        {.name = "error",
         .type = FIELD_ANY,
         .nullable = true,
         .help = "Why the list could not be read on: {code, message}."},
        {.name = "problems",
         .type = FIELD_LIST,
         .item = FIELD_OBJECT,
         .of = &schema_problem,
         .required = true,
         .help = "The first items that did not end well."},
        {.name = "createdAt", .type = FIELD_TIME, .required = true},
        {.name = "updatedAt", .type = FIELD_TIME, .required = true},
};
const Schema schema_backfill_out = {.name = "BackfillOut", SCHEMA_FIELDS(out_fields)};
LIST_SCHEMA(schema_backfill_list, "BackfillOut", schema_backfill_out);

static const Field list_fields[] = {LIST_FIELDS, LIST_ORDER_FIELD};
const Schema query_backfill_list = {SCHEMA_FIELDS(list_fields)};
