/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/settings.h"
#include "backends/platform/settings_file.h"
#include "backends/platform/settings_value.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WARNINGS_MAX 20 /* for each file */

static const char what[] = "read the configuration";

struct reading {
    struct idm_settings_raw raw[IDM_SETTINGS_ROWS_MAX]; /* what wins so far, row by row */
    int root;
    const char *root_path;
    FILE *warnings;
    struct idm_error
        bad; /* the first line, file or directory that could not be read; code 0: none */
};

static void reading_free(struct reading **reading)
{
    if (!*reading)
        return;
    for (size_t i = 0; i < IDM_SETTINGS_ROWS_MAX; i++)
        free((*reading)->raw[i].value);
    if ((*reading)->root >= 0)
        (void)close((*reading)->root);
    free(*reading);
}

static bool is_section(const char *section)
{
    for (size_t i = 0; i < idm_settings_row_count; i++) {
        if (strcmp(idm_settings_rows[i].section, section) == 0)
            return true;
    }
    return false;
}

struct taking {
    struct reading *reading;
    const char *shown;
    int warnings_left;
    bool failed; /* an allocation */
};

/* An older image must boot with a newer configuration: what it does not know is only said. */
static void warn_unknown(struct taking *taking, const char *section, const char *key,
                         unsigned long line)
{
    FILE *stream = taking->reading->warnings;
    if (!stream || taking->warnings_left <= 0)
        return;
    if (!*section)
        (void)fprintf(stream, "idmode: %s:%lu: %s stands in no section: ignored\n", taking->shown,
                      line, key);
    else
        (void)fprintf(stream, "idmode: %s:%lu: unknown %s [%s] %s: ignored\n", taking->shown, line,
                      is_section(section) ? "key" : "section", section, key);
    if (--taking->warnings_left == 0)
        (void)fprintf(stream, "idmode: %s: no more warnings for this file\n", taking->shown);
}

static void take_key(void *ctx, const char *section, const char *key, const char *value,
                     unsigned long line)
{
    struct taking *taking = ctx;
    size_t i = 0;
    while (i < idm_settings_row_count && (strcmp(idm_settings_rows[i].section, section) != 0 ||
                                          strcmp(idm_settings_rows[i].key, key) != 0))
        i++;
    if (i == idm_settings_row_count) {
        warn_unknown(taking, section, key, line);
        return;
    }
    struct idm_settings_raw *raw = &taking->reading->raw[i];
    free(raw->value);
    raw->value = strdup(value);
    raw->line = line;
    (void)snprintf(raw->file, sizeof raw->file, "%s", taking->shown);
    taking->failed = taking->failed || !raw->value;
}

static int take_file(struct reading *reading, int dir, const char *name, const char *shown,
                     struct idm_error *err)
{
    struct taking taking = {.reading = reading, .shown = shown, .warnings_left = WARNINGS_MAX};
    int r = idm_settings_file_parse(dir, name, shown, take_key, &taking, err);
    if (taking.failed)
        r = idm_fail(err, IDM_E_MEMORY, what, "%s", idm_error_sentence(IDM_E_MEMORY));
    return r;
}

/* One bad line, or a file that cannot be read, costs itself alone: the others count all the same. Only
 * MEMORY, which says nothing about the file, comes through. */
static int note_bad(struct reading *reading, int code, const struct idm_error *failed,
                    struct idm_error *err)
{
    if (code == IDM_E_MEMORY && err)
        *err = *failed;
    if (code == IDM_E_SETTINGS && !reading->bad.code)
        reading->bad = *failed;
    return code == IDM_E_MEMORY ? code : 0;
}

/* A path of the device: "/etc/…", below the root where there is one. Missing is fine. */
static int take_below_root(struct reading *reading, const char *path, struct idm_error *err)
{
    char shown[2 * IDM_PATH_SIZE];
    struct idm_error failed = {0};
    (void)snprintf(shown, sizeof shown, "%s%s", reading->root_path, path);
    int r = take_file(reading, reading->root, reading->root == AT_FDCWD ? path : path + 1, shown,
                      &failed);
    return note_bad(reading, r, &failed, err);
}

static int is_conf(const struct dirent *entry)
{
    size_t size = strlen(entry->d_name);
    return entry->d_name[0] != '.' && size > 5 && strcmp(entry->d_name + size - 5, ".conf") == 0;
}

