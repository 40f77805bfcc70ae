/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/platform/settings_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BLANKS        " \t\r"
#define COMMENT_MARKS ";#"

static const char what[] = "read the configuration";

struct scan {
    char *text; /* each line is cut into strings where it stands */
    size_t size;
    const char *section; /* in the text, or "" */
    idm_settings_key_fn *tell;
    void *ctx;
};

static void close_fd(const int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}
#define _cleanup_fd_ __attribute__((cleanup(close_fd)))

static void free_text(const struct scan *scan)
{
    free(scan->text);
}

int idm_settings_open(int root, const char *name, int flags)
{
    if (root == AT_FDCWD)
        return open(name, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct open_how how = {.flags = (unsigned int)(flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK),
                           .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    long fd;
    do { /* EAGAIN: somebody renamed a directory on the way */
        fd = syscall(SYS_openat2, root, name, &how, sizeof how);
    } while (fd < 0 && (errno == EINTR || errno == EAGAIN));
    if (fd < 0 && errno == ENOSYS) /* before Linux 5.6 */
        return openat(root, name, (int)how.flags);
    return (int)fd;
}

int idm_settings_code(int failed)
{
    bool passes = failed == ENOMEM || failed == EMFILE || failed == ENFILE;
    return passes ? IDM_E_MEMORY : IDM_E_SETTINGS;
}

static int refuse_errno(struct idm_error *err, const char *shown, int failed)
{
    return idm_fail(err, idm_settings_code(failed), what, "%s: %s", shown,
                    failed == ELOOP ? "a symbolic link" : strerror(failed));
}

static int refuse(struct idm_error *err, const char *shown, unsigned long line, const char *why)
{
    if (line)
        return idm_fail(err, IDM_E_SETTINGS, what, "%s:%lu: %s", shown, line, why);
    return idm_fail(err, IDM_E_SETTINGS, what, "%s: %s", shown, why);
}

/* Only a regular file: a device or a FIFO would block, a link may lead anywhere. */
static int open_regular(int dir, const char *name, const char *shown, int *ret_fd, size_t *ret_size,
                        struct idm_error *err)
{
    struct stat status;
    _cleanup_fd_ int fd = idm_settings_open(dir, name, O_RDONLY);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return idm_fail(err, IDM_E_ABSENT, what, "%s: no such file", shown);
    if (fd < 0)
        return refuse_errno(err, shown, errno);
    if (fstat(fd, &status) < 0)
        return refuse_errno(err, shown, errno);
    if (!S_ISREG(status.st_mode))
        return refuse(err, shown, 0, "not a regular file");
    if (status.st_size > (off_t)IDM_SETTINGS_FILE_MAX)
        return refuse(err, shown, 0, "larger than 1 MiB");
    *ret_size = (size_t)status.st_size;
    *ret_fd = fd;
    fd = -1;
    return 0;
}

static int read_text(int dir, const char *name, const char *shown, struct scan *scan,
                     struct idm_error *err)
{
    _cleanup_fd_ int fd = -1;
    size_t size = 0;
    int r = open_regular(dir, name, shown, &fd, &size, err);
    if (r < 0)
        return r;
    scan->text = malloc(size + 2);
    if (!scan->text)
        return idm_fail(err, IDM_E_MEMORY, what, "%s", idm_error_sentence(IDM_E_MEMORY));
    while (scan->size < size) {
        ssize_t got = read(fd, scan->text + scan->size, size - scan->size);
        if (got < 0 && errno != EINTR)
            return refuse_errno(err, shown, errno);
        if (got == 0)
            break;
        scan->size += got > 0 ? (size_t)got : 0;
    }
    if (scan->size && scan->text[scan->size - 1] != '\n')
        scan->text[scan->size++] = '\n';
    scan->text[scan->size] = 0;
    return 0;
}

static bool is_blank(char c)
{
    return c && strchr(BLANKS, c);
}

/* Cuts the blanks off both ends of [text, end); the result ends with a zero, at `end` at the latest. */
static char *trim(char *text, char *end)
{
    while (text < end && is_blank(*text))
        text++;
    while (end > text && is_blank(end[-1]))
        end--;
    *end = 0;
    return text;
}

static bool is_binary(const char *line, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)line[i];
        if ((c < 0x20 && c != '\t' && !(c == '\r' && i == size - 1)) || c == 0x7f)
            return true;
    }
    return false;
}

/* A comment begins at a mark that is the line's first character or stands behind a blank. */
static char *comment_in(char *line, char *end)
{
    for (char *c = line; c < end; c++) {
        if (strchr(COMMENT_MARKS, *c) && (c == line || is_blank(c[-1])))
            return c;
    }
    return end;
}

static const char *take_section(struct scan *scan, char *text)
{
    size_t size = strlen(text);
    if (size < 3 || text[size - 1] != ']' || strchr(text + 1, '[') ||
        strchr(text, ']') != text + size - 1)
        return "a section is written [name]";
    text[size - 1] = 0;
    scan->section = text + 1;
    return NULL;
}

/* A value between two quotes is what stands between them. */
static const char *without_quotes(char *value)
{
    size_t size = strlen(value);
    if (size < 2 || value[0] != '"' || value[size - 1] != '"')
        return value;
    value[size - 1] = 0;
    return value + 1;
}

/* Why this line, which ends at `end`, is no INI line; NULL: it is one, and was told of. */
static const char *take_line(struct scan *scan, char *line, char *end, unsigned long number)
{
    if (is_binary(line, (size_t)(end - line)))
        return "binary data";
    if ((size_t)(end - line) > IDM_SETTINGS_LINE_MAX)
        return "a line of more than 1023 characters";
    char *text = trim(line, comment_in(line, end));
    if (!*text)
        return NULL;
    if (*text == '[')
        return take_section(scan, text);
    static const char no_line[] = "neither a [section], nor a comment, nor key = value";
    char *sign = strchr(text, '=');
    if (!sign)
        return no_line;
    char *name = trim(text, sign);
    if (!*name || strpbrk(name, BLANKS))
        return no_line;
    char *value = trim(sign + 1, strchr(sign + 1, 0));
    scan->tell(scan->ctx, scan->section, name, without_quotes(value), number);
    return NULL;
}

int idm_settings_file_parse(int dir, const char *name, const char *shown, idm_settings_key_fn *tell,
                            void *ctx, struct idm_error *err)
{
    __attribute__((cleanup(free_text))) struct scan scan = {
        .section = "", .tell = tell, .ctx = ctx};
    int r = read_text(dir, name, shown, &scan, err);
    if (r < 0)
        return r;
    unsigned long number = 0;
    for (char *line = scan.text; line < scan.text + scan.size;) {
        char *end = memchr(line, '\n', scan.size - (size_t)(line - scan.text));
        const char *why = take_line(&scan, line, end, ++number);
        if (why && line[strspn(line, BLANKS)] == '[')
            scan.section = ""; /* whose keys follow nobody knows */
        if (why && r == 0)
            r = refuse(err, shown, number, why);
        line = end + 1;
    }
    return r;
}
