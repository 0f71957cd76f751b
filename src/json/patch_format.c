/* SPDX-License-Identifier: Apache-2.0 */
#include "json/patch_format.h"

#define ROWS                                                                                       \
        ROW("merge", "application/merge-patch+json", false, json_diff_merge)                       \
        ROW("json-patch", "application/json-patch+json", true, json_diff_patch)                    \
        ROW("json-patch-test", "application/json-patch+json", true, json_diff_patch_tested)        \
        ROW("scim", SCIM_CONTENT_TYPE, true, json_diff_scim)                                       \
        ROW("scim-entra", SCIM_CONTENT_TYPE, true, json_diff_scim_entra)                           \
        ROW("scim-okta", SCIM_CONTENT_TYPE, true, json_diff_scim_okta)

#define ROW(name, type, needs_have, diff) {name, type, needs_have, diff},
const PatchFormat patch_formats[PATCH_FORMATS] = {ROWS};
#undef ROW

/* Options take their choices as a list of names. */
#define ROW(name, type, needs_have, diff) name,
const char *const patch_format_names[PATCH_FORMATS + 1] = {ROWS NULL};
#undef ROW
