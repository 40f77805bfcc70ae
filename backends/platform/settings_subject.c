/* SPDX-License-Identifier: BSD-2-Clause */
/* settings_subject.c - apart from the other values: all that needs OpenSSL to be judged. */
#include "backends/platform/settings_value.h"
#include "backends/software/subject.h"

#include <string.h>

/* The placeholders are known only later: a letter stands for each. */
int idm_settings_subject_fits(const char *text)
{
    static const char *const placeholders[] = {"%{serial}", "%{machine-id}", "%{spki}"};
    char sample[IDM_PATH_SIZE];
    X509_NAME *name = NULL;
    if (strlen(text) >= sizeof sample)
        return IDM_E_SETTINGS;
    memcpy(sample, text, strlen(text) + 1);
    for (size_t i = 0; i < sizeof placeholders / sizeof placeholders[0]; i++) {
        size_t length = strlen(placeholders[i]);
        for (char *at = strstr(sample, placeholders[i]); at; at = strstr(at, placeholders[i])) {
            *at = 'x';
            memmove(at + 1, at + length, strlen(at + length) + 1);
        }
    }
    int rc = idm_subject_parse(sample, &name, NULL);
    X509_NAME_free(name);
    return rc == 0 || rc == IDM_E_MEMORY ? rc : IDM_E_SETTINGS;
}
