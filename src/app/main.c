/* SPDX-License-Identifier: Apache-2.0 */
#include "map/map.h"

int main(int argc, char **argv) {
        uint64_t fd;

        if (argc == 3 && strcmp(argv[1], "jq-nursery") == 0 &&
            span_to_u64(span_of(argv[2]), INT32_MAX, &fd))
                return map_nursery_main((int)fd);
        return 0;
}
