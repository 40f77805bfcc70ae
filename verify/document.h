/* SPDX-License-Identifier: BSD-2-Clause */
/* document.h - the JSON documents of docs/attestation.md, read strictly.
 *
 *     text ──► jansson ──► members (each there, none doubled, none unknown) ──► bytes
 *
 * A reader refuses what the page does not describe: CORRUPT, with the place in *err. Everything is bounded:
 * a document by IDM_BYTES_MAX, lists by IDM_LIST_MAX. What is read is owned by the document and freed with
 * it; a document that was refused is empty. Any thread; nothing is kept. */
#ifndef IDM_VERIFY_DOCUMENT_H
#define IDM_VERIFY_DOCUMENT_H

#include "backends/bytes.h"

#include <tss2/tss2_tpm2_types.h>

#define IDM_LIST_MAX     16u
#define IDM_SERVICE_SIZE 33u /* 1 to 32 characters */

struct idm_list {
    size_t count;
    struct idm_bytes item[IDM_LIST_MAX];
};
void idm_list_free(struct idm_list *list);

/* ---- idmode-ek ---- */

struct idm_ek_entry {
    char template[8];             /* as the device says */
    struct idm_bytes public;      /* TPM2B_PUBLIC; empty: the chip could not make the key */
    struct idm_bytes certificate; /* DER; empty: none */
};

struct idm_ek_document {
    size_t count;
    struct idm_ek_entry key[IDM_LIST_MAX];
    struct idm_list chain;
};
int idm_ek_document_read(const struct idm_bytes *text, struct idm_ek_document *ret,
                         struct idm_error *err) IDM_NODISCARD;
void idm_ek_document_free(struct idm_ek_document *document);

/* ---- idmode-ak ---- */

struct idm_ak_document {
    char service[IDM_SERVICE_SIZE];
    struct idm_bytes public; /* TPM2B_PUBLIC */
    struct idm_list parents;
};
int idm_ak_document_read(const struct idm_bytes *text, struct idm_ak_document *ret,
                         struct idm_error *err) IDM_NODISCARD;
void idm_ak_document_free(struct idm_ak_document *document);

/* ---- idmode-evidence, idmode-quote, idmode-certify ---- */

struct idm_part {
    struct idm_bytes attest, signature; /* TPMS_ATTEST, TPMT_SIGNATURE */
};

struct idm_device_part {
    struct idm_bytes public;
    struct idm_list parents;
    struct idm_part part;
    struct idm_list certificates; /* DER */
};

struct idm_counter_part {
    struct idm_bytes public; /* TPM2B_NV_PUBLIC; empty: there is no counter */
    struct idm_part part;
};

#define IDM_PCR_BANKS 4u
#define IDM_PCRS      24u /* PC Client Platform TPM Profile: PCRs 0 to 23 */

struct idm_pcr_bank {
    TPM2_ALG_ID algorithm; /* 0: no such bank */
    uint32_t selected;     /* bit per PCR */
    uint8_t value[IDM_PCRS][TPM2_SHA512_DIGEST_SIZE];
};

struct idm_pcrs {
    size_t count;
    struct idm_pcr_bank bank[IDM_PCR_BANKS];
};

struct idm_claims { /* the software's words */
    char mode[16], state[16], legacy[16], version[72];
    bool ever_plain, healthy;
};

struct idm_evidence_document {
    struct idm_bytes body; /* JSON text: what the nonce of `quote` covers */
    struct idm_part quote;
    struct idm_bytes old_signature; /* DER or PKCS #1; empty: none */
    /* in the body */
    char service[IDM_SERVICE_SIZE];
    struct idm_bytes nonce;
    bool credential, prepared;
    struct idm_bytes ak;
    struct idm_list parents;
    struct idm_device_part device;
    struct idm_counter_part counter;
    struct idm_pcrs pcrs;
    struct idm_bytes record, statement; /* statement: JSON text; empty: none */
    struct idm_claims claims;           /* what `status` says; empty where it says nothing */
    struct idm_list old_certificates;
};
int idm_evidence_document_read(const struct idm_bytes *text, struct idm_evidence_document *ret,
                               struct idm_error *err) IDM_NODISCARD;
void idm_evidence_document_free(struct idm_evidence_document *evidence);

struct idm_quote_document {
    struct idm_bytes ak;
    struct idm_part quote;
    struct idm_pcrs pcrs;
};
int idm_quote_document_read(const struct idm_bytes *text, struct idm_quote_document *ret,
                            struct idm_error *err) IDM_NODISCARD;
void idm_quote_document_free(struct idm_quote_document *document);

struct idm_certify_document {
    struct idm_bytes ak;
    struct idm_list parents;
    struct idm_device_part device;
};
int idm_certify_document_read(const struct idm_bytes *text, struct idm_certify_document *ret,
                              struct idm_error *err) IDM_NODISCARD;
void idm_certify_document_free(struct idm_certify_document *document);

/* ---- statement.json: the old key's word for its successor ---- */

struct idm_statement {
    uint8_t old_cert[IDM_SHA256_SIZE], new_cert[IDM_SHA256_SIZE]; /* SHA-256 of the DER */
    uint32_t epoch;
    struct idm_bytes signature;
};
int idm_statement_read(const struct idm_bytes *text, struct idm_statement *ret,
                       struct idm_error *err) IDM_NODISCARD;
void idm_statement_free(struct idm_statement *statement);

#endif
