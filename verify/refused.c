/* SPDX-License-Identifier: BSD-2-Clause */
#include "verify/refused.h"

#include <stdarg.h>
#include <stdio.h>

static const struct {
    const char *word, *meaning;
} refusals[] = {[IDM_REFUSAL_NONE] = {"none", ""},
#define IDM_REFUSAL_ROW(id, word, meaning) [id] = {word, meaning},
                IDM_REFUSALS(IDM_REFUSAL_ROW)
#undef IDM_REFUSAL_ROW
};

const char *idm_refusal_word(enum idm_refusal refusal)
{
    return refusals[refusal].word;
}

const char *idm_refusal_meaning(enum idm_refusal refusal)
{
    return refusals[refusal].meaning;
}

int idm_refuse(struct idm_refused *refused, enum idm_refusal refusal, const char *format, ...)
{
    va_list args;
    refused->refusal = refusal;
    va_start(args, format);
    (void)vsnprintf(refused->why, sizeof refused->why, format, args);
    va_end(args);
    return IDM_E_REFUSED;
}
