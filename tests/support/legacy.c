/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/support/legacy.h"

#include "tests/support/run.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <unistd.h>

#define LIFETIME_DAYS "7300"
#define SIGNATURE_MAX 1024u /* RSA-8192 */

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

static FILE *open_file(const char *path)
{
    return fopen(path, "re");
}

static EVP_PKEY *read_key(const char *path)
{
    FILE *file = open_file(path);
    EVP_PKEY *key = file == NULL ? NULL : PEM_read_PrivateKey(file, NULL, NULL, NULL);

    if (file != NULL)
        fclose(file);
    return key;
}

static X509 *read_cert(const char *path)
{
    FILE *file = open_file(path);
    X509 *cert = file == NULL ? NULL : PEM_read_X509(file, NULL, NULL, NULL);

    if (file != NULL)
        fclose(file);
    return cert;
}

/* What a TLS handshake does with the pair: the key signs, the certificate's key verifies. */
static bool proves(EVP_PKEY *key, X509 *cert)
{
    static const unsigned char message[] = "legacy image";
    unsigned char signature[SIGNATURE_MAX];
    size_t size = sizeof(signature);
    EVP_MD_CTX *sign = EVP_MD_CTX_new(), *verify = EVP_MD_CTX_new();
    bool proven =
        sign != NULL && verify != NULL &&
        EVP_DigestSignInit(sign, NULL, EVP_sha256(), NULL, key) == 1 &&
        EVP_DigestSign(sign, signature, &size, message, sizeof(message)) == 1 &&
        EVP_DigestVerifyInit(verify, NULL, EVP_sha256(), NULL, X509_get0_pubkey(cert)) == 1 &&
        EVP_DigestVerify(verify, signature, size, message, sizeof(message)) == 1;

    EVP_MD_CTX_free(sign);
    EVP_MD_CTX_free(verify);
    return proven;
}

static enum idm_legacy_view look(const struct pair *pair)
{
    EVP_PKEY *key;
    X509 *cert;
    bool works;

    if (access(pair->cert, F_OK) != 0 || access(pair->key, F_OK) != 0)
        return IDM_LEGACY_VIEW_ABSENT;
    key = read_key(pair->key);
    cert = read_cert(pair->cert);
    works = key != NULL && cert != NULL && proves(key, cert);
    EVP_PKEY_free(key);
    X509_free(cert);
    ERR_clear_error();
    return works ? IDM_LEGACY_VIEW_WORKS : IDM_LEGACY_VIEW_BROKEN;
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

    if (pair_paths(image, &pair) != 0)
        return -1;
    *ret_view = look(&pair);
    return 0;
}

int idm_legacy_boot(const struct idm_legacy_image *image, enum idm_legacy_view *ret_view,
                    bool *ret_minted)
{
    enum idm_legacy_view view;
    struct pair pair;
    bool minted = false;

    if (pair_paths(image, &pair) != 0)
        return -1;
    view = look(&pair);
    if (view == IDM_LEGACY_VIEW_ABSENT) {
        if (mint(image, &pair) != 0)
            return -1;
        view = look(&pair);
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
