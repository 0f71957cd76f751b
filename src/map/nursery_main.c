/* SPDX-License-Identifier: Apache-2.0
 *
 * The nursery process: compiles every program once and forks helpers that share the result. */
#include "map/helper.h"
#include "map/wire.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct Brood {
        int control;
        char *texts[MAP_PROGRAMS_MAX];
        JqProgram *programs[MAP_PROGRAMS_MAX];
        size_t n;
} Brood;

/* One packet; the text is terminated. Returns its length, or < 0 at the end of the talk. */
static ssize_t hear(int control, char *packet, size_t max, int *ret_fd) {
        union {
                struct cmsghdr head;
                char bytes[CMSG_SPACE(sizeof(int))];
        } extra;
        struct iovec part = {packet, max - 1};
        struct msghdr m = {.msg_iov = &part,
                           .msg_iovlen = 1,
                           .msg_control = extra.bytes,
                           .msg_controllen = sizeof extra.bytes};
        ssize_t n;

        *ret_fd = -1;
        do
                n = recvmsg(control, &m, MSG_CMSG_CLOEXEC);
        while (n < 0 && errno == EINTR);
        if (n <= 0)
                return -1;
        packet[n] = 0;
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        if (c && c->cmsg_type == SCM_RIGHTS)
                memcpy(ret_fd, CMSG_DATA(c), sizeof *ret_fd);
        return n;
}

static bool compile_all(Brood *b) {
        for (size_t i = 0; i < b->n; i++) {
                char answer[1000] = "o";
                int r = jq_program_compile(b->texts[i], &b->programs[i], answer + 1,
                                           sizeof answer - 1);

                if (r < 0)
                        answer[0] = 'b';
                if (send(b->control, answer, r < 0 ? strlen(answer) : 1, MSG_NOSIGNAL) < 0)
                        return false;
        }
        return true;
}

static void fork_helper(Brood *b, int fd) {
        pid_t parent = getpid();

        if (fork() == 0) {
                /* The nursery's end is the helper's end. */
                if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
                        _exit(1);
                close(b->control);
                helper_main(fd, b->programs, b->n);
        }
        close(fd);
}

int map_nursery_main(int control) {
        static char packet[WIRE_PACKET_MAX_BYTES];
        Brood *b = must_alloc(sizeof *b);
        ssize_t n;
        int fd;

        b->control = control;
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)prctl(PR_SET_DUMPABLE, 0);
        (void)signal(SIGCHLD, SIG_IGN); /* helpers are not waited for */
        (void)close_range((unsigned)control + 1, ~0u, 0);
        int quiet = open("/dev/null", O_WRONLY | O_CLOEXEC);
        if (quiet >= 0 && dup2(quiet, 2) >= 0)
                close(quiet);
        must(chdir("/") == 0);
        while ((n = hear(control, packet, sizeof packet, &fd)) > 0) {
                if (packet[0] == 'p' && b->n < MAP_PROGRAMS_MAX)
                        b->texts[b->n++] = must_dup(packet + 1);
                else if (packet[0] == 's' && !compile_all(b))
                        break;
                else if (packet[0] == 'f' && fd >= 0)
                        fork_helper(b, fd);
        }
        return 0;
}
