/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "base/random.h"
#include "cli/command.h"
#include "cli/table.h"
#include "sign/encoding.h"

static int run(const CommandLine *l) {
        AUTO(buf_done)
        Buf b = BUF(256);
        unsigned char bytes[32];

        (void)l;
        random_bytes(bytes, sizeof bytes);
        if (buf_add(&b, SPAN("whsec_")) < 0 ||
            base64_print((Span){(char *)bytes, sizeof bytes}, &b) < 0)
                return 1;
        printf(SPAN_FMT "\n", SPAN_ARG(buf_span(&b)));
        return 0;
}

const Command command_secret = {
        .name = "secret",
        .arguments = "",
        .help = "Print a new secret.",
        .more = "32 random bytes from the kernel, as Standard Webhooks writes them: whsec_ and\n"
                "base64. It fits a source's `verify: {scheme: standard, secret: ...}`, and any\n"
                "other place that wants a secret. It is printed once and kept nowhere.\n",
        .run = run,
};
