/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs tests/cases/address; each file says at its head how its lines are read. */
#include "net/address.h"
#include "unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>

typedef union Socket {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
} Socket;

enum { WORDS_MAX = 4 };

static const char *cases_folder;

/* Calls fn with the words of each line; returns how many lines there were. */
static size_t each_line(const char *file, void (*fn)(char *const words[WORDS_MAX], void *arg),
                        void *arg) {
        char path[1024], line[512];
        size_t n = 0;

        (void)snprintf(path, sizeof path, "%s/address/%s", cases_folder, file);
        FILE *f = fopen(path, "r");
        assert_non_null(f);
        while (fgets(line, sizeof line, f)) {
                char *words[WORDS_MAX] = {NULL}, *save = NULL;

                if (line[0] == '#' || line[0] == '\n')
                        continue;
                for (size_t i = 0; i < WORDS_MAX; i++)
                        words[i] = strtok_r(i ? NULL : line, " \n", &save);
                fn(words, arg);
                n++;
        }
        (void)fclose(f);
        return n;
}

static Socket socket_v6(const unsigned char bytes[16]) {
        Socket s = {.v6 = {.sin6_family = AF_INET6, .sin6_port = htons(443)}};

        memcpy(&s.v6.sin6_addr, bytes, 16);
        return s;
}

static Socket socket_v4(const unsigned char bytes[4]) {
        Socket s = {.v4 = {.sin_family = AF_INET, .sin_port = htons(443)}};

        memcpy(&s.v4.sin_addr, bytes, 4);
        return s;
}

static void assert_verdict(const unsigned char bytes[16], const char *want,
                           const NetworkList *allow) {
        static const unsigned char mapped[12] = {[10] = 0xff, 0xff};
        Socket as_v6 = socket_v6(bytes), as_v4 = socket_v4(bytes + 12);
        const char *got = address_refused(&as_v6.any, allow);
        char text[64];

        address_print(&as_v6.any, text);
        if (strcmp(got ? got : "dial", want) != 0)
                fail_msg("%s: %s, not %s", text, got ? got : "dial", want);
        if (memcmp(bytes, mapped, 12) != 0)
                return;
        got = address_refused(&as_v4.any, allow);
        if (strcmp(got ? got : "dial", want) != 0)
                fail_msg("%s as IPv4: %s, not %s", text, got ? got : "dial", want);
}

/* Reads an address without the code under test. */
static void bytes_of(const char *text, unsigned char ret[16]) {
        memset(ret, 0, 16);
        if (inet_pton(AF_INET, text, ret + 12) == 1)
                ret[10] = ret[11] = 0xff;
        else if (inet_pton(AF_INET6, text, ret) != 1)
                fail_msg("%s is no address", text);
}

static void try_single(char *const words[WORDS_MAX], void *arg) {
        NetworkList *allow = arg;
        unsigned char bytes[16];

        if (strcmp(words[0], "forget") == 0) {
                allow->n = 0;
        } else if (strcmp(words[0], "allow") == 0) {
                Err e = {0};

                if (network_parse(span_of(words[1]), &allow->item[allow->n++], &e) < 0)
                        fail_msg("%s", e.text);
        } else {
                bytes_of(words[1], bytes);
                assert_verdict(bytes, words[0], allow);
                if (allow->n == 0)
                        assert_verdict(bytes, words[0], NULL);
        }
}

static void each_address_gets_its_verdict(void **state) {
        NetworkList allow = {0};

        (void)state;
        assert_true(each_line("single.case", try_single, &allow) > 120);
}

/* To the address before (by -1) or after (by 1). */
static void move(unsigned char bytes[16], int by) {
        int carry = by;

        for (int i = 15; i >= 0 && carry; i--) {
                int sum = bytes[i] + carry;

                bytes[i] = (unsigned char)sum;
                carry = sum < 0 ? -1 : sum > 255 ? 1 : 0;
        }
}

