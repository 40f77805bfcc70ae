/* SPDX-License-Identifier: BSD-2-Clause */
/* bare.c - what a steady boot asks the TPM, and nothing else: the yardstick for `idmode boot`. A
 * program that only wants to know that the chip holds the certificate's key, and its counter, must do
 * this much: connect, Sign, verify the signature under the certificate, NV_ReadPublic, NV_Read. It reads
 * no other file, decides nothing and writes nothing.
 *
 *     bare TCTI INDEX KEYFILE CERT             that
 *     bare TCTI INDEX KEYFILE write HANDLE     writes KEYFILE instead: the key at HANDLE as ESAPI
 *                                              serialises it, so that using it costs no ReadPublic
 *
 * Exit 0, or 1 with a line on stderr.
 */
#include <openssl/ecdsa.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tss2/tss2_esys.h>
#include <tss2/tss2_rc.h>
#include <tss2/tss2_tctildr.h>

#define KEY_FILE_MAX 2048u
#define COUNTER_SIZE 8u

static bool good(TSS2_RC rc, const char *what)
{
    if (rc != TSS2_RC_SUCCESS)
        fprintf(stderr, "bare: %s: %s\n", what, Tss2_RC_Decode(rc));
    return rc == TSS2_RC_SUCCESS;
}

static bool serialise(ESYS_CONTEXT *esys, TPM2_HANDLE handle, const char *path)
{
    ESYS_TR key = ESYS_TR_NONE;
    uint8_t *bytes = NULL;
    size_t size = 0;
    bool done = false;

    if (!good(Esys_TR_FromTPMPublic(esys, handle, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &key),
              "read the key") ||
        !good(Esys_TR_Serialize(esys, key, &bytes, &size), "serialise the key"))
        return false;
    FILE *file = fopen(path, "we");
    if (file != NULL) {
        done = fwrite(bytes, 1, size, file) == size;
        done = fclose(file) == 0 && done;
    }
    if (!done)
        perror(path);
    Esys_Free(bytes);
    Esys_TR_Close(esys, &key);
    return done;
}

/* A P-256 signature, under the key of the certificate in that file. */
static bool verify(const char *path, const TPM2B_DIGEST *digest, const TPMT_SIGNATURE *signature)
{
    const TPMS_SIGNATURE_ECC *from = &signature->signature.ecdsa;
    FILE *file = fopen(path, "re");
    X509 *cert = file != NULL ? PEM_read_X509(file, NULL, NULL, NULL) : NULL;
    EVP_PKEY_CTX *ctx = cert != NULL ? EVP_PKEY_CTX_new(X509_get0_pubkey(cert), NULL) : NULL;
    ECDSA_SIG *parts = ECDSA_SIG_new();
    unsigned char *der = NULL;
    bool done = false;

    if (parts != NULL && ctx != NULL &&
        ECDSA_SIG_set0(parts, BN_bin2bn(from->signatureR.buffer, from->signatureR.size, NULL),
                       BN_bin2bn(from->signatureS.buffer, from->signatureS.size, NULL)) == 1) {
        int size = i2d_ECDSA_SIG(parts, &der);

        done = size > 0 && EVP_PKEY_verify_init(ctx) == 1 &&
               EVP_PKEY_verify(ctx, der, (size_t)size, digest->buffer, digest->size) == 1;
    }
    if (!done)
        fprintf(stderr, "bare: the signature is not good under %s\n", path);
    OPENSSL_free(der);
    ECDSA_SIG_free(parts);
    EVP_PKEY_CTX_free(ctx);
    X509_free(cert);
    if (file != NULL)
        fclose(file);
    return done;
}

static bool sign(ESYS_CONTEXT *esys, const char *path, const char *cert)
{
    static const unsigned char message[] = "a fresh challenge";
    TPM2B_DIGEST digest = {.size = SHA256_DIGEST_LENGTH};
    const TPMT_SIG_SCHEME scheme = {.scheme = TPM2_ALG_ECDSA,
                                    .details.ecdsa.hashAlg = TPM2_ALG_SHA256};
    const TPMT_TK_HASHCHECK no_ticket = {.tag = TPM2_ST_HASHCHECK, .hierarchy = TPM2_RH_NULL};
    uint8_t bytes[KEY_FILE_MAX];
    TPMT_SIGNATURE *signature = NULL;
    ESYS_TR key = ESYS_TR_NONE;
    size_t size = 0;
    FILE *file = fopen(path, "re");

    if (file != NULL) {
        size = fread(bytes, 1, sizeof(bytes), file);
        fclose(file);
    }
    SHA256(message, sizeof(message), digest.buffer);
    if (!good(Esys_TR_Deserialize(esys, bytes, size, &key), "use the key") ||
        !good(Esys_Sign(esys, key, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &digest, &scheme,
                        &no_ticket, &signature),
              "sign"))
        return false;
    bool verified = verify(cert, &digest, signature);
    Esys_Free(signature);
    Esys_TR_Close(esys, &key);
    return verified;
}

static bool read_counter(ESYS_CONTEXT *esys, TPM2_HANDLE index)
{
    TPM2B_MAX_NV_BUFFER *data = NULL;
    ESYS_TR counter = ESYS_TR_NONE;

    if (!good(
            Esys_TR_FromTPMPublic(esys, index, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &counter),
            "read the index") ||
        !good(Esys_NV_Read(esys, counter, counter, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
                           COUNTER_SIZE, 0, &data),
              "read the counter"))
        return false;
    Esys_Free(data);
    Esys_TR_Close(esys, &counter);
    return true;
}

int main(int argc, char *argv[])
{
    TSS2_TCTI_CONTEXT *tcti = NULL;
    ESYS_CONTEXT *esys = NULL;
    bool done = false;

    if (argc != 5 && !(argc == 6 && strcmp(argv[4], "write") == 0)) {
        fprintf(stderr, "bare TCTI INDEX KEYFILE CERT|write HANDLE\n");
        return 1;
    }
    TPM2_HANDLE index = (TPM2_HANDLE)strtoul(argv[2], NULL, 0);
    if (good(Tss2_TctiLdr_Initialize(argv[1], &tcti), argv[1]) &&
        good(Esys_Initialize(&esys, tcti, NULL), "connect")) {
        if (argc == 6)
            done = serialise(esys, (TPM2_HANDLE)strtoul(argv[5], NULL, 0), argv[3]);
        else
            done = sign(esys, argv[3], argv[4]) && read_counter(esys, index);
    }
    Esys_Finalize(&esys);
    Tss2_TctiLdr_Finalize(&tcti);
    return done ? 0 : 1;
}
