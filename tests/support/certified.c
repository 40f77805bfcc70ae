/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/support/certified.h"

#include "tests/support/run.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

static int write_text(const char *dir, const char *name, const char *text)
{
    char path[640];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *file = fopen(path, "we");
    if (!file)
        return -errno;
    bool good = fputs(text, file) >= 0;
    return fclose(file) == 0 && good ? 0 : -EIO;
}

/* What swtpm_localca(8) and swtpm_setup(8) read. */
static int configure(const char *ca_dir)
{
    char text[2048];
    if (mkdir(ca_dir, 0700) != 0 && errno != EEXIST)
        return -errno;
    (void)snprintf(text, sizeof text,
                   "statedir = %s\nsigningkey = %s/signkey.pem\nissuercert = %s/issuercert.pem\n"
                   "certserial = %s/certserial\n",
                   ca_dir, ca_dir, ca_dir, ca_dir);
    int rc = write_text(ca_dir, "localca.conf", text);
    if (rc == 0)
        rc =
            write_text(ca_dir, "localca.options",
                       "--platform-manufacturer Maker\n--platform-version 1\n--platform-model M\n");
    (void)snprintf(text, sizeof text,
                   "create_certs_tool=/usr/bin/swtpm_localca\ncreate_certs_tool_config=%s/"
                   "localca.conf\ncreate_certs_tool_options=%s/localca.options\n",
                   ca_dir, ca_dir);
    return rc ? rc : write_text(ca_dir, "setup.conf", text);
}

int idm_swtpm_certify(struct idm_swtpm *chip, const char *ca_dir)
{
    _cleanup_run_ struct idm_run run = {0};
    char config[640];
    bool runs = chip->pid > 0;
    int rc = configure(ca_dir);
    if (rc)
        return rc;
    idm_swtpm_stop(chip);
    (void)snprintf(config, sizeof config, "%s/setup.conf", ca_dir);
    if (mkdir(chip->state_dir, 0700) != 0 && errno != EEXIST)
        return -errno;
    if (idm_run(&run, NULL,
                (const char *const[]){"swtpm_setup", "--tpm2", "--tpmstate", chip->state_dir,
                                      "--create-ek-cert", "--overwrite", "--config", config, NULL}))
        return -errno;
    if (run.exit_code != 0) {
        (void)fprintf(stderr, "swtpm_setup: exit %d: %s%s\n", run.exit_code, run.out, run.err);
        return -ECHILD;
    }
    return runs ? idm_swtpm_resume(chip) : 0;
}
