/* SPDX-License-Identifier: BSD-2-Clause */
/* settings_value.h - the table of all keys, and how their text becomes values; used by settings.c
 * alone.
 *
 *     section    key      kind       field          default   allowed
 *     [tpm]      wait     DURATION   wait_ms        10s       0 to 10min
 */
#ifndef IDM_BACKENDS_PLATFORM_SETTINGS_VALUE_H
#define IDM_BACKENDS_PLATFORM_SETTINGS_VALUE_H

#include "backends/settings.h"

#include <stddef.h>

enum idm_settings_kind {
    IDM_KIND_WORD,      /* one of `words`; the field is an enum */
    IDM_KIND_BOOL,      /* yes, no, true, false; the field is a bool */
    IDM_KIND_PATH,      /* absolute, without ".." */
    IDM_KIND_TEXT,      /* printable ASCII */
    IDM_KIND_NAME,      /* TEXT without blanks, slashes and colons */
    IDM_KIND_CONDITION, /* VARIABLE=VALUE */
    IDM_KIND_SUBJECT,   /* a distinguished name with placeholders */
    IDM_KIND_SLOTS,     /* A:PATH B:PATH */
    IDM_KIND_DURATION,  /* 500ms, 10s, 2min, 1h; a number alone is seconds; the field is in ms */
    IDM_KIND_NUMBER,    /* decimal */
    IDM_KIND_HANDLE,    /* hexadecimal with 0x, or decimal */
};

struct idm_settings_word {
    const char *word;
    int value;
};

struct idm_settings_row {
    const char *section;
    const char *key;
    enum idm_settings_kind kind;
    size_t offset; /* of the field in struct idm_settings */
    size_t size;   /* of the field */
    const char *standard;
    const char *allowed;                   /* for messages */
    const struct idm_settings_word *words; /* WORD: ended by NULL */
    uint32_t least, most;                  /* DURATION (ms), NUMBER, HANDLE */
};

/* As read; value NULL: nobody set it. */
struct idm_settings_raw {
    char *value; /* owned by the reader */
    char file[2 * IDM_PATH_SIZE];
    unsigned long line;
};

/* A distinguished name, once its placeholders are filled? 0: yes; SETTINGS: no; MEMORY: nobody could say. A
 * program that does not link OpenSSL brings a function of its own. */
int idm_settings_subject_fits(const char *text);

#define IDM_SETTINGS_ROWS_MAX 64
extern const struct idm_settings_row idm_settings_rows[];
extern const size_t idm_settings_row_count;

/* Puts the value of `raw`, or the row's default where it is not set or empty, into *settings. An
 * invalid one leaves the default and sets settings->invalid (of [paths] places_unknown too). 0, or MEMORY: the default is there, and says
 * nothing about the value. */
int idm_settings_apply(struct idm_settings *settings, const struct idm_settings_row *row,
                       const struct idm_settings_raw *raw);

/* What concerns several keys at once: handles that must differ, keys that need each other. `raw`
 * says in which file and line. */
void idm_settings_check(struct idm_settings *settings, const struct idm_settings_raw *raw);

#endif
