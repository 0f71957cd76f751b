/* SPDX-License-Identifier: Apache-2.0 */
#include "config/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static void closep(int *fd) {
        if (*fd >= 0)
                (void)close(*fd);
}

static int too_large(const Buf *out, Err *e) {
        return FAIL(e, -EFBIG, "is larger than %zu bytes", out->max);
}

/* The size was looked at before, but the file may grow while it is read: the buffer's maximum is
 * what holds. */
static int read_all(int fd, Buf *out, Err *e) {
        for (;;) {
                size_t room = out->max - out->n < 65536 ? out->max - out->n : 65536;
                char *at = NULL, beyond;
                int r = buf_room(out, room, &at);

                if (r < 0)
                        return FAIL(e, r, "no memory to read it");
                ssize_t n = room ? read(fd, at, room) : read(fd, &beyond, 1);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return FAIL(e, -errno, "cannot be read: %s", strerror(errno));
                if (n == 0)
                        return 0;
                if (room == 0)
                        return too_large(out, e);
                out->n += (size_t)n;
        }
}

int file_read(const char *path, Buf *out, Err *e) {
        AUTO(closep)
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        struct stat st;
        int r;

        if (fd < 0)
                return FAIL(e, -errno, "cannot be opened: %s", strerror(errno));
        if (fstat(fd, &st) < 0)
                return FAIL(e, -errno, "cannot be looked at: %s", strerror(errno));
        if (S_ISDIR(st.st_mode))
                return FAIL(e, -EISDIR, "is a folder, not a file");
        if (!S_ISREG(st.st_mode))
                return FAIL(e, -EINVAL, "is not a regular file");
        if (st.st_size < 0 || (uintmax_t)st.st_size > out->max)
                return too_large(out, e);
        r = read_all(fd, out, e);
        if (r < 0)
                return r;
        return st.st_mode & S_IWOTH ? FILE_WORLD_WRITABLE : 0;
}
