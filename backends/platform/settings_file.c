/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/platform/settings_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libeconf_ext.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BLANKS        " \t\r"
#define COMMENT_MARKS ";#"
#define KEYS_MAX      1024u  /* in one file: each is compared with all others */
#define DROPPED       '\001' /* in place of a line's first character; no line that we take has it */

static const char what[] = "read the configuration";

struct key {
    const char *section; /* borrowed from the text, size below; NULL: before any section */
    size_t section_size;
    const char *name;
    size_t name_size;
    char *line;
    unsigned long number;
};

struct scan {
    char *text;
    size_t size;
    const char *section;
    size_t section_size;
    struct key keys[KEYS_MAX];
    size_t key_count;
};

static void close_fd(const int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}
#define _cleanup_fd_ __attribute__((cleanup(close_fd)))

static void free_scan(struct scan **scan)
{
    if (*scan)
        free((*scan)->text);
    free(*scan);
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
        return refuse(err, shown, 0, errno == ELOOP ? "a symbolic link" : strerror(errno));
    if (fstat(fd, &status) < 0)
        return refuse(err, shown, 0, strerror(errno));
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
            return refuse(err, shown, 0, strerror(errno));
        if (got == 0)
            break;
        scan->size += got > 0 ? (size_t)got : 0;
    }
    if (scan->size && scan->text[scan->size - 1] != '\n')
        scan->text[scan->size++] = '\n';
    scan->text[scan->size] = 0;
    return 0;
}

static const char *trim(const char *text, size_t *size)
{
    while (*size && strchr(BLANKS, *text)) {
        text++;
        *size -= 1;
    }
    while (*size && strchr(BLANKS, text[*size - 1]))
        *size -= 1;
    return text;
}

/* The last of equal keys wins, as between files: an earlier line is dropped. */
static const char *take_key(struct scan *scan, const struct key *key)
{
    for (size_t i = 0; i < scan->key_count; i++) {
        struct key *other = &scan->keys[i];
        if (other->section_size != key->section_size || other->name_size != key->name_size ||
            memcmp(other->name, key->name, key->name_size) != 0 ||
            (key->section_size && memcmp(other->section, key->section, key->section_size) != 0))
            continue;
        *other->line = DROPPED;
        *other = *key;
        return NULL;
    }
    if (scan->key_count == KEYS_MAX)
        return "more than 1024 keys";
    scan->keys[scan->key_count++] = *key;
    return NULL;
}

static const char *take_section(struct scan *scan, const char *text, size_t size)
{
    if (size < 3 || text[size - 1] != ']' || memchr(text + 1, '[', size - 1) ||
        memchr(text, ']', size - 1))
        return "a section is written [name]";
    scan->section = text + 1;
    scan->section_size = size - 2;
    return NULL;
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
static size_t without_comment(const char *line, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (strchr(COMMENT_MARKS, line[i]) && (i == 0 || strchr(BLANKS, line[i - 1])))
            return i;
    }
    return size;
}

/* Why this line is no INI line; NULL: it is one, and libeconf will read it as what it is. */
static const char *check_line(struct scan *scan, char *line, size_t size, unsigned long number)
{
    if (is_binary(line, size))
        return "binary data";
    if (size > IDM_SETTINGS_LINE_MAX)
        return "a line of more than 1023 characters";
    size_t length = without_comment(line, size);
    memset(line + length, ' ', size - length);
    const char *text = trim(line, &length);
    if (!length) {
        *line = size ? DROPPED : *line;
        return NULL;
    }
    if (*text == '[')
        return take_section(scan, text, length);
    const char *sign = memchr(text, '=', length);
    size_t name_size = sign ? (size_t)(sign - text) : 0;
    (void)trim(text, &name_size);
    if (!name_size || memchr(text, ' ', name_size) || memchr(text, '\t', name_size))
        return "neither a [section], nor a comment, nor key = value";
    return take_key(scan, &(struct key){.section = scan->section,
                                        .section_size = scan->section_size,
                                        .name = text,
                                        .name_size = name_size,
                                        .line = line,
                                        .number = number});
}

