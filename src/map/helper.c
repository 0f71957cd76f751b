/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads inputs, runs programs, writes answers, each at once, so that nobody waits for the run
 * behind his. What ends a run ends the process, after one last word that says why; the daemon
 * needs no other news of its death than that and the end of the stream. */
#include "map/helper.h"

#include "map/cage.h"
#include "map/wire.h"

#include <malloc.h>
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

enum {
        STREAM_FD = 0, /* the one descriptor */
        STACK_FOR_SIGNALS = 64 * 1024,
        READ_BYTES = 64 * 1024,
        KEEP_BYTES = 1024 * 1024,       /* of the memory of a large input */
        TIRED_BYTES = 16 * 1024 * 1024, /* lost, most likely */
        LOOK_EVERY_RUNS = 256,
};

static bool write_all(const void *p, size_t n) {
        const char *at = p;

        while (n) {
                ssize_t done = write(STREAM_FD, at, n);

                if (done < 0 && errno == EINTR)
                        continue;
                if (done <= 0)
                        return false;
                at += done;
                n -= (size_t)done;
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

static WireWord word_of(JqEnd end) {
        static const WireWord words[] = {
                [JQ_OK] = WIRE_OK,
                [JQ_EMPTY] = WIRE_EMPTY,
                [JQ_FAILED] = WIRE_FAILED,
                [JQ_LARGE] = WIRE_LARGE,
        };

        return words[end];
}

/* What one run needs besides its input; kept from run to run. */
typedef struct Scratch {
        Buf result, frame;
        size_t memory_bytes; /* in use before the first run */
        unsigned runs;
} Scratch;

/* Some builtins of jq 1.6 lose a little memory in each run (index() on an array: 64 bytes). A
 * helper that lost much is replaced by a fresh one. */
static size_t memory_in_use(void) {
        struct mallinfo2 m = mallinfo2();

        return m.uordblks + m.hblkhd;
}

static bool is_tired(Scratch *s) {
        return ++s->runs % LOOK_EVERY_RUNS == 0 && memory_in_use() > s->memory_bytes + TIRED_BYTES;
}

/* Runs program `number` on `input` and writes the answer. */
static bool answer(JqProgram *const *programs, uint32_t number, Span input, Scratch *s) {
        JqEnd end = JQ_FAILED;

        buf_clear(&s->result);
        buf_clear(&s->frame);
        cpu_budget(MAP_CPU_MS);
        if (programs[number]) /* else it has compiled before, but not in this nursery */
                end = jq_program_run(programs[number], input, &s->result);
        cpu_budget(0);
        WireHead head = {(uint32_t)s->result.n, word_of(end)};
        if (buf_add(&s->frame, (Span){(char *)&head, sizeof head}) < 0 ||
            buf_add(&s->frame, buf_span(&s->result)) < 0)
                die(WIRE_MEMORY);
        return write_all(s->frame.p, s->frame.n);
}

/* Takes the whole frames that are there; what is left is the beginning of the next one. */
static bool answer_all(JqProgram *const *programs, size_t n_programs, Buf *in, Scratch *s) {
        size_t at = 0;
        WireHead ask;

        while (in->n - at >= sizeof ask) {
                memcpy(&ask, in->p + at, sizeof ask);
                must(ask.word < n_programs && ask.n <= WIRE_INPUT_MAX_BYTES);
                if (in->n - at - sizeof ask < ask.n)
                        break;
                if (!answer(programs, ask.word, (Span){in->p + at + sizeof ask, ask.n}, s))
                        return false;
                if (is_tired(s))
                        die(WIRE_TIRED);
                at += sizeof ask + ask.n;
        }
        buf_eat(in, at);
        return true;
}

static void serve(JqProgram *const *programs, size_t n_programs) {
        AUTO(buf_done)
        Buf in = BUF(sizeof(WireHead) + WIRE_INPUT_MAX_BYTES + READ_BYTES);
        Scratch s = {.result = BUF(MAP_OUTPUT_MAX_BYTES),
                     .frame = BUF(sizeof(WireHead) + MAP_OUTPUT_MAX_BYTES),
                     .memory_bytes = memory_in_use()};

        for (;;) {
                char *at = NULL;
                ssize_t got;

                if (in.n == 0 && in.cap > KEEP_BYTES)
                        buf_done(&in);
                if (buf_room(&in, READ_BYTES, &at) < 0)
                        die(WIRE_MEMORY);
                got = read(STREAM_FD, at, READ_BYTES);
                if (got < 0 && errno == EINTR)
                        continue;
                if (got <= 0)
                        break;
                in.n += (size_t)got;
                if (!answer_all(programs, n_programs, &in, &s))
                        break;
        }
        buf_done(&s.result);
        buf_done(&s.frame);
}

_Noreturn void helper_main(int fd, JqProgram *const *programs, size_t n) {
        uint32_t pid = (uint32_t)getpid();
        WireHead hello = {sizeof pid, WIRE_HELLO};

        must(dup2(fd, STREAM_FD) == STREAM_FD && close_range(STREAM_FD + 1, ~0u, 0) == 0);
        catch_signals();
        jq_program_on_no_memory(on_no_memory, NULL);
        cage_enter(MAP_MEMORY_BYTES);
        if (write_all(&hello, sizeof hello) && write_all(&pid, sizeof pid))
                serve(programs, n);
        _exit(0);
}
