/* SPDX-License-Identifier: Apache-2.0 */
#include "map/cage.h"
#include "unit.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MEMORY_BYTES (64 * 1024 * 1024)

/* How a process ends that does this in the cage; exit status 7: nothing stopped it. */
static int status_of(void (*act)(void)) {
        int status = 0;
        pid_t pid = fork();

        if (pid == 0) {
                cage_enter(MEMORY_BYTES);
                act();
                _exit(7);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        return status;
}

static void dies_of_it(void (*act)(void)) {
        int status;

        if (!cage_is_strict())
                skip();
        status = status_of(act);
        if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
                fail_msg("status %x", (unsigned)status);
}

static void opens_a_file(void) {
        (void)!open("/etc/passwd", O_RDONLY);
}
static void makes_a_socket(void) {
        (void)!socket(AF_INET, SOCK_STREAM, 0);
}
static void starts_a_program(void) {
        char *none[] = {NULL};

        (void)!execve("/bin/true", none, none);
}
static void forks(void) {
        (void)!fork();
}
static void kills(void) {
        (void)!kill(getppid(), 0);
}
static void connects_its_stream(void) {
        struct sockaddr a = {.sa_family = AF_UNSPEC};

        (void)!connect(0, &a, sizeof a);
}
static void makes_memory_executable(void) {
        (void)!mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}
static void raises_a_limit(void) {
        struct rlimit l = {RLIM_INFINITY, RLIM_INFINITY};

        (void)!setrlimit(RLIMIT_AS, &l);
}
static void does_its_work(void) {
        time_t t = time(NULL);
        struct tm tm;
        char *p = malloc(1000000);

        if (!p || !gmtime_r(&t, &tm))
                _exit(8);
        free(p);
        (void)!write(1, "", 0);
}
static void asks_for_too_much(void) {
        for (size_t all = 0; all < (size_t)MEMORY_BYTES * 2; all += 1 << 20)
                if (!malloc(1 << 20))
                        _exit(all > (size_t)MEMORY_BYTES / 2 ? 9 : 10);
}

static void files_cannot_be_opened(void **state) {
        (void)state;
        dies_of_it(opens_a_file);
}
static void sockets_cannot_be_made(void **state) {
        (void)state;
        dies_of_it(makes_a_socket);
        dies_of_it(connects_its_stream);
}
static void processes_cannot_be_started_or_killed(void **state) {
        (void)state;
        dies_of_it(starts_a_program);
        dies_of_it(forks);
        dies_of_it(kills);
}
static void memory_cannot_become_code(void **state) {
        (void)state;
        dies_of_it(makes_memory_executable);
}
static void limits_cannot_be_raised(void **state) {
        (void)state;
        dies_of_it(raises_a_limit);
}
static void ordinary_work_goes_on(void **state) {
        int status = status_of(does_its_work);

        (void)state;
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}
static void memory_ends_at_its_limit(void **state) {
        int status;

        (void)state;
        if (!cage_is_strict())
                skip();
        status = status_of(asks_for_too_much);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 9);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(files_cannot_be_opened),
                cmocka_unit_test(sockets_cannot_be_made),
                cmocka_unit_test(processes_cannot_be_started_or_killed),
                cmocka_unit_test(memory_cannot_become_code),
                cmocka_unit_test(limits_cannot_be_raised),
                cmocka_unit_test(ordinary_work_goes_on),
                cmocka_unit_test(memory_ends_at_its_limit),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
