/* SPDX-License-Identifier: Apache-2.0
 *
 * What may lie at a path instead of a configuration or a secret. */
#include "config_room.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES = 512 };

static char *const nothing[] = {NULL};
static char folder[] = "/tmp/grapnel-config-XXXXXX";

static void in_folder(const char *name, char ret[PATH_BYTES]) {
        (void)snprintf(ret, PATH_BYTES, "%s/%s", folder, name);
}

static void write_file(const char *name, Span text, mode_t mode, char path[PATH_BYTES]) {
        in_folder(name, path);
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, text.p, text.n), (ssize_t)text.n);
        assert_int_equal(fchmod(fd, mode), 0);
        (void)close(fd);
}

/* Loads the path and asserts its one error. */
static void expect_refusal(const char *path, const char *want) {
        AUTO(problems_end)
        Problems *p = problems_begin();

        assert_null(config_load(path, nothing, p));
        assert_int_equal(p->n, 1);
        assert_int_equal(p->errors, 1);
        assert_string_equal(p->item[0].place.file, path);
        assert_int_equal(p->item[0].place.line, 0);
        assert_string_equal(p->item[0].text, want);
}

static void a_file_is_loaded_by_its_path_and_by_a_link(void **state) {
        char path[PATH_BYTES], link[PATH_BYTES];
        AUTO(problems_end)
        Problems *p = problems_begin();

        (void)state;
        write_file("plain.yaml", SPAN("threads: 3\n"), 0600, path);
        in_folder("link.yaml", link);
        assert_int_equal(symlink("plain.yaml", link), 0);
        for (int i = 0; i < 2; i++) {
                AUTO(config_end)
                Config *c = config_load(i ? link : path, nothing, p);

                assert_non_null(c);
                assert_int_equal(c->threads, 3);
                assert_string_equal(c->file, i ? link : path);
        }
        assert_int_equal(p->n, 0);
}

static void what_is_no_file_is_refused(void **state) {
        char path[PATH_BYTES];

        (void)state;
        in_folder("absent.yaml", path);
        expect_refusal(path, "cannot be opened: No such file or directory");
        in_folder("dangling.yaml", path);
        assert_int_equal(symlink("absent.yaml", path), 0);
        expect_refusal(path, "cannot be opened: No such file or directory");
        in_folder("loop.yaml", path);
        assert_int_equal(symlink("loop.yaml", path), 0);
        expect_refusal(path, "cannot be opened: Too many levels of symbolic links");
        expect_refusal(folder, "is a folder, not a file");
        expect_refusal("/dev/zero", "is not a regular file");
        expect_refusal("/dev/null", "is not a regular file");
        in_folder("pipe.yaml", path);
        assert_int_equal(mkfifo(path, 0600), 0);
        expect_refusal(path, "is not a regular file");
}

static void a_file_too_large_is_refused_unread(void **state) {
        char path[PATH_BYTES];

        (void)state;
        write_file("sparse.yaml", SPAN(""), 0600, path);
        assert_int_equal(truncate(path, (off_t)2 << 30), 0);
        expect_refusal(path, "is larger than 4194304 bytes");
        assert_int_equal(truncate(path, CONFIG_FILE_MAX_BYTES + 1), 0);
        expect_refusal(path, "is larger than 4194304 bytes");
}

static void a_file_that_anyone_can_write_is_warned_of(void **state) {
        char path[PATH_BYTES];
        AUTO(problems_end)
        Problems *p = problems_begin();

        (void)state;
        write_file("open.yaml", SPAN("threads: 3\n"), 0666, path);
        AUTO(config_end)
        Config *c = config_load(path, nothing, p);
        assert_non_null(c);
        assert_int_equal(p->n, 1);
        assert_true(p->item[0].warning);
}

/* Parses a text in which %s is the path of a file with that content and mode. */
static Config *with_secret_file(Span content, mode_t mode, Problems *p) {
        char path[PATH_BYTES];
        AUTO(buf_done)
        Buf text = BUF(4096);

        write_file("secret", content, mode, path);
        assert_int_equal(buf_addf(&text, "admin_token: ${file:%s}\n", path), 0);
        return config_parse(buf_span(&text), "t", nothing, p);
}

static void a_secret_file_loses_its_final_newline_only(void **state) {
        static const struct {
                const char *content, *want;
        } files[] = {{"0123456789abcdef\n", "0123456789abcdef"},
                     {"0123456789abcdef\r\n", "0123456789abcdef"},
                     {"0123456789abcdef", "0123456789abcdef"},
                     {"0123456789abcdef\n\n", "0123456789abcdef\n"},
                     {" ${X}: &a *b \n", " ${X}: &a *b "}};

        (void)state;
        for (size_t i = 0; i < COUNT_OF(files); i++) {
                AUTO(problems_end)
                Problems *p = problems_begin();
                AUTO(config_end)
                Config *c = with_secret_file(span_of(files[i].content), 0400, p);

                assert_non_null(c);
                assert_true(span_eq(secret_reveal(&c->admin_token), span_of(files[i].want)));
        }
}

static void a_secret_file_that_anyone_can_write_is_refused(void **state) {
        AUTO(problems_end)
        Problems *p = problems_begin();

        (void)state;
        assert_null(with_secret_file(SPAN("0123456789abcdef"), 0602, p));
        assert_int_equal(p->n, 1);
        assert_non_null(strstr(p->item[0].text, "anyone on this machine can write that file"));
        assert_null(strstr(p->item[0].text, "0123456789abcdef"));
}

static void a_secret_file_has_its_maximum(void **state) {
        static char big[64 * 1024 + 1];
        AUTO(problems_end)
        Problems *p = problems_begin();
        AUTO(config_end)
        Config *c = NULL;

        (void)state;
        memset(big, 'x', sizeof big);
        c = with_secret_file((Span){big, sizeof big - 1}, 0600, p);
        assert_non_null(c);
        assert_int_equal(c->admin_token.n, sizeof big - 1);
        assert_null(with_secret_file((Span){big, sizeof big}, 0600, p));
        assert_non_null(strstr(p->item[0].text, "is larger than 65536 bytes"));
}

static void without_an_environment_no_file_is_read(void **state) {
        (void)state;
        expect_problems(SPAN("ledger: ${HOME}\nadmin_token: ${file:/etc/passwd}\n"), NULL,
                        "t:1:9: ${HOME} is not filled in here\n"
                        "t:2:14: ${file:/etc/passwd} is not filled in here\n");
}

static int make_folder(void **state) {
        (void)state;
        return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state) {
        static const char *const names[] = {"plain.yaml", "link.yaml", "dangling.yaml",
                                            "loop.yaml",  "pipe.yaml", "sparse.yaml",
                                            "open.yaml",  "secret"};
        char path[PATH_BYTES];

        (void)state;
        for (size_t i = 0; i < COUNT_OF(names); i++) {
                in_folder(names[i], path);
                (void)unlink(path);
        }
        return rmdir(folder);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_file_is_loaded_by_its_path_and_by_a_link),
                cmocka_unit_test(what_is_no_file_is_refused),
                cmocka_unit_test(a_file_too_large_is_refused_unread),
                cmocka_unit_test(a_file_that_anyone_can_write_is_warned_of),
                cmocka_unit_test(a_secret_file_loses_its_final_newline_only),
                cmocka_unit_test(a_secret_file_that_anyone_can_write_is_refused),
                cmocka_unit_test(a_secret_file_has_its_maximum),
                cmocka_unit_test(without_an_environment_no_file_is_read),
        };

        return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
