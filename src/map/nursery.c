/* SPDX-License-Identifier: Apache-2.0 */
#include "map/nursery.h"

#include "map/wire.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define CONTROL_FD 3

struct Nursery {
        int control;
        pid_t pid;
};

static const char *binary = "/proc/self/exe";

void nursery_set_binary(const char *path) {
        binary = path ? path : "/proc/self/exe";
}

static int spawn(int theirs, pid_t *ret, Err *e) {
        char *argv[] = {(char *)"grapnel", (char *)"jq-nursery", NULL}, *envp[] = {NULL};
        posix_spawn_file_actions_t files;
        posix_spawnattr_t attr;
        sigset_t none;
        int r;

        must(posix_spawn_file_actions_init(&files) == 0 && posix_spawnattr_init(&attr) == 0);
        sigemptyset(&none);
        must(posix_spawnattr_setsigmask(&attr, &none) == 0);
        must(posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK) == 0);
        must(posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDWR, 0) == 0);
        must(posix_spawn_file_actions_adddup2(&files, 0, 1) == 0);
        must(posix_spawn_file_actions_adddup2(&files, theirs, CONTROL_FD) == 0);
        r = posix_spawn(ret, binary, &files, &attr, argv, envp);
        posix_spawn_file_actions_destroy(&files);
        posix_spawnattr_destroy(&attr);
        return r ? FAIL(e, -r, "cannot start the jq helpers' nursery (%s): %s", binary, strerror(r))
                 : 0;
}

static int say(int fd, char kind, Span text, int attached, Err *e) {
        struct iovec part[2] = {{&kind, 1}, {(void *)text.p, text.n}};
        union {
                struct cmsghdr head;
                char bytes[CMSG_SPACE(sizeof(int))];
        } control = {0};
        struct msghdr m = {.msg_iov = part, .msg_iovlen = text.n ? 2 : 1};

        if (attached >= 0) {
                m.msg_control = control.bytes;
                m.msg_controllen = sizeof control.bytes;
                struct cmsghdr *c = CMSG_FIRSTHDR(&m);
                *c = (struct cmsghdr){.cmsg_level = SOL_SOCKET,
                                      .cmsg_type = SCM_RIGHTS,
                                      .cmsg_len = CMSG_LEN(sizeof(int))};
                memcpy(CMSG_DATA(c), &attached, sizeof attached);
        }
        while (sendmsg(fd, &m, MSG_NOSIGNAL) < 0)
                if (errno != EINTR)
                        return FAIL(e, -errno, "the jq nursery does not listen: %s",
                                    strerror(errno));
        return 0;
}

static int compile(Nursery *n, const Span *texts, size_t n_texts,
                   void (*bad)(void *arg, size_t i, const char *message), void *arg, Err *e) {
        char answer[1024];
        int r = 0, result = 0;

        for (size_t i = 0; i < n_texts && r == 0; i++)
                r = say(n->control, 'p', texts[i], -1, e);
        if (r == 0)
                r = say(n->control, 's', (Span){NULL, 0}, -1, e);
        for (size_t i = 0; i < n_texts && r == 0; i++) {
                ssize_t got = recv(n->control, answer, sizeof answer - 1, 0);

                if (got < 0 && errno == EINTR) {
                        i--;
                        continue;
                }
                if (got <= 0)
                        return FAIL(e, -EPIPE, "the jq nursery ended while it compiled");
                answer[got] = 0;
                if (answer[0] == 'b') {
                        result = -EINVAL;
                        bad(arg, i, answer + 1);
                }
        }
        return r < 0 ? r : result;
}

int nursery_start(const Span *texts, size_t n_texts,
                  void (*bad)(void *arg, size_t i, const char *message), void *arg, Nursery **ret,
                  Err *e) {
        int ends[2], r;

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
                return FAIL(e, -errno, "socketpair: %s", strerror(errno));
        Nursery *n = must_alloc(sizeof *n);
        n->control = ends[0];
        r = spawn(ends[1], &n->pid, e);
        close(ends[1]);
        if (r == 0)
                r = compile(n, texts, n_texts, bad, arg, e);
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
        r = say(n->control, 'f', (Span){NULL, 0}, ends[1], e);
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
