/* SPDX-License-Identifier: BSD-2-Clause */
/* life_shim.h - tests/tools/tcti_shim.c between the device and its chip.
 *
 *     spoil("cc=Sign,do=answer:0x921");    from now on; the commands' numbers begin at 1
 *     boot(3);
 *     commands(NULL)                       how many went out
 *     honest();                            the chip itself again
 */
#ifndef IDM_TESTS_LIFE_LIFE_SHIM_H
#define IDM_TESTS_LIFE_LIFE_SHIM_H

#include "tests/life/life_device.h"

#define SHIM     IDM_TEST_BUILD_DIR "/tests/tcti_shim.so"
#define LOG_NAME "commands"
/* Changes nothing, but logs. */
#define COUNT "at=1,do=delay:0"

__attribute__((format(printf, 1, 2))) static inline void tcti_is(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    int size = vsnprintf(device.tcti, sizeof(device.tcti), format, arguments);
    va_end(arguments);
    cr_assert(size > 0 && (size_t)size < sizeof(device.tcti));
}

static inline void log_path(char ret_path[300])
{
    snprintf(ret_path, 300, "%s/" LOG_NAME, device.base);
}

static inline void spoil(const char *what)
{
    char path[300];

    log_path(path);
    unlink(path);
    tcti_is(SHIM ":log=%s,%s,child=%s", path, what, device.tpm.tcti);
}

static inline void spoil_at(const char *what, unsigned n)
{
    char text[96];

    snprintf(text, sizeof(text), "at=%u,do=%s", n, what);
    spoil(text);
}

static inline void honest(void)
{
    tcti_is("%s", device.tpm.tcti);
}

static inline void nobody(void)
{
    tcti_is("swtpm:path=%s/nobody", device.base);
}

/* Commands since spoil(); ret_last (may be NULL) gets the last one's line. */
static inline unsigned commands(char ret_last[64])
{
    char path[300], line[64];
    unsigned count = 0;

    log_path(path);
    FILE *log = fopen(path, "re");
    if (ret_last != NULL)
        ret_last[0] = '\0';
    if (log == NULL)
        return 0;
    for (; fgets(line, sizeof(line), log) != NULL; count++) {
        if (ret_last != NULL)
            strcpy(ret_last, line);
    }
    fclose(log);
    return count;
}

#endif
