/* SPDX-License-Identifier: Apache-2.0 */
#include "run.h"

static void a_program_runs(void **state) {
        Bench *b = bench_new();
        Program *p = bench_add(b, "{id: .order.id, total: (.order.lines | map(.price) | add)}");

        (void)state;
        bench_start(b, NULL);
        run_expect(b, p, "{\"order\":{\"id\":7,\"lines\":[{\"price\":2},{\"price\":3}]}}", MAP_OK,
                   "{\"id\":7,\"total\":5}");
        bench_end(b);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_program_runs),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
