/* SPDX-License-Identifier: BSD-2-Clause */
/* software_scratch.h - a directory per test, the commands that run in it, and the files they leave. */
#ifndef IDM_TESTS_UNIT_SOFTWARE_SCRATCH_H
#define IDM_TESTS_UNIT_SOFTWARE_SCRATCH_H

#include "backends/software/cert.h"
#include "backends/software/key.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char scratch[64];

static inline void make_scratch(void)
{
    strcpy(scratch, "/tmp/idmode-software-XXXXXX");
    cr_assert_not_null(mkdtemp(scratch));
    cr_assert_eq(chdir(scratch), 0);
}

static inline void remove_scratch(void)
{
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf %s", scratch);
    cr_assert_eq(system(command), 0);
}

/* Commands run in the scratch directory, silently. */
static inline void shell(const char *command)
{
    char line[1024];
    (void)snprintf(line, sizeof line, "( %s ) >log 2>&1 </dev/null", command);
    cr_assert_eq(system(line), 0, "%s", command);
}

static inline struct idm_bytes slurp(const char *name)
{
    static char buffer[IDM_BYTES_MAX];
    struct idm_bytes bytes = {0};
    FILE *file = fopen(name, "re");
    cr_assert_not_null(file, "%s", name);
    size_t size = fread(buffer, 1, sizeof buffer, file);
    fclose(file);
    cr_assert_eq(idm_bytes_set(&bytes, buffer, size), 0);
    return bytes;
}

static inline void spit(const char *name, const struct idm_bytes *bytes)
{
    FILE *file = fopen(name, "we");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(bytes->data, 1, bytes->size, file), bytes->size);
    cr_assert_eq(fclose(file), 0);
}

/* As struct idm_backends verifies. */
static inline int cert_verify(const struct idm_bytes *pem, enum idm_digest digest,
                              const uint8_t *hash, const struct idm_signature *signature,
                              struct idm_error *err)
{
    struct idm_cert_info info;
    EVP_PKEY *key = NULL;
    int r = idm_cert_read(pem, NULL, 0, &info, &key, err);
    if (r == 0)
        r = idm_public_verify(key, digest, hash, signature, err);
    EVP_PKEY_free(key);
    return r;
}

#endif
