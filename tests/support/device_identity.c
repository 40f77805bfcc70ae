/* SPDX-License-Identifier: BSD-2-Clause */
/* Which identity does the device have? Judged from outside, with OpenSSL alone. */
#include "tests/support/device.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

#define RUN_CERT    "/run/idmode/device.cert.pem"
#define CONFIG_CERT "/config/device.cert.pem"
#define CHALLENGE   48u /* no block size of any digest */

static void free_cert(X509 **cert)
{
    X509_free(*cert);
}

static void free_digest(EVP_MD_CTX **digest)
{
    EVP_MD_CTX_free(*digest);
}

#define _cleanup_cert_   __attribute__((cleanup(free_cert)))
#define _cleanup_digest_ __attribute__((cleanup(free_digest)))

static int hash_hex(const unsigned char *der, int size, char ret_text[IDM_DEVICE_HEX_SIZE])
{
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned n = 0;

    if (der == NULL || size <= 0 ||
        EVP_Digest(der, (size_t)size, hash, &n, EVP_sha256(), NULL) != 1 ||
        2 * n + 1 != IDM_DEVICE_HEX_SIZE)
        return -1;
    for (unsigned i = 0; i < n; i++)
        snprintf(ret_text + (size_t)2 * i, 3, "%02x", hash[i]);
    return 0;
}

/* NULL when there is no certificate in that file, whatever is. */
static X509 *load_cert(const struct idm_device *device, const char *path)
{
    char real[IDM_DEVICE_PATH_SIZE];
    X509 *cert;
    BIO *bio;

    idm_device_path(device, path, real);
    bio = BIO_new_file(real, "r");
    cert = bio == NULL ? NULL : PEM_read_bio_X509(bio, NULL, NULL, NULL);
    BIO_free(bio);
    return cert;
}

static int fingerprint(struct idm_device *device, X509 *cert, struct idm_device_identity *ret)
{
    unsigned char *der = NULL, *spki = NULL;
    int size = i2d_X509(cert, &der);
    int spki_size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &spki);
    int result = 0;

    *ret = (struct idm_device_identity){0};
    if (hash_hex(der, size, ret->cert_sha256) != 0 ||
        hash_hex(spki, spki_size, ret->spki_sha256) != 0)
        result = idm_device_fail(device, "the certificate cannot be hashed");
    OPENSSL_free(der);
    OPENSSL_free(spki);
    return result;
}

static bool verifies(X509 *cert, const unsigned char *message, size_t size, const char *signature,
                     size_t signature_size)
{
    _cleanup_digest_ EVP_MD_CTX *digest = EVP_MD_CTX_new();

    return digest != NULL &&
           EVP_DigestVerifyInit(digest, NULL, EVP_sha256(), NULL, X509_get0_pubkey(cert)) == 1 &&
           EVP_DigestVerify(digest, (const unsigned char *)signature, signature_size, message,
                            size) == 1;
}

/* "5 an operation failed (nothing lost, try again)": so do we, since the devices of tests wait for a fifth of a second
 * for their chip, and a busy machine lets an emulator sleep for longer. */
#define ATTEMPTS 5

static int sign_challenge(struct idm_device *device, struct idm_run *run,
                          const unsigned char challenge[CHALLENGE])
{
    for (int attempt = 1; attempt <= ATTEMPTS; attempt++) {
        idm_run_free(run);
        if (idm_device_run(device, run, (const char *)challenge, CHALLENGE,
                           (const char *const[]){"sign", NULL}) != 0)
            return -1;
        if (run->exit_code != 5)
            break;
    }
    return 0;
}

/* An aware image: idmode signs, whoever holds the key. */
static int active_aware(struct idm_device *device, struct idm_device_identity *ret)
{
    _cleanup_cert_ X509 *cert = load_cert(device, RUN_CERT);
    _cleanup_run_ struct idm_run run = {0};
    struct idm_device_identity identity;
    unsigned char challenge[CHALLENGE];

    if (cert == NULL)
        return 1;
    if (fingerprint(device, cert, &identity) != 0)
        return -1;
    if (RAND_bytes(challenge, sizeof(challenge)) != 1)
        return idm_device_fail(device, "no random challenge");
    if (sign_challenge(device, &run, challenge) != 0)
        return -1;
    identity.works =
        run.exit_code == 0 && verifies(cert, challenge, sizeof(challenge), run.out, run.out_size);
    *ret = identity;
    return 0;
}

int idm_device_legacy(struct idm_device *device, enum idm_legacy_view *ret_view,
                      struct idm_device_identity *ret)
{
    _cleanup_cert_ X509 *cert = load_cert(device, CONFIG_CERT);
    struct idm_device_identity identity = {0};
    char config[IDM_DEVICE_PATH_SIZE];
    enum idm_legacy_view view;

    idm_device_path(device, "/config", config);
    if (idm_legacy_look(&(struct idm_legacy_image){.config_dir = config}, &view) != 0)
        return idm_device_fail(device, "openssl could not be run on %s", config);
    if (cert != NULL && fingerprint(device, cert, &identity) != 0)
        return -1;
    identity.works = view == IDM_LEGACY_VIEW_WORKS;
    *ret_view = view;
    if (ret != NULL)
        *ret = identity;
    return 0;
}

int idm_device_active(struct idm_device *device, struct idm_device_identity *ret)
{
    struct idm_device_identity identity;
    enum idm_legacy_view view;

    if (device->boots == 0)
        return 1;
    if (device->image.aware)
        return active_aware(device, ret);
    if (idm_device_legacy(device, &view, &identity) != 0)
        return -1;
    if (view == IDM_LEGACY_VIEW_ABSENT)
        return 1;
    *ret = identity;
    return 0;
}

int idm_device_status(struct idm_device *device, json_t **ret_status)
{
    _cleanup_run_ struct idm_run run = {0};
    json_error_t error;
    json_t *status;

    if (idm_device_idmode(device, &run, "status", "--json", NULL) != 0)
        return -1;
    status = json_loadb(run.out, run.out_size, JSON_REJECT_DUPLICATES, &error);
    if (status == NULL || !json_is_object(status)) {
        json_decref(status);
        return idm_device_fail(device, "idmode status --json (exit %d) is no JSON object: %s: %s",
                               run.exit_code, error.text, run.out[0] != '\0' ? run.out : run.err);
    }
    *ret_status = status;
    return 0;
}