static void try_range(char *const words[WORDS_MAX], void *arg) {
        unsigned char first[16], last[16];
        char *slash = strchr(words[0], '/');
        unsigned long prefix = strtoul(slash + 1, NULL, 10);

        (void)arg;
        assert_non_null(words[3]);
        *slash = 0;
        bytes_of(words[0], first);
        prefix += strchr(words[0], ':') ? 0 : 96;
        memcpy(last, first, 16);
        for (unsigned long bit = prefix; bit < 128; bit++)
                last[bit / 8] |= (unsigned char)(0x80u >> bit % 8);
        assert_verdict(first, words[1], NULL);
        assert_verdict(last, words[1], NULL);
        if (strcmp(words[2], "-") != 0) {
                move(first, -1);
                assert_verdict(first, words[2], NULL);
        }
        if (strcmp(words[3], "-") != 0) {
                move(last, 1);
                assert_verdict(last, words[3], NULL);
        }
}

static void each_range_ends_where_it_should(void **state) {
        (void)state;
        assert_true(each_line("ranges.case", try_range, NULL) > 40);
}

static void try_network(char *const words[WORDS_MAX], void *arg) {
        bool is_good = strcmp(words[0], "good") == 0;
        Network n = {0};
        Err e = {0};

        (void)arg;
        assert_true(is_good || strcmp(words[0], "bad") == 0);
        if (network_parse(span_of(words[1]), &n, &e) != (is_good ? 0 : -EINVAL))
                fail_msg("%s is taken for %s", words[1], is_good ? "bad" : "good");
        assert_int_equal(e.code, is_good ? 0 : -EINVAL);
}

static void networks_are_read_strictly(void **state) {
        Network n;
        char many[200];

        (void)state;
        assert_true(each_line("networks.case", try_network, NULL) > 40);
        memset(many, '1', sizeof many);
        assert_int_equal(network_parse(span_make(many, sizeof many), &n, NULL), -EINVAL);
        assert_int_equal(network_parse(SPAN(""), &n, NULL), -EINVAL);
        assert_int_equal(network_parse(SPAN("::1\0/128"), &n, NULL), -EINVAL);
        assert_int_equal(network_parse(SPAN("127.0.0.1 "), &n, NULL), -EINVAL);
        assert_int_equal(network_parse(SPAN("10.1.0.0/16"), &n, NULL), 0);
        assert_int_equal(n.prefix, 112);
        assert_memory_equal(n.bytes, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\x01\0\0", 16);
        /* A span that ends before its text does. */
        assert_int_equal(network_parse((Span){"10.0.0.0/80", 10}, &n, NULL), 0);
        assert_int_equal(n.prefix, 104);
}

static void other_families_are_refused(void **state) {
        struct sockaddr a = {.sa_family = AF_UNIX}, b = {.sa_family = AF_UNSPEC};
        NetworkList all = {.n = 2};

        (void)state;
        assert_int_equal(network_parse(SPAN("::/0"), &all.item[0], NULL), 0);
        assert_int_equal(network_parse(SPAN("0.0.0.0/0"), &all.item[1], NULL), 0);
        assert_string_equal(address_refused(&a, &all), "not-internet");
        assert_string_equal(address_refused(&b, &all), "not-internet");
}

static void addresses_are_printed(void **state) {
        unsigned char bytes[16];
        struct sockaddr local = {.sa_family = AF_UNIX};
        char text[64];
        Socket s;

        (void)state;
        s = socket_v4((const unsigned char *)"\x7f\0\0\x01");
        address_print(&s.any, text);
        assert_string_equal(text, "127.0.0.1:443");
        bytes_of("::1", bytes);
        s = socket_v6(bytes);
        address_print(&s.any, text);
        assert_string_equal(text, "[::1]:443");
        bytes_of("1111:2222:3333:4444:5555:6666:7777:8888", bytes);
        s = socket_v6(bytes);
        s.v6.sin6_port = htons(65535);
        address_print(&s.any, text);
        assert_string_equal(text, "[1111:2222:3333:4444:5555:6666:7777:8888]:65535");
        address_print(&local, text);
        assert_string_equal(text, "unix");
}

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(each_address_gets_its_verdict),
                cmocka_unit_test(each_range_ends_where_it_should),
                cmocka_unit_test(networks_are_read_strictly),
                cmocka_unit_test(other_families_are_refused),
                cmocka_unit_test(addresses_are_printed),
        };

        must(argc > 1);
        cases_folder = argv[1];
        return cmocka_run_group_tests(tests, NULL, NULL);
}