static int check_lines(struct scan *scan, const char *shown, struct idm_error *err)
{
    unsigned long number = 0;
    for (char *line = scan->text; line < scan->text + scan->size;) {
        char *end = memchr(line, '\n', scan->size - (size_t)(line - scan->text));
        const char *why = check_line(scan, line, (size_t)(end - line), ++number);
        if (why)
            return refuse(err, shown, number, why);
        line = end + 1;
    }
    return 0;
}

static void tell_keys(const struct scan *scan, idm_settings_key_fn *tell, void *ctx)
{
    char section[IDM_SETTINGS_LINE_MAX + 1];
    char name[IDM_SETTINGS_LINE_MAX + 1];
    for (size_t i = 0; i < scan->key_count; i++) {
        const struct key *key = &scan->keys[i];
        if (key->section_size)
            memcpy(section, key->section, key->section_size);
        section[key->section_size] = 0;
        memcpy(name, key->name, key->name_size);
        name[key->name_size] = 0;
        tell(ctx, section, name, key->number);
    }
}

/* Of a dropped line only its end stays, so that the others keep their numbers. */
static void squeeze(struct scan *scan)
{
    size_t kept = 0;
    bool at_start = true, dropped = false;
    for (size_t i = 0; i < scan->size; i++) {
        char c = scan->text[i];
        if (at_start)
            dropped = c == DROPPED;
        at_start = c == '\n';
        if (!dropped || at_start)
            scan->text[kept++] = c;
    }
    scan->size = kept;
}

/* libeconf reads files by path; the checked text is one in memory. */
static int parse_text(const struct scan *scan, const char *shown, econf_file **ret,
                      struct idm_error *err)
{
    static const char no_comments[] = {DROPPED, 0};
    char path[32];
    econf_file *file = NULL;
    _cleanup_fd_ int fd = memfd_create("idmode.conf", MFD_CLOEXEC);
    if (fd < 0)
        return refuse(err, shown, 0, strerror(errno));
    for (size_t done = 0; done < scan->size;) {
        ssize_t written = write(fd, scan->text + done, scan->size - done);
        if (written < 0 && errno != EINTR)
            return refuse(err, shown, 0, strerror(errno));
        done += written > 0 ? (size_t)written : 0;
    }
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    econf_err failed = econf_readFile(&file, path, "=", no_comments);
    if (failed) {
        econf_freeFile(file);
        if (failed == ECONF_NOMEM)
            return idm_fail(err, IDM_E_MEMORY, what, "%s", idm_error_sentence(IDM_E_MEMORY));
        return refuse(err, shown, 0,
                      failed == ECONF_NOFILE ? "/proc is not mounted" : econf_errString(failed));
    }
    *ret = file;
    return 0;
}

int idm_settings_file_parse(int dir, const char *name, const char *shown, idm_settings_key_fn *tell,
                            void *ctx, econf_file **ret, struct idm_error *err)
{
    __attribute__((cleanup(free_scan))) struct scan *scan = calloc(1, sizeof *scan);
    if (!scan)
        return idm_fail(err, IDM_E_MEMORY, what, "%s", idm_error_sentence(IDM_E_MEMORY));
    int r = read_text(dir, name, shown, scan, err);
    if (r == 0)
        r = check_lines(scan, shown, err);
    if (r < 0)
        return r;
    tell_keys(scan, tell, ctx);
    squeeze(scan);
    return parse_text(scan, shown, ret, err);
}

bool idm_settings_file_value(econf_file *file, const char *section, const char *key,
                             char **ret_value, unsigned long *ret_line)
{
    char *value = NULL;
    econf_ext_value *more = NULL;
    if (econf_getStringValue(file, section, key, &value) != ECONF_SUCCESS)
        return false;
    if (!value)
        value = strdup("");
    if (!value || econf_getExtValue(file, section, key, &more) != ECONF_SUCCESS) {
        free(value);
        return false;
    }
    *ret_value = value;
    *ret_line = (unsigned long)more->line_number;
    econf_freeExtValue(more);
    return true;
}
