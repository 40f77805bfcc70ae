/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/platform/settings_value.h"

#include <stdlib.h>
#include <string.h>

static const char what[] = "read the configuration";

/* Blanks between words become one, at the ends none. */
static bool normalise(const char *text, char *ret, size_t room)
{
    size_t size = 0;
    for (const char *c = text; *c; c++) {
        bool blank = *c == ' ' || *c == '\t';
        if (blank && (!size || ret[size - 1] == ' '))
            continue;
        if (size + 1 >= room)
            return false;
        ret[size++] = blank ? ' ' : *c;
    }
    if (size && ret[size - 1] == ' ')
        size--;
    ret[size] = 0;
    return true;
}

static bool is_printable(const char *text)
{
    for (; *text; text++) {
        if (*text < 0x20 || *text > 0x7e)
            return false;
    }
    return true;
}

static bool put_text(void *field, size_t size, const char *text)
{
    if (strlen(text) >= size)
        return false;
    memset(field, 0, size);
    memcpy(field, text, strlen(text));
    return true;
}

static bool path_ok(const char *path)
{
    if (path[0] != '/' || path[1] == 0 || !is_printable(path))
        return false;
    for (const char *part = path; part; part = strchr(part, '/')) {
        part++;
        if (strncmp(part, "..", 2) == 0 && (part[2] == '/' || part[2] == 0))
            return false;
    }
    return true;
}

static bool put_path(void *field, size_t size, const char *text)
{
    char path[IDM_PATH_SIZE];
    size_t length = strlen(text);
    while (length > 1 && text[length - 1] == '/')
        length--;
    if (length >= sizeof path)
        return false;
    memcpy(path, text, length);
    path[length] = 0;
    return path_ok(path) && put_text(field, size, path);
}

static bool put_name(void *field, size_t size, const char *text)
{
    return *text && is_printable(text) && !strpbrk(text, " \t/:") && put_text(field, size, text);
}

static bool put_condition(void *field, size_t size, const char *text)
{
    const char *sign = strchr(text, '=');
    return sign && sign != text && is_printable(text) && !strpbrk(text, " \t") &&
           put_text(field, size, text);
}

static bool put_word(void *field, size_t size, const struct idm_settings_word *words,
                     const char *text)
{
    char normal[64];
    if (!normalise(text, normal, sizeof normal))
        return false;
    for (; words->word; words++) {
        if (strcmp(words->word, normal) != 0)
            continue;
        memcpy(field, &words->value, size);
        return true;
    }
    return false;
}

static bool put_bool(bool *field, const char *text)
{
    bool yes = strcmp(text, "yes") == 0 || strcmp(text, "true") == 0;
    if (!yes && strcmp(text, "no") != 0 && strcmp(text, "false") != 0)
        return false;
    *field = yes;
    return true;
}

/* Digits of base 10, or of 16 behind 0x. *ret_rest is what follows. */
static bool read_number(const char *text, uint64_t *ret, const char **ret_rest)
{
    bool hex = text[0] == '0' && (text[1] | 32) == 'x';
    const char *digits = hex ? text + 2 : text;
    size_t count = strspn(digits, hex ? "0123456789abcdefABCDEF" : "0123456789");
    if (!count || count > 15) /* no more fit into 64 bits for sure */
        return false;
    char *end = NULL;
    *ret = strtoull(digits, &end, hex ? 16 : 10);
    *ret_rest = end;
    return true;
}

static bool put_number(uint32_t *field, const struct idm_settings_row *row, uint64_t number)
{
    if (number < row->least || number > row->most)
        return false;
    *field = (uint32_t)number;
    return true;
}

static bool put_duration(uint32_t *field, const struct idm_settings_row *row, const char *text)
{
    static const struct {
        const char *unit;
        uint64_t ms;
    } units[] = {{"", 1000}, {"ms", 1}, {"s", 1000}, {"min", 60000}, {"h", 3600000}};
    uint64_t number = 0;
    const char *unit = NULL;
    if (text[0] == '0' && (text[1] | 32) == 'x')
        return false;
    if (!read_number(text, &number, &unit))
        return false;
    unit += strspn(unit, " \t");
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(units[i].unit, unit) == 0)
            return number <= row->most && put_number(field, row, number * units[i].ms);
    }
    return false;
}

/* "A:PATH B:PATH": two names that differ, each with what holds that slot's image. */
static bool put_slots(struct idm_settings *settings, const char *text)
{
    struct idm_settings parsed = {0};
    char normal[2 * (IDM_PATH_SIZE + IDM_SLOT_NAME_SIZE)];
    if (!normalise(text, normal, sizeof normal))
        return false;
    char *rest = normal;
    for (size_t i = 0; i < IDM_SLOTS; i++) {
        char *name = strsep(&rest, " ");
        char *path = name ? strchr(name, ':') : NULL;
        if (!path)
            return false;
        *path++ = 0;
        if (!put_name(parsed.slots[i].name, sizeof parsed.slots[i].name, name) ||
            !put_path(parsed.slots[i].path, sizeof parsed.slots[i].path, path))
            return false;
    }
    if (rest || strcmp(parsed.slots[0].name, parsed.slots[1].name) == 0)
        return false;
    memcpy(settings->slots, parsed.slots, sizeof settings->slots);
    return true;
}

