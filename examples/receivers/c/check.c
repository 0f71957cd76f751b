/* SPDX-License-Identifier: Apache-2.0 */
/* Verifies one delivery as CGI hands it over; see ../README.md. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

bool verify(const char *secret, const char *id, const char *timestamp, const char *signatures,
            const void *body, size_t n);

enum { BODY_MAX_BYTES = 16 * 1024 * 1024 };

int main(void) {
        static char body[BODY_MAX_BYTES + 1];
        const char *secret = getenv("WEBHOOK_SECRET");
        size_t n = fread(body, 1, sizeof body, stdin);
        bool good =
                n <= BODY_MAX_BYTES && !ferror(stdin) &&
                verify(secret ? secret : "", getenv("HTTP_WEBHOOK_ID"),
                       getenv("HTTP_WEBHOOK_TIMESTAMP"), getenv("HTTP_WEBHOOK_SIGNATURE"), body, n);

        puts(good ? "accepted" : "refused");
        return good ? 0 : 1;
}
