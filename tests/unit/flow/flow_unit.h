/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of this room share: objects and endpoints in one line. */
#pragma once

#include "base/id.h"
#include "flow/endpoint.h"
#include "unit.h"

#define SECRET  "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
#define SECRETS "\"secrets\":[{\"key\":\"" SECRET "\"}]"

static inline Object application_of(int64_t id, int64_t version) {
        return (Object){
                .kind = OBJECT_APPLICATION, .id = id, .text = SPAN("{}"), .version = version};
}

static inline Object endpoint_of(int64_t id, int64_t application, int64_t version, Span text) {
        return (Object){.kind = OBJECT_ENDPOINT,
                        .id = id,
                        .owner = application,
                        .text = text,
                        .version = version};
}

static inline Object endpoint_at(int64_t id, int64_t application, int64_t version) {
        return endpoint_of(id, application, version,
                           SPAN("{\"url\":\"https://example.com/hook\"," SECRETS "}"));
}

/* "endpoint:ep_..." */
typedef struct TargetText {
        char text[ENDPOINT_TARGET_TEXT];
} TargetText;

static inline TargetText target_of(int64_t id) {
        TargetText ret;
        char text[ID_TEXT];

        id_print("ep", id, text);
        (void)snprintf(ret.text, sizeof ret.text, "endpoint:%s", text);
        return ret;
}
