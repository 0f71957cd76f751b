/* SPDX-License-Identifier: Apache-2.0 */
#include "map/cage.h"

#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>

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

static void limit(__rlimit_resource_t what, rlim_t value) {
        struct rlimit l = {value, value};

        must(setrlimit(what, &l) == 0);
}

static void filter(void) {
        static const int allowed[] = {
                SCMP_SYS(read),          SCMP_SYS(write),
                SCMP_SYS(brk),           SCMP_SYS(munmap),
                SCMP_SYS(mremap),        SCMP_SYS(madvise),
                SCMP_SYS(exit_group),    SCMP_SYS(exit),
                SCMP_SYS(rt_sigreturn),  SCMP_SYS(rt_sigprocmask),
                SCMP_SYS(rt_sigaction),  SCMP_SYS(futex),
                SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday),
                SCMP_SYS(setitimer),     SCMP_SYS(getrandom),
                SCMP_SYS(getpid),        SCMP_SYS(gettid),
                SCMP_SYS(tgkill),        SCMP_SYS(restart_syscall),
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
        must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
        limit(RLIMIT_CORE, 0);
        limit(RLIMIT_FSIZE, 0);
        if (SANITIZED)
                return;
        limit(RLIMIT_NOFILE, 0);
        limit(RLIMIT_AS, memory_bytes);
        filter();
}
