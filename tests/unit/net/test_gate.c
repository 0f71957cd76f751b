/* SPDX-License-Identifier: Apache-2.0 */
#include "peer.h"

#include "net/gate.h"

#include <fcntl.h>
#include <netinet/tcp.h>

static struct sockaddr_in v4(const char *ip, int port) {
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};

        must(inet_pton(AF_INET, ip, &a.sin_addr) == 1);
        return a;
}

static NetworkList allow(const char *network) {
        NetworkList l = {.n = 1};

        must(network_parse(span_of(network), &l.item[0], NULL) == 0);
        return l;
}

static void a_refused_address_gets_no_socket(void **state) {
        static const char *const ips[] = {"127.0.0.1",       "10.0.0.1",  "169.254.169.254",
                                          "168.63.129.16",   "0.0.0.0",   "224.0.0.1",
                                          "255.255.255.255", "100.64.0.1"};

        (void)state;
        for (size_t i = 0; i < COUNT_OF(ips); i++) {
                struct sockaddr_in to = v4(ips[i], 80);
                Gate g;

                gate_init(&g, NULL);
                assert_int_equal(gate_open(&g, (struct sockaddr *)&to, SOCK_STREAM, 0), -EACCES);
                assert_non_null(g.refused);
                assert_int_equal(g.opened, 0);
                assert_string_equal(g.dialled, "");
                assert_false(gate_passes(&g, ips[i], 80));
        }
}

static void the_refusal_says_how_to_allow_it(void **state) {
        struct sockaddr_in6 to = {
                .sin6_family = AF_INET6, .sin6_port = htons(8443), .sin6_addr = in6addr_loopback};
        char why[200];
        Gate g;

        (void)state;
        gate_init(&g, NULL);
        assert_int_equal(gate_open(&g, (struct sockaddr *)&to, SOCK_STREAM, 0), -EACCES);
        gate_why(&g, why, sizeof why);
        assert_string_equal(why, "[::1]:8443 is loopback; allow it with outbound.allow: ::1/128");
        struct sockaddr_in second = v4("10.1.2.3", 80);
        assert_int_equal(gate_open(&g, (struct sockaddr *)&second, SOCK_STREAM, 0), -EACCES);
        gate_why(&g, why, sizeof why);
        assert_non_null(strstr(why, "[::1]:8443"));

        gate_init(&g, NULL);
        assert_int_equal(gate_open(&g, (struct sockaddr *)&second, SOCK_STREAM, 0), -EACCES);
        gate_why(&g, why, sizeof why);
        assert_string_equal(why,
                            "10.1.2.3:80 is private; allow it with outbound.allow: 10.1.2.3/32");
}

static void allowing_one_address_opens_no_other(void **state) {
        NetworkList list = allow("192.168.0.120/32");
        Gate g;

        (void)state;
        gate_init(&g, &list);
        assert_true(gate_passes(&g, "192.168.0.120", 80));
        assert_string_equal(g.dialled, "192.168.0.120:80");
        assert_false(gate_passes(&g, "192.168.0.121", 80));
        assert_false(gate_passes(&g, "127.0.0.1", 80));
        assert_false(gate_passes(&g, "::1", 80));
        assert_false(gate_passes(&g, "::ffff:127.0.0.1", 80));
        assert_false(gate_passes(&g, "localhost", 80));
        assert_false(gate_passes(&g, "", 80));
        assert_true(gate_passes(&g, "93.184.216.34", 80));
}

static void a_socket_comes_out_ready(void **state) {
        NetworkList list = allow("127.0.0.1/32");
        struct sockaddr_in to = v4("127.0.0.1", 9);
        socklen_t n = sizeof(int);
        int flag = 0;
        Gate g;

        (void)state;
        gate_init(&g, &list);
        int fd = gate_open(&g, (struct sockaddr *)&to, SOCK_STREAM, IPPROTO_TCP);
        assert_true(fd >= 0);
        assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
        assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &flag, &n), 0);
        assert_true(flag);
        if (getsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &flag, &n) == 0)
                assert_int_equal(flag, GATE_SILENCE_MS);
        assert_int_equal(g.opened, 1);
        assert_string_equal(g.dialled, "127.0.0.1:9");
        close(fd);
}

static void other_families_and_purposes_have_no_way_out(void **state) {
        NetworkList list = allow("127.0.0.1/32");
        struct curl_sockaddr to = {.family = AF_INET, .socktype = SOCK_STREAM, .protocol = 0};
        struct sockaddr_in v4_to = v4("127.0.0.1", 9);
        struct sockaddr local = {.sa_family = AF_UNIX};
        Gate g;

        (void)state;
        gate_init(&g, &list);
        assert_true(gate_open(&g, &local, SOCK_STREAM, 0) < 0);
        memcpy(&to.addr, &v4_to, sizeof to.addr);
        assert_int_equal(gate_on_open(&g, CURLSOCKTYPE_ACCEPT, &to), CURL_SOCKET_BAD);
        curl_socket_t fd = gate_on_open(&g, CURLSOCKTYPE_IPCXN, &to);
        assert_true(fd >= 0);
        close(fd);
        gate_init(&g, NULL);
        assert_int_equal(gate_on_open(&g, CURLSOCKTYPE_IPCXN, &to), CURL_SOCKET_BAD);
        assert_string_equal(g.refused, "loopback");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_refused_address_gets_no_socket),
                cmocka_unit_test(the_refusal_says_how_to_allow_it),
                cmocka_unit_test(allowing_one_address_opens_no_other),
                cmocka_unit_test(a_socket_comes_out_ready),
                cmocka_unit_test(other_families_and_purposes_have_no_way_out),
        };

        return cmocka_run_group_tests_name("gate", tests, NULL, NULL);
}
