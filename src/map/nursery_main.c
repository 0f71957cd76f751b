/* SPDX-License-Identifier: Apache-2.0
 *
 * The nursery process: compiles every program once and forks helpers that share the result. It
 * reads no outside data but the programs' texts, and ends with the daemon that started it. */
#include "map/cage.h"
#include "map/helper.h"
#include "map/wire.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CONTROL_FD = 3 };

typedef struct Brood {
        JqProgram *programs[MAP_PROGRAMS_MAX];
        size_t n;
} Brood;

static pid_t daemon_pid(void) {
        struct ucred peer = {0};
        socklen_t n = sizeof peer;

        return getsockopt(CONTROL_FD, SOL_SOCKET, SO_PEERCRED, &peer, &n) == 0 ? peer.pid : -1;
}

/* The kernel sends the signal when the *thread* ends that started us; that alone is no reason. */
static void on_parent_end(int sig) {
        (void)sig;
        if (getppid() != daemon_pid())
                _exit(0);
}

static void follow_the_daemon(void) {
        struct sigaction end = {.sa_handler = on_parent_end, .sa_flags = SA_RESTART};

        must(sigaction(SIGTERM, &end, NULL) == 0);
        must(prctl(PR_SET_PDEATHSIG, SIGTERM) == 0);
        on_parent_end(SIGTERM); /* it may have ended before the line above */
}

static void shut_everything(int control) {
        must(control == CONTROL_FD || dup2(control, CONTROL_FD) == CONTROL_FD);
        must(close_range(CONTROL_FD + 1, ~0u, 0) == 0);
        must(fcntl(CONTROL_FD, F_SETFD, FD_CLOEXEC) == 0);
        int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
        must(nothing >= 0);
        for (int fd = 0; fd < CONTROL_FD; fd++)
                must(dup2(nothing, fd) == fd);
        close(nothing);
        must(chdir("/") == 0);
        must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
        must(prctl(PR_SET_DUMPABLE, 0) == 0);
        must(signal(SIGCHLD, SIG_IGN) != SIG_ERR); /* helpers' ends are heard on their streams */
}

/* The next word with its descriptor, or 0 at the end of the talk. */
static char hear(int *ret_fd) {
        union {
                struct cmsghdr head;
                char bytes[CMSG_SPACE(sizeof(int))];
        } extra;
        char word = 0;
        struct iovec part = {&word, 1};
        struct msghdr m = {.msg_iov = &part,
                           .msg_iovlen = 1,
                           .msg_control = extra.bytes,
                           .msg_controllen = sizeof extra.bytes};
        ssize_t n;

        do
                n = recvmsg(CONTROL_FD, &m, MSG_CMSG_CLOEXEC);
        while (n < 0 && errno == EINTR);
        struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&m) : NULL;
        if (!c || c->cmsg_type != SCM_RIGHTS)
                return 0;
        memcpy(ret_fd, CMSG_DATA(c), sizeof *ret_fd);
        return word;
}

static bool compile(Brood *b, const char *text, bool report) {
        char answer[1 + WIRE_MESSAGE_MAX_BYTES] = {WIRE_GOOD};

        if (jq_program_compile(text, &b->programs[b->n++], answer + 1, sizeof answer - 1) < 0)
                answer[0] = WIRE_BAD;
        return !report || send(CONTROL_FD, answer, strlen(answer), MSG_NOSIGNAL) > 0;
}

static char *read_whole(int fd, size_t *ret) {
        struct stat st;
        size_t n = 0;

        if (fstat(fd, &st) < 0 || st.st_size <= 0)
                return NULL;
        char *p = must_alloc((size_t)st.st_size);
        while (n < (size_t)st.st_size) {
                ssize_t got = pread(fd, p + n, (size_t)st.st_size - n, (off_t)n);

                if (got < 0 && errno == EINTR)
                        continue;
                if (got <= 0)
                        break;
                n += (size_t)got;
        }
        *ret = n;
        if (n && p[n - 1] == 0)
                return p;
        free(p);
        return NULL;
}

static bool compile_all(Brood *b, int fd, bool report) {
        size_t n = 0;
        AUTO(freep)
        char *texts = read_whole(fd, &n);
        const char ready = WIRE_READY;
        bool good = texts && (!report || send(CONTROL_FD, &ready, 1, MSG_NOSIGNAL) == 1);

        cage_bar_files(true);
        for (char *t = texts; good && t < texts + n && b->n < MAP_PROGRAMS_MAX; t += strlen(t) + 1)
                good = compile(b, t, report);
        cage_bar_files(false);
        return good;
}

static void fork_helper(Brood *b, int fd) {
        pid_t parent = getpid();

        if (fork() != 0)
                return; /* when there was no child, the stream's end says so */
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
                _exit(1);
        must(signal(SIGTERM, SIG_DFL) != SIG_ERR);
        helper_main(fd, b->programs, b->n);
}

int map_nursery_main(int control) {
        Brood *b = must_alloc(sizeof *b);
        int fd = -1;
        char word;

        shut_everything(control);
        follow_the_daemon();
        while ((word = hear(&fd))) {
                if (word == WIRE_FORK)
                        fork_helper(b, fd);
                else if (!compile_all(b, fd, word == WIRE_COMPILE_REPORT))
                        break;
                close(fd);
        }
        _exit(0); /* what was compiled goes with the process */
}
