/* SPDX-License-Identifier: Apache-2.0 */
#include "map/nursery.h"

#include "map/wire.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
        CONTROL_FD = 3,
        COMPILE_MS = 10000, /* the longest that one program may take */
};

static const char not_started[] = "the nursery for jq programs did not start";

struct Nursery {
        int control;
        pid_t pid;
};

int nursery_texts(const Span *texts, size_t n, int *ret_fd, Err *e) {
        int fd = memfd_create("jq programs", MFD_CLOEXEC);

        if (fd < 0)
                return FAIL(e, -errno, "memfd_create: %s", strerror(errno));
        for (size_t i = 0; i < n; i++) {
                struct iovec part[] = {{(void *)texts[i].p, texts[i].n}, {(void *)"", 1}};

                if (writev(fd, part, 2) != (ssize_t)texts[i].n + 1) {
                        close(fd);
                        return FAIL(e, -ENOMEM, "no memory for the texts of the jq programs");
                }
        }
        *ret_fd = fd;
        return 0;
}

/* A program that does not know the command would start us again and again; tests are such. */
static bool is_nursery_itself(void) {
        static const char word[] = "jq-nursery";
        char line[256];
        int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? 0 : read(fd, line, sizeof line - 1);

        if (fd >= 0)
                close(fd);
        line[n > 0 ? n : 0] = 0;
        size_t second = strlen(line) + 1;
        return n > 0 && (size_t)n > second && strcmp(line + second, word) == 0;
}

static int spawn(const char *binary, int theirs, pid_t *ret, Err *e) {
        char control[] = {'0' + CONTROL_FD, 0};
        char *argv[] = {(char *)"grapnel", (char *)"jq-nursery", control, NULL};
        char *no_environment[] = {NULL};
        posix_spawn_file_actions_t files;
        posix_spawnattr_t attr;
        sigset_t none, all;
        int r;

        must(posix_spawn_file_actions_init(&files) == 0 && posix_spawnattr_init(&attr) == 0);
        sigemptyset(&none);
        sigfillset(&all);
        must(posix_spawnattr_setsigmask(&attr, &none) == 0);
        must(posix_spawnattr_setsigdefault(&attr, &all) == 0);
        must(posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF) == 0);
        must(posix_spawn_file_actions_adddup2(&files, theirs, CONTROL_FD) == 0);
        must(posix_spawn_file_actions_addclosefrom_np(&files, CONTROL_FD + 1) == 0);
        r = posix_spawn(ret, binary, &files, &attr, argv, no_environment);
        posix_spawn_file_actions_destroy(&files);
        posix_spawnattr_destroy(&attr);
        return r ? FAIL(e, -r, "cannot start %s for the jq programs: %s", binary, strerror(r)) : 0;
}

static int say(const Nursery *n, char word, int attached, Err *e) {
        struct iovec part = {&word, 1};
        union {
                struct cmsghdr head;
                char bytes[CMSG_SPACE(sizeof(int))];
        } control = {0};
        struct msghdr m = {.msg_iov = &part,
                           .msg_iovlen = 1,
                           .msg_control = control.bytes,
                           .msg_controllen = sizeof control.bytes};
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);

        *c = (struct cmsghdr){.cmsg_level = SOL_SOCKET,
                              .cmsg_type = SCM_RIGHTS,
                              .cmsg_len = CMSG_LEN(sizeof(int))};
        memcpy(CMSG_DATA(c), &attached, sizeof attached);
        while (sendmsg(n->control, &m, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
                if (errno != EINTR)
                        return FAIL(e, -errno, "the jq nursery does not listen: %s",
                                    strerror(errno));
        return 0;
}

/* Reads one packet; 0 when the process ended or was silent for too long. */
static size_t hear(const Nursery *n, char *packet, size_t max) {
        struct pollfd p = {n->control, POLLIN, 0};
        ssize_t got;
        int r;

        do
                r = poll(&p, 1, COMPILE_MS);
        while (r < 0 && errno == EINTR);
        if (r <= 0)
                return 0;
        got = recv(n->control, packet, max, MSG_DONTWAIT);
        return got > 0 ? (size_t)got : 0;
}

static int hear_report(const Nursery *n, const NurseryReport *report, Err *e) {
        char packet[1 + WIRE_MESSAGE_MAX_BYTES + 1] = "";
        int result = 0;

        if (hear(n, packet, 1) == 0 || packet[0] != WIRE_READY)
                return FAIL(e, -EPIPE, "%s", not_started);
        for (size_t i = 0; i < report->n; i++) {
                size_t got = hear(n, packet, sizeof packet - 1);

                packet[got] = 0;
                if (got && packet[0] == WIRE_GOOD)
                        continue;
                report->bad(report->arg, i, got ? packet + 1 : "jq crashes when it compiles this");
                result = -EINVAL;
                if (got == 0)
                        break; /* there is nobody to speak of the rest */
        }
        return result < 0 ? FAIL(e, result, "a jq program does not compile") : 0;
}

int nursery_start(const char *binary, int texts_fd, const NurseryReport *report, Nursery **ret,
                  Err *e) {
        int ends[2], r;

        if (is_nursery_itself())
                return FAIL(e, -ELOOP, "this program has no command 'jq-nursery'");
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
                return FAIL(e, -errno, "socketpair: %s", strerror(errno));
        Nursery *n = must_alloc(sizeof *n);
        n->control = ends[0];
        r = spawn(binary ? binary : "/proc/self/exe", ends[1], &n->pid, e);
        close(ends[1]);
        if (r == 0 && say(n, report ? WIRE_COMPILE_REPORT : WIRE_COMPILE_QUIET, texts_fd, NULL) < 0)
                r = FAIL(e, -EPIPE, "%s", not_started);
        if (r == 0 && report)
                r = hear_report(n, report, e);
        if (r < 0) {
                nursery_stop(n);
                return r;
        }
        *ret = n;
        return 0;
}

int nursery_fork(Nursery *n, int *ret_fd, Err *e) {
        int ends[2], r;

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
                return FAIL(e, -errno, "socketpair: %s", strerror(errno));
        r = say(n, WIRE_FORK, ends[1], e);
        close(ends[1]);
        if (r == 0 && fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0)
                r = FAIL(e, -errno, "fcntl: %s", strerror(errno));
        if (r < 0) {
                close(ends[0]);
                return r;
        }
        *ret_fd = ends[0];
        return 0;
}

bool nursery_gone(const Nursery *n) {
        char byte;

        return recv(n->control, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

int nursery_pid(const Nursery *n) {
        return (int)n->pid;
}

Nursery *nursery_stop(Nursery *n) {
        if (!n)
                return NULL;
        close(n->control);
        if (n->pid > 0) {
                kill(n->pid, SIGKILL);
                while (waitpid(n->pid, NULL, 0) < 0 && errno == EINTR)
                        ;
        }
        free(n);
        return NULL;
}
