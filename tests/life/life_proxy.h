/* SPDX-License-Identifier: BSD-2-Clause */
/* life_proxy.h - a chip that gives false answers to the device, and counts what it is asked
 * (tests/unit/tpm_chip.h has the proxy itself).
 *
 *     chip_lies("0x15d:0x922:3");     TPM2_Sign answers TPM_RC_RETRY three times to each process
 *     boot(3);
 *     chip_commands_since(codes)      how many commands went out
 *     chip_true();
 */
#ifndef IDM_TESTS_LIFE_LIFE_PROXY_H
#define IDM_TESTS_LIFE_LIFE_PROXY_H

#include "tests/life/life_device.h"
#include "tests/unit/tpm_chip.h"

__attribute__((format(printf, 1, 2))) static inline void chip_is(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    int size = vsnprintf(device.tcti, sizeof(device.tcti), format, arguments);
    va_end(arguments);
    cr_assert(size > 0 && (size_t)size < sizeof(device.tcti));
}

static inline void chip_true(void)
{
    chip_is("%s", device.tpm.tcti);
}

static inline void chip_nobody(void)
{
    chip_is("swtpm:path=%s/nobody", device.base);
}

static inline void chip_lies(const char *plan)
{
    char self[256] = "", path[300], script[1024];

    cr_assert_gt(readlink("/proc/self/exe", self, sizeof(self) - 1), 0);
    snprintf(path, sizeof(path), "%s/chip", device.base);
    snprintf(script, sizeof(script),
             "#!/bin/sh\nexec env " PROXY_ENV "='%s/tpm;%s/commands;%s' %s\n", device.tpm.run_dir,
             device.base, plan, self);
    FILE *file = fopen(path, "we");
    cr_assert_not_null(file);
    cr_assert_geq(fputs(script, file), 0);
    cr_assert_eq(fclose(file), 0);
    cr_assert_eq(chmod(path, 0755), 0);
    chip_is("cmd:%s", path);
}

/* Commands since the last call; ret_codes gets their codes. */
static inline int chip_commands_since(char ret_codes[512])
{
    char path[300], line[32];
    int count = 0;

    snprintf(path, sizeof(path), "%s/commands", device.base);
    ret_codes[0] = '\0';
    FILE *log = fopen(path, "re");
    if (log == NULL)
        return 0;
    for (; fgets(line, sizeof(line), log) != NULL; count++) {
        line[strcspn(line, "\n")] = ' ';
        if (strlen(ret_codes) + strlen(line) < 512)
            strcat(ret_codes, line);
    }
    fclose(log);
    unlink(path);
    return count;
}

#endif
