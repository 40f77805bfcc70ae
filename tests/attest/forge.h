/* SPDX-License-Identifier: BSD-2-Clause */
/* forge.h - a chip in software: composes what a TPM would, with keys of OpenSSL, true or false.
 *
 * A real chip never says what is false, so what the verifier refuses is composed here: beside the tests with
 * swtpm and the shipped programs (attest_device.c), whose documents it is compared with.
 *
 *     struct forge f;
 *     forge_make(&f);                              keys, certificates, record, counter: all of it true
 *     f.spoil_quote = wrong_magic;                 … but for what a test wants otherwise
 *     forge_evidence(&f, &text);
 *     forge_free(&f);
 *
 * Functions abort when OpenSSL fails. Nothing here knows Criterion. */
#ifndef IDM_TESTS_ATTEST_FORGE_H
#define IDM_TESTS_ATTEST_FORGE_H

#include "engine/record.h"
#include "verify/enrol.h"
#include "verify/evidence.h"

#include <jansson.h>
#include <openssl/evp.h>

#define FORGE_INDEX 0x01821D01u

typedef void (*forge_spoil)(TPMS_ATTEST *attest);

struct forge {
    EVP_PKEY *ek_key, *srk_key, *parent_key, *ak_key, *device_key, *old_key;
    TPM2B_PUBLIC ek, srk, parent, ak, device;
    TPM2B_NV_PUBLIC nv;
    struct idm_record record;
    struct idm_bytes cert, old_cert; /* DER */
    struct idm_bytes nonce, secret;
    uint64_t counter;
    TPMS_CLOCK_INFO clock;
    bool prepared, adopted, no_counter;
    /* called on what the chip would say, before the AK signs it; NULL: nothing */
    forge_spoil spoil_quote, spoil_device, spoil_counter;
    /* called on the body before the quote covers it; on the whole afterwards */
    void (*spoil_body)(struct forge *f, json_t *body);
    void (*spoil_outer)(struct forge *f, json_t *outer);
    EVP_PKEY *signs;  /* in place of the AK; NULL: the AK */
    const char *pcrs; /* selection; NULL: the default */
};

void forge_make(struct forge *f);
void forge_free(struct forge *f);

/* Signs the record anew, after an edit of it or of the certificate. */
void forge_record(struct forge *f);
/* A new certificate for the device key, noted in the record. */
void forge_certificate(struct forge *f);
/* The old identity is in use, this one waits. */
void forge_prepare(struct forge *f);

/* The documents of docs/attestation.md. */
void forge_evidence(struct forge *f, struct idm_bytes *ret);
void forge_quote(struct forge *f, struct idm_bytes *ret);
void forge_certify(struct forge *f, struct idm_bytes *ret);
void forge_ak_document(struct forge *f, struct idm_bytes *ret);
/* certificate NULL: none. */
void forge_ek_document(struct forge *f, const struct idm_bytes *certificate, struct idm_bytes *ret);

/* What a controller insists on that activated this AK. Borrows from f. */
void forge_policy(const struct forge *f, struct idm_policy *ret);

/* A key as a TPM holds it: fills `unique` of a public area. */
EVP_PKEY *forge_key(TPM2B_PUBLIC *area);
void forge_set(struct idm_bytes *b, const void *data, size_t size);
json_t *forge_base64(const void *data, size_t size);
json_t *forge_public(const TPM2B_PUBLIC *area);
#define FORGE_MUST(condition)                                                                      \
    do {                                                                                           \
        if (!(condition))                                                                          \
            forge_abort(__FILE__, __LINE__, #condition);                                           \
    } while (0)
_Noreturn void forge_abort(const char *file, int line, const char *condition);

#endif