/* In the order of their bytes, whatever the locale. */
static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int take_names(struct reading *reading, const char *path, struct dirent **names, int count,
                      struct idm_error *err)
{
    struct idm_error failed = {0};
    int r = 0;
    bool many = count > (int)IDM_SETTINGS_FILES; /* none of them counts */
    if (many)
        r = note_bad(reading,
                     idm_fail(&failed, IDM_E_SETTINGS, what, "%s%s: more than %u files",
                              reading->root_path, path, IDM_SETTINGS_FILES),
                     &failed, err);
    for (int i = 0; i < count; i++) {
        char file[IDM_PATH_SIZE + 64];
        (void)snprintf(file, sizeof file, "%s/%s", path, names[i]->d_name);
        if (r == 0 && !many)
            r = take_below_root(reading, file, err);
        free(names[i]);
    }
    free(names);
    return r;
}

static int take_directory(struct reading *reading, const char *path, struct idm_error *err)
{
    struct idm_error error = {0};
    struct dirent **names = NULL;
    int fd = idm_settings_open(reading->root, reading->root == AT_FDCWD ? path : path + 1,
                               O_RDONLY | O_DIRECTORY);
    if (fd < 0 && errno == ENOENT)
        return 0;
    int count = fd < 0 ? -1 : scandirat(fd, ".", &names, is_conf, by_bytes);
    int failed = errno;
    if (fd >= 0)
        (void)close(fd);
    if (count < 0)
        return note_bad(reading,
                        idm_fail(&error, idm_settings_code(failed), what, "%s%s: %s",
                                 reading->root_path, path, strerror(failed)),
                        &error, err);
    return take_names(reading, path, names, count, err);
}

static int take_all(struct reading *reading, const char *config, struct idm_error *err)
{
    struct idm_error failed = {0};
    int r = 0;
    if (config) {
        r = take_file(reading, AT_FDCWD, config, config, &failed);
        if (r == IDM_E_ABSENT)
            r = idm_fail(&failed, IDM_E_SETTINGS, what, "%s: no such file", config);
        return note_bad(reading, r, &failed, err);
    }
    if (*reading->root_path)
        reading->root = open(reading->root_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (reading->root == -1) {
        r = idm_fail(&failed, idm_settings_code(errno), what, "%s: %s", reading->root_path,
                     strerror(errno));
        return note_bad(reading, r, &failed, err);
    }
    r = take_below_root(reading, "/usr/lib/idmode/idmode.conf", err);
    if (r == 0)
        r = take_below_root(reading, "/etc/idmode/idmode.conf", err);
    if (r == 0)
        r = take_directory(reading, "/etc/idmode/idmode.conf.d", err);
    return r;
}

void idm_settings_default(struct idm_settings *ret)
{
    struct idm_settings settings = {0};
    for (size_t i = 0; i < idm_settings_row_count; i++) {
        struct idm_settings_raw none = {0};
        (void)idm_settings_apply(&settings, &idm_settings_rows[i], &none);
    }
    *ret = settings;
}

static int apply_all(struct idm_settings *ret, const struct reading *reading, struct idm_error *err)
{
    if (reading->bad.code) {
        ret->invalid = true;
        ret->places_unknown = true; /* what could not be read may have named them */
        ret->invalid_error = reading->bad;
        (void)idm_advise(&ret->invalid_error, "correct it; until then it is without effect");
    }
    for (size_t i = 0; i < idm_settings_row_count; i++)
        if (idm_settings_apply(ret, &idm_settings_rows[i], &reading->raw[i]))
            return idm_fail(err, IDM_E_MEMORY, what, "%s", idm_error_sentence(IDM_E_MEMORY));
    idm_settings_check(ret, reading->raw);
    return 0;
}

int idm_settings_read(struct idm_settings *ret, const char *root, const char *config,
                      FILE *warnings, struct idm_error *err)
{
    __attribute__((cleanup(reading_free))) struct reading *reading = calloc(1, sizeof *reading);
    idm_settings_default(ret);
    if (!reading)
        return idm_fail(err, IDM_E_MEMORY, what, "%s", idm_error_sentence(IDM_E_MEMORY));
    reading->root = AT_FDCWD;
    reading->root_path = root;
    reading->warnings = warnings;
    int r = take_all(reading, config, err);
    if (r == 0)
        r = apply_all(ret, reading, err);
    if (r) /* for want of memory: the files may say anything, no default counts */
        idm_settings_default(ret);
    return r;
}
