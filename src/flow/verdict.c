/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/verdict.h"

#include "base/clock.h"
#include "http/retry_after.h"

enum { RETRY_AFTER_MAX_MS = 24 * 3600 * 1000 };

const struct DeliveryCodeRow delivery_codes[DELIVERY_CODES] = {
        [DELIVERY_DELIVERED] = {"delivered", "2xx."},
        [DELIVERY_FILTERED] =
                {"filtered",
                 "The endpoint's filter left it out; nothing was sent, and that is a success."},
        [DELIVERY_REFUSED] = {"refused", "Any answer but 2xx and 410, redirects among them. Tried "
                                         "again, and not before its `Retry-After`."},
        [DELIVERY_GONE] = {"gone", "410: the endpoint is disabled."},
        [DELIVERY_ADDRESS_REFUSED] = {"address-refused",
                                      "The address may not be dialled: `outbound.allow`."},
        [DELIVERY_NAME_UNKNOWN] = {"name-unknown",
                                   "There is no such name, or no name server answered."},
        [DELIVERY_UNREACHABLE] = {"unreachable",
                                  "No connection; or there was none so often that the endpoint is "
                                  "left alone for a while, at most 5 minutes."},
        [DELIVERY_TLS] = {"tls", "No TLS: a certificate that does not hold, theirs or ours."},
        [DELIVERY_TIMEOUT] = {"timeout",
                              "No whole answer within `timeout`: they may have taken it."},
        [DELIVERY_BROKEN] = {"broken", "Cut off in the middle: they may have taken it."},
        [DELIVERY_BAD_ANSWER] = {"bad-answer", "The answer is no HTTP: they may have taken it."},
        [DELIVERY_MAPPING_FAILED] = {"mapping-failed",
                                     "The filter or transformation failed, or used up its time or "
                                     "memory; the message says where."},
        [DELIVERY_NOT_SIGNABLE] = {"not-signable", "The profile cannot sign this, or the headers "
                                                   "became too many; the message says which."},
        [DELIVERY_NO_TOKEN] = {"no-token",
                               "No token could be fetched with `oauth2`; the message says why."},
        [DELIVERY_NO_CONSENT] = {"no-consent",
                                 "The receiver was asked first (`handshake`) and did not agree."},
        [DELIVERY_ENDPOINT_DISABLED] = {"endpoint-disabled",
                                        "The endpoint was disabled meanwhile."},
        [DELIVERY_NO_TARGET] =
                {"no-target", "The endpoint was removed meanwhile, from the API or from the file."},
        [DELIVERY_CANCELLED] =
                {"cancelled",
                 "Broken off because Grapnel stopped; it is tried again after the start."},
        [DELIVERY_NOT_SENT] = {"not-sent", "The call could not be made; the message says why."},
        [DELIVERY_LEFT_OUT] = {"left-out", "The batch had no room for it: it goes with the next."},
};

static Verdict judge_status(const ClientAnswer *a) {
        Verdict v = {
                .job = JOB_RETRY, .status = a->status, .code = DELIVERY_REFUSED, .wait_ms = -1};
        Span after = client_answer_get(a, "retry-after");
        int64_t wait_ms;

        if (a->status >= 200 && a->status < 300) {
                v.job = JOB_SUCCEEDED;
                v.code = DELIVERY_DELIVERED;
                (void)snprintf(v.message, sizeof v.message, "Delivered (%d).", a->status);
                return v;
        }
        if (a->status == 410) {
                v.job = JOB_FAILED;
                v.code = DELIVERY_GONE;
                (void)snprintf(v.message, sizeof v.message,
                               "The endpoint says that it is gone (410); it is disabled.");
                return v;
        }
        if (after.p && http_retry_after(after, clock_wall_ms(), RETRY_AFTER_MAX_MS, &wait_ms))
                v.wait_ms = wait_ms;
        (void)snprintf(v.message, sizeof v.message, "The endpoint %s (%d).",
                       a->status >= 300 && a->status < 400
                               ? "answered with a redirect, which is not followed"
                               : "did not take it",
                       a->status);
        return v;
}

static DeliveryCode code_of(ClientEnd end) {
        switch (end) {
        case CLIENT_GATE:
                return DELIVERY_ADDRESS_REFUSED;
        case CLIENT_NAME:
                return DELIVERY_NAME_UNKNOWN;
        case CLIENT_CONNECT:
                return DELIVERY_UNREACHABLE;
        case CLIENT_TLS:
                return DELIVERY_TLS;
        case CLIENT_TIMEOUT:
                return DELIVERY_TIMEOUT;
        case CLIENT_BROKEN:
                return DELIVERY_BROKEN;
        case CLIENT_BAD_ANSWER:
                return DELIVERY_BAD_ANSWER;
        case CLIENT_CANCELLED:
                return DELIVERY_CANCELLED;
        default:
                return DELIVERY_NOT_SENT;
        }
}

Verdict verdict_of(const ClientAnswer *a) {
        Verdict v = {.job = JOB_RETRY, .code = code_of(a->end), .wait_ms = -1};

        /* A whole head says it, though the body behind it was cut off, came too slowly or is too
         * long: a 2xx was said when all of the request was there, and what a failure says of when
         * to come back holds as well. Not one that could be read in two ways. */
        if (a->status && a->end != CLIENT_BAD_ANSWER)
                return judge_status(a);
        (void)snprintf(v.message, sizeof v.message, "%s", a->why);
        return v;
}

int delivery_codes_print(Buf *out) {
        int r = buf_add(out, SPAN("| code | what happened |\n|---|---|\n"));

        for (size_t i = 0; i < DELIVERY_CODES && r == 0; i++)
                r = buf_addf(out, "| `%s` | %s |\n", delivery_codes[i].name,
                             delivery_codes[i].help);
        return r < 0 ? r : buf_add_char(out, '\n');
}
