/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/support/legacy.h"

#include "tests/support/run.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIFETIME_DAYS "7300"

struct pair {
    char cert[PATH_MAX];
    char key[PATH_MAX];
};

static int pair_paths(const struct idm_legacy_image *image, struct pair *ret)
{
    int cert = snprintf(ret->cert, PATH_MAX, "%s/device.cert.pem", image->config_dir);
    int key = snprintf(ret->key, PATH_MAX, "%s/device.key.pem", image->config_dir);

    return cert < 0 || cert >= PATH_MAX || key < 0 || key >= PATH_MAX ? -1 : 0;
}

/* Exit code of a command, or -1. */
static int openssl(const char *const argv[])
{
    _cleanup_run_ struct idm_run run = {0};

    if (idm_run(&run, NULL, argv) != 0 || run.timed_out || run.exit_code >= 126)
        return -1;
    return run.exit_code;
}

/* Signs with the key and verifies under the certificate's key, all in `dir`. */
static int prove_in(const char *dir, const struct pair *pair, bool *ret_works)
{
    char message[PATH_MAX], signature[PATH_MAX], public[PATH_MAX];
    FILE *file;
    int failed = 0;

    snprintf(message, sizeof(message), "%s/message", dir);
    snprintf(signature, sizeof(signature), "%s/signature", dir);
    snprintf(public, sizeof(public), "%s/public.pem", dir);
    file = fopen(message, "we");
    if (file == NULL || fputs("legacy image\n", file) < 0 || fclose(file) != 0)
        return -1;

    const char *const steps[][12] = {
        {"openssl", "x509", "-in", pair->cert, "-noout", "-pubkey", "-out", public, NULL},
        {"openssl", "dgst", "-sha256", "-sign", pair->key, "-out", signature, message, NULL},
        {"openssl", "dgst", "-sha256", "-verify", public, "-signature", signature, message, NULL},
    };
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]) && failed == 0; i++)
        failed = openssl(steps[i]);
    unlink(message);
    unlink(signature);
    unlink(public);
    if (failed < 0)
        return -1;
    *ret_works = failed == 0;
    return 0;
}

static int look(const struct pair *pair, enum idm_legacy_view *ret_view)
{
    char dir[] = "/tmp/idm-legacy-XXXXXX";
    bool works = false;
    int result;

    if (access(pair->cert, F_OK) != 0 || access(pair->key, F_OK) != 0) {
        *ret_view = IDM_LEGACY_VIEW_ABSENT;
        return 0;
    }
    if (mkdtemp(dir) == NULL)
        return -1;
    result = prove_in(dir, pair, &works);
    rmdir(dir);
    if (result == 0)
        *ret_view = works ? IDM_LEGACY_VIEW_WORKS : IDM_LEGACY_VIEW_BROKEN;
    return result;
}

/* ecparam -genkey writes EC PARAMETERS and EC PRIVATE KEY, as the images of that time had it. */
static int mint(const struct idm_legacy_image *image, const struct pair *pair)
{
    const char *const ec[] = {"openssl", "ecparam", "-name",   "prime256v1",
                              "-genkey", "-out",    pair->key, NULL};
    const char *const rsa[] = {"openssl", "genrsa", "-traditional", "-out", pair->key,
                               "2048",    NULL};
    const char *const cert[] = {"openssl", "req",          "-x509",    "-new",        "-sha256",
                                "-subj",   image->subject, "-days",    LIFETIME_DAYS, "-key",
                                pair->key, "-out",         pair->cert, NULL};

    if (openssl(image->rsa ? rsa : ec) != 0)
        return -1;
    return openssl(cert) != 0 ? -1 : 0;
}

int idm_legacy_look(const struct idm_legacy_image *image, enum idm_legacy_view *ret_view)
{
    struct pair pair;

    return pair_paths(image, &pair) != 0 ? -1 : look(&pair, ret_view);
}

int idm_legacy_boot(const struct idm_legacy_image *image, enum idm_legacy_view *ret_view,
                    bool *ret_minted)
{
    enum idm_legacy_view view;
    struct pair pair;
    bool minted = false;

    if (pair_paths(image, &pair) != 0 || look(&pair, &view) != 0)
        return -1;
    if (view == IDM_LEGACY_VIEW_ABSENT) {
        if (mint(image, &pair) != 0 || look(&pair, &view) != 0)
            return -1;
        minted = true;
    }
    *ret_view = view;
    *ret_minted = minted;
    return 0;
}

const char *idm_legacy_view_name(enum idm_legacy_view view)
{
    switch (view) {
    case IDM_LEGACY_VIEW_ABSENT:
        return "absent";
    case IDM_LEGACY_VIEW_BROKEN:
        return "broken";
    case IDM_LEGACY_VIEW_WORKS:
        return "works";
    }
    return "broken";
}
