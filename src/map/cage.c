/* SPDX-License-Identifier: Apache-2.0 */
#include "map/cage.h"

#include <fcntl.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
        __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

#define STACK_BYTES (8 * 1024 * 1024)

bool cage_is_strict(void) {
        return !SANITIZED;
}

static void limit(__rlimit_resource_t what, rlim_t value) {
        struct rlimit l = {value, value}, now;

        must(getrlimit(what, &now) == 0);
        if (now.rlim_max < value)
                l.rlim_cur = l.rlim_max = now.rlim_max;
        must(setrlimit(what, &l) == 0);
}

/* Libraries and compiled programs are there already and differ from one configuration to the
 * next; a limit on the sum would leave little to a large one. */
static size_t address_space_bytes(void) {
        char text[64];
        unsigned long pages = 0;
        int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);

        if (fd < 0)
                return 0;
        ssize_t n = read(fd, text, sizeof text - 1);
        close(fd);
        if (n > 0) {
                text[n] = 0;
                pages = strtoul(text, NULL, 10);
        }
        return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void filter(void) {
        static const int allowed[] = {
                SCMP_SYS(read),         SCMP_SYS(write),          SCMP_SYS(writev),
                SCMP_SYS(brk),          SCMP_SYS(munmap),         SCMP_SYS(mremap),
                SCMP_SYS(madvise),      SCMP_SYS(exit_group),     SCMP_SYS(exit),
                SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigaction),
                SCMP_SYS(futex),        SCMP_SYS(clock_gettime),  SCMP_SYS(gettimeofday),
                SCMP_SYS(setitimer),    SCMP_SYS(getrandom),      SCMP_SYS(getpid),
                SCMP_SYS(gettid),       SCMP_SYS(tgkill),         SCMP_SYS(restart_syscall),
        };
        scmp_filter_ctx f = seccomp_init(SCMP_ACT_KILL_PROCESS);

        must(f);
        for (size_t i = 0; i < COUNT_OF(allowed); i++)
                must(seccomp_rule_add(f, SCMP_ACT_ALLOW, allowed[i], 0) == 0);
        /* Memory, but none that could be executed (PROT_EXEC is 4). */
        must(seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
                              SCMP_A2(SCMP_CMP_MASKED_EQ, 4, 0)) == 0);
        must(seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
                              SCMP_A2(SCMP_CMP_MASKED_EQ, 4, 0)) == 0);
        must(seccomp_load(f) == 0);
        seccomp_release(f);
}

void cage_enter(size_t memory_bytes) {
        /* The C library reads its zone file at the first local time, and looks for it again and
         * again unless TZ names one. */
        must(setenv("TZ", ":/etc/localtime", 1) == 0);
        tzset();
        must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
        limit(RLIMIT_CORE, 0);
        limit(RLIMIT_FSIZE, 0);
        if (SANITIZED)
                return;
        limit(RLIMIT_AS, address_space_bytes() + memory_bytes);
        limit(RLIMIT_STACK, STACK_BYTES);
        limit(RLIMIT_NPROC, 0);
        limit(RLIMIT_NOFILE, 0);
        filter();
}

void cage_bar_files(bool barred) {
        struct rlimit l;

        must(getrlimit(RLIMIT_NOFILE, &l) == 0);
        l.rlim_cur = barred ? 0 : l.rlim_max;
        must(setrlimit(RLIMIT_NOFILE, &l) == 0);
}
