/* SPDX-License-Identifier: BSD-2-Clause */
/* subject.c - in place of backends/platform/settings_subject.c, which needs OpenSSL: no certificate is made
 * here, and boot, which makes them, says what is wrong with a subject. */
#include "backends/platform/settings_value.h"

int idm_settings_subject_fits(const char *text)
{
    return *text ? 0 : IDM_E_SETTINGS;
}