static bool put_value(struct idm_settings *settings, const struct idm_settings_row *row,
                      const char *text)
{
    void *field = (char *)settings + row->offset;
    uint64_t number = 0;
    const char *rest = NULL;
    switch (row->kind) {
    case IDM_KIND_WORD:
        return put_word(field, row->size, row->words, text);
    case IDM_KIND_BOOL:
        return put_bool(field, text);
    case IDM_KIND_PATH:
        return put_path(field, row->size, text);
    case IDM_KIND_SUBJECT: /* idm_settings_apply looked at it */
        return put_text(field, row->size, text);
    case IDM_KIND_TEXT:
        return is_printable(text) && put_text(field, row->size, text);
    case IDM_KIND_NAME:
        return put_name(field, row->size, text);
    case IDM_KIND_CONDITION:
        return put_condition(field, row->size, text);
    case IDM_KIND_SLOTS:
        return put_slots(settings, text);
    case IDM_KIND_DURATION:
        return put_duration(field, row, text);
    case IDM_KIND_NUMBER:
    case IDM_KIND_HANDLE:
        if (row->kind == IDM_KIND_NUMBER && text[0] == '0' && text[1])
            return false;
        return read_number(text, &number, &rest) && !*rest && put_number(field, row, number);
    }
    return false;
}

static void put_default(struct idm_settings *settings, const struct idm_settings_row *row)
{
    if (*row->standard)
        (void)put_value(settings, row, row->standard);
    else
        memset((char *)settings + row->offset, 0, row->size);
}

/* The first one is kept. The value may be anything: what is not ASCII is shown as "?". */
static void note_invalid(struct idm_settings *settings, const struct idm_settings_row *row,
                         const struct idm_settings_raw *raw, const char *problem)
{
    char shown[48];
    size_t size = 0;
    if (strcmp(row->section, "paths") == 0)
        settings->places_unknown = true;
    if (settings->invalid)
        return;
    settings->invalid = true;
    for (const char *c = raw->value ? raw->value : ""; *c && size < sizeof shown - 1; c++)
        shown[size++] = *c < 0x20 || *c > 0x7e ? '?' : *c;
    shown[size] = 0;
    (void)idm_fail(&settings->invalid_error, IDM_E_SETTINGS, what, "%s:%lu: [%s] %s = %s: %s",
                   raw->file, raw->line, row->section, row->key, shown, problem);
    (void)idm_advise(&settings->invalid_error, "write %s; until then the default counts: %s",
                     row->allowed, *row->standard ? row->standard : "empty");
}

int idm_settings_apply(struct idm_settings *settings, const struct idm_settings_row *row,
                       const struct idm_settings_raw *raw)
{
    put_default(settings, row);
    if (!raw->value || !*raw->value)
        return 0;
    int fits = row->kind == IDM_KIND_SUBJECT ? idm_settings_subject_fits(raw->value) : 0;
    if (fits == IDM_E_MEMORY)
        return fits;
    if (fits == 0 && put_value(settings, row, raw->value))
        return 0;
    put_default(settings, row);
    note_invalid(settings, row, raw, "not valid");
    return 0;
}

/* The field's value does not go with another's: its default comes back. */
static void take_back(struct idm_settings *settings, const void *field,
                      const struct idm_settings_raw *raw, const char *problem)
{
    size_t offset = (size_t)((const char *)field - (const char *)settings);
    for (size_t i = 0; i < idm_settings_row_count; i++) {
        if (idm_settings_rows[i].offset != offset || !raw[i].value)
            continue;
        note_invalid(settings, &idm_settings_rows[i], &raw[i], problem);
        put_default(settings, &idm_settings_rows[i]);
    }
}

void idm_settings_check(struct idm_settings *settings, const struct idm_settings_raw *raw)
{
    static const char handles[] = "device-handle, parent-handle and srk-handle must differ";
    if (settings->device_handle == settings->parent_handle ||
        settings->device_handle == settings->srk_handle ||
        settings->parent_handle == settings->srk_handle) {
        /* All three: with one default back, it could meet another that was moved. */
        take_back(settings, &settings->device_handle, raw, handles);
        take_back(settings, &settings->parent_handle, raw, handles);
        take_back(settings, &settings->srk_handle, raw, handles);
    }
    if (settings->bootenv_backend == IDM_BOOTENV_COMMAND && !*settings->bootenv_command)
        take_back(settings, &settings->bootenv_backend, raw, "it needs [bootenv] command");
    if (settings->bootenv_scheme == IDM_SCHEME_CUSTOM && !*settings->bootenv_trial_when)
        take_back(settings, &settings->bootenv_scheme, raw, "it needs [bootenv] trial-when");
}
