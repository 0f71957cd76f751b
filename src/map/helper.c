/* SPDX-License-Identifier: Apache-2.0 */
#include "map/helper.h"

#include "map/cage.h"
#include "map/wire.h"

#include <pthread.h>
#include <signal.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define STACK_FOR_SIGNALS (64 * 1024)

static int stream = -1; /* the one descriptor, for the handlers below */

static bool write_all(const void *p, size_t n) {
        const char *at = p;

        while (n) {
                ssize_t done = write(stream, at, n);

                if (done < 0 && errno == EINTR)
                        continue;
                if (done <= 0)
                        return false;
                at += done;
                n -= (size_t)done;
        }
        return true;
}

static bool read_all(void *p, size_t n) {
        char *at = p;

        while (n) {
                ssize_t got = read(stream, at, n);

                if (got < 0 && errno == EINTR)
                        continue;
                if (got <= 0)
                        return false;
                at += got;
                n -= (size_t)got;
        }
        return true;
}

/* The last word before the end: async-signal-safe. */
static _Noreturn void die(WireWord word) {
        WireHead head = {0, word};

        (void)write_all(&head, sizeof head);
        _exit(1);
}

static void on_cpu(int sig) {
        (void)sig;
        die(WIRE_CPU);
}

static void on_crash(int sig) {
        (void)sig;
        die(WIRE_CRASH);
}

static void on_no_memory(void *arg) {
        (void)arg;
        die(WIRE_MEMORY);
}

static void catch_signals(void) {
        static char stack[STACK_FOR_SIGNALS];
        stack_t other = {.ss_sp = stack, .ss_size = sizeof stack};
        struct sigaction crash = {.sa_handler = on_crash, .sa_flags = SA_ONSTACK},
                         cpu = {.sa_handler = on_cpu, .sa_flags = SA_ONSTACK};

        must(sigaltstack(&other, NULL) == 0);
        must(sigaction(SIGSEGV, &crash, NULL) == 0 && sigaction(SIGBUS, &crash, NULL) == 0 &&
             sigaction(SIGABRT, &crash, NULL) == 0 && sigaction(SIGPROF, &cpu, NULL) == 0);
        (void)signal(SIGPIPE, SIG_IGN);
}

static void cpu_budget(int ms) {
        struct itimerval t = {.it_value = {ms / 1000, (ms % 1000) * 1000}};

        must(setitimer(ITIMER_PROF, &t, NULL) == 0);
}

static void serve(JqProgram *const *programs, size_t n) {
        AUTO(buf_done)
        Buf in = BUF(WIRE_INPUT_MAX_BYTES + 1);
        AUTO(buf_done)
        Buf out = BUF(MAP_OUTPUT_MAX_BYTES + sizeof(WireHead));
        WireHead ask;

        while (read_all(&ask, sizeof ask)) {
                char *at = NULL;

                buf_clear(&in);
                buf_clear(&out);
                must(ask.word < n && ask.n <= WIRE_INPUT_MAX_BYTES);
                if (buf_room(&in, ask.n + 1, &at) < 0)
                        die(WIRE_MEMORY);
                if (!read_all(at, ask.n))
                        return;
                at[ask.n] = 0; /* jq 1.6 reads one byte behind (CVE-2026-39979) */
                cpu_budget(MAP_CPU_MS);
                JqEnd end = jq_program_run(programs[ask.word], (Span){at, ask.n}, &out);
                cpu_budget(0);
                WireHead head = {(uint32_t)out.n, end == JQ_OK      ? WIRE_OK
                                                  : end == JQ_EMPTY ? WIRE_EMPTY
                                                                    : WIRE_FAILED};
                if (!write_all(&head, sizeof head) || !write_all(out.p, out.n))
                        return;
        }
}

_Noreturn void helper_main(int fd, JqProgram *const *programs, size_t n) {
        uint32_t pid = (uint32_t)getpid();
        WireHead hello = {sizeof pid, WIRE_HELLO};

        stream = fd;
        catch_signals();
        jq_program_on_no_memory(on_no_memory, NULL);
        tzset(); /* reads its file now, before there are none */
        cage_enter(MAP_MEMORY_BYTES);
        if (write_all(&hello, sizeof hello) && write_all(&pid, sizeof pid))
                serve(programs, n);
        _exit(0);
}
