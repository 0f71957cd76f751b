/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/log_file.h"

#include "base/buf.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { OPENS_MAX = 16, PATH_MAX_BYTES = 4096, SYSLOG_LINE_MAX_BYTES = 128 * 1024 };

static int open_file(const char *path) {
        int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_CLOEXEC, 0640);

        return fd < 0 ? -errno : fd;
}

/* Is that still the file of that name? Somebody may have moved it while we waited for the lock. */
static bool is_current(int fd, const char *path, struct stat *ret) {
        struct stat named;

        return fstat(fd, ret) == 0 && stat(path, &named) == 0 && named.st_ino == ret->st_ino &&
               named.st_dev == ret->st_dev;
}

static int rotate(const LogFile *f) {
        char from[PATH_MAX_BYTES], to[PATH_MAX_BYTES];

        for (int64_t i = f->keep; i > 0; i--) {
                int a = i > 1 ? snprintf(from, sizeof from, "%s.%" PRId64, f->path, i - 1)
                              : snprintf(from, sizeof from, "%s", f->path);
                int b = snprintf(to, sizeof to, "%s.%" PRId64, f->path, i);

                if (a >= (int)sizeof from || b >= (int)sizeof to)
                        return -ENAMETOOLONG;
                if (rename(from, to) < 0 && errno != ENOENT)
                        return -errno;
        }
        if (f->keep == 0 && unlink(f->path) < 0)
                return -errno;
        return 0;
}

/* All or nothing: half a line would spoil the next one. */
static int write_whole(int fd, Span line, int64_t before) {
        ssize_t n = write(fd, line.p, line.n);
        int r;

        if (n == (ssize_t)line.n)
                return 0;
        r = n < 0 ? -errno : -ENOSPC;
        if (n > 0 && ftruncate(fd, before) < 0)
                r = -errno;
        return r;
}

/* 1: the file is another one by now, open it again. */
static int add(const LogFile *f, int fd, Span line, const char **doing) {
        struct stat st;

        *doing = "lock";
        if (flock(fd, LOCK_EX) < 0)
                return -errno;
        if (!is_current(fd, f->path, &st))
                return 1;
        *doing = "rotate";
        if (f->size_max && st.st_size > 0 && st.st_size + (int64_t)line.n > f->size_max) {
                int r = rotate(f);

                return r < 0 ? r : 1;
        }
        *doing = "write to";
        return write_whole(fd, line, st.st_size);
}

int log_file_add(const LogFile *f, Span line, const char **doing) {
        int r = 1;

        for (unsigned i = 0; r == 1; i++) {
                int fd;

                *doing = "open";
                if (i == OPENS_MAX)
                        return -EAGAIN;
                fd = open_file(f->path);
                if (fd < 0)
                        return fd;
                r = add(f, fd, line, doing);
                (void)close(fd); /* unlocks */
        }
        return r;
}

int log_syslog_send(const char *path, int priority, Span line, const char **doing) {
        struct sockaddr_un to = {.sun_family = AF_UNIX};
        AUTO(buf_done)
        Buf text = BUF(SYSLOG_LINE_MAX_BYTES);
        int fd, r = 0;

        *doing = "write to";
        if (strlen(path) >= sizeof to.sun_path ||
            buf_addf(&text, "<%d>grapnel[%d]: " SPAN_FMT, priority, (int)getpid(), SPAN_ARG(line)) <
                    0)
                return -EMSGSIZE;
        (void)snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return -errno;
        if (sendto(fd, text.p, text.n, MSG_NOSIGNAL, (struct sockaddr *)&to, sizeof to) < 0)
                r = -errno;
        (void)close(fd);
        return r;
}
