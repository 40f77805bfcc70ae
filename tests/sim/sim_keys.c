/* SPDX-License-Identifier: BSD-2-Clause */
/* sim_keys.c - keys and certificates as numbers: "KEY 7", "CERT 9 KEY 7 FROM … TO …". */
#include "tests/sim/sim_parts.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

uint32_t idm_sim_new_id(struct idm_sim *sim)
{
    return sim->next_id++;
}

int idm_sim_text(struct idm_bytes *ret, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    int size = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return idm_bytes_set(ret, text, (size_t)size);
}

/* Stands for a SHA-256: one value for each kind and number, and spread over all bytes. splitmix64. */
static void hash_of(const char *kind, uint32_t id, uint8_t ret[IDM_SHA256_SIZE])
{
    uint64_t state = id;
    for (const char *c = kind; *c; c++)
        state = state << 8 ^ state >> 56 ^ (uint8_t)*c;
    for (size_t i = 0; i < IDM_SHA256_SIZE; i += sizeof state) {
        state += UINT64_C(0x9e3779b97f4a7c15);
        uint64_t word = state;
        word = (word ^ word >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        word = (word ^ word >> 27) * UINT64_C(0x94d049bb133111eb);
        word ^= word >> 31;
        memcpy(ret + i, &word, sizeof word);
    }
}

void idm_sim_name(const char *kind, uint32_t id, uint8_t ret[IDM_NAME_SIZE])
{
    ret[0] = 0x00; /* TPM_ALG_SHA256 */
    ret[1] = 0x0b;
    hash_of(kind, id, ret + 2);
}

struct idm_key_info idm_sim_key_info(uint32_t id)
{
    struct idm_key_info info = {.algorithm = IDM_ECDSA_P256};
    hash_of("spki", id, info.spki);
    return info;
}

void idm_sim_cert_hash(uint32_t id, uint8_t ret[IDM_SHA256_SIZE])
{
    hash_of("cert", id, ret);
}

/* ---- what the files say: words and numbers, read without scanf, which is most of the work --------*/

struct text {
    const char *at;
    bool good;
};

static void word(struct text *t, const char *expected)
{
    size_t length = strlen(expected);
    t->good = t->good && strncmp(t->at, expected, length) == 0;
    if (t->good)
        t->at += length;
}

static int64_t number(struct text *t)
{
    int64_t value = 0;
    t->good = t->good && *t->at >= '0' && *t->at <= '9';
    for (; t->good && *t->at >= '0' && *t->at <= '9'; t->at++)
        value = value * 10 + (*t->at - '0');
    return value;
}

static bool ends(const struct text *t)
{
    return t->good && *t->at == '\n';
}

static struct text text_of(const struct idm_bytes *bytes)
{
    return (struct text){.at = (const char *)bytes->data, .good = bytes->data != NULL};
}

uint32_t idm_sim_parse_key(const struct idm_bytes *bytes)
{
    struct text t = text_of(bytes);
    word(&t, "KEY ");
    uint32_t id = (uint32_t)number(&t);
    return ends(&t) ? id : 0;
}

bool idm_sim_parse_cert(const struct idm_bytes *bytes, uint32_t *ret_cert, uint32_t *ret_key,
                        int64_t *ret_from, int64_t *ret_to)
{
    struct text t = text_of(bytes);
    word(&t, "CERT ");
    *ret_cert = (uint32_t)number(&t);
    word(&t, " KEY ");
    *ret_key = (uint32_t)number(&t);
    word(&t, " FROM ");
    *ret_from = number(&t);
    word(&t, " TO ");
    *ret_to = number(&t);
    return ends(&t);
}

bool idm_sim_parse_tss2(const struct idm_bytes *bytes, uint32_t *ret_key, uint32_t *ret_under)
{
    struct text t = text_of(bytes);
    word(&t, "TSS2 ");
    *ret_key = (uint32_t)number(&t);
    word(&t, " UNDER ");
    *ret_under = (uint32_t)number(&t);
    if (idm_sim_is_imported(bytes))
        word(&t, " IMPORTED");
    return ends(&t);
}

bool idm_sim_is_imported(const struct idm_bytes *tss2)
{
    static const char end[] = " IMPORTED\n";
    size_t size = sizeof end - 1;
    return tss2->size > size && memcmp(tss2->data + tss2->size - size, end, size) == 0;
}

/* Stands for the tag of AES-GCM: what was torn does not open. */
#define SEAL_SIZE (sizeof IDM_SIM_SEAL - 1)

bool idm_sim_parse_envelope(const struct idm_bytes *bytes, uint32_t *ret_under,
                            const char **ret_plain)
{
    struct text t = text_of(bytes);
    word(&t, "SEALED ");
    (void)number(&t);
    word(&t, " UNDER ");
    *ret_under = (uint32_t)number(&t);
    *ret_plain = t.at + 1;
    return ends(&t) && bytes->size > (size_t)(*ret_plain - (const char *)bytes->data) + SEAL_SIZE &&
           memcmp(bytes->data + bytes->size - SEAL_SIZE, IDM_SIM_SEAL, SEAL_SIZE) == 0;
}

static int key_inspect(void *self, const struct idm_bytes *pem, struct idm_key_info *ret,
                       struct idm_error *err)
{
    uint32_t id = idm_sim_parse_key(pem);
    int rc = idm_sim_asks(self, IDM_E_MEMORY);
    if (rc == 0 && !id)
        rc = IDM_E_CORRUPT;
    if (rc)
        return idm_fail(err, rc, "inspect a key", "%s", idm_error_sentence(rc));
    *ret = idm_sim_key_info(id);
    return 0;
}

static int cert_inspect(void *self, const struct idm_bytes *pem, struct idm_cert_info *ret,
                        struct idm_error *err)
{
    uint32_t cert = 0;
    uint32_t key = 0;
    struct idm_cert_info info = {.subject = "CN=sim", .links = 1, .self_signed = true};
    int rc = idm_sim_asks(self, IDM_E_MEMORY);
    if (rc == 0 && !idm_sim_parse_cert(pem, &cert, &key, &info.not_before, &info.not_after))
        rc = IDM_E_CORRUPT;
    if (rc)
        return idm_fail(err, rc, "inspect a certificate", "%s", idm_error_sentence(rc));
    struct idm_key_info key_info = idm_sim_key_info(key);
    memcpy(info.spki, key_info.spki, IDM_SHA256_SIZE);
    idm_sim_cert_hash(cert, info.sha256);
    *ret = info;
    return 0;
}

static int tss2_inspect(void *self, const struct idm_bytes *pem, struct idm_tss2_info *ret,
                        struct idm_error *err)
{
    uint32_t key = 0;
    uint32_t under = 0;
    struct idm_sim *sim = self;
    int rc = idm_sim_asks(sim, IDM_E_MEMORY);
    if (rc == 0 && !idm_sim_parse_tss2(pem, &key, &under))
        rc = IDM_E_CORRUPT;
    if (rc)
        return idm_fail(err, rc, "inspect a TSS2 file", "%s", idm_error_sentence(rc));
    *ret =
        (struct idm_tss2_info){.key = idm_sim_key_info(key), .parent = sim->settings.parent_handle};
    idm_sim_name("name", key, ret->name);
    return 0;
}

static int key_generate(void *self, enum idm_algorithm algorithm, struct idm_bytes *ret_pem,
                        struct idm_error *err)
{
    (void)algorithm;
    int rc = idm_sim_asks(self, IDM_E_CRYPTO);
    if (rc)
        return idm_fail(err, rc, "make a key", "%s", idm_error_sentence(rc));
    return idm_sim_text(ret_pem, "KEY %" PRIu32 "\n", idm_sim_new_id(self));
}

static int signing_key(struct idm_sim *sim, const struct idm_signer *signer, uint32_t *ret)
{
    if (signer->kind != IDM_SIGNER_SOFTWARE)
        return idm_sim_tpm_signer(sim, signer, ret);
    *ret = idm_sim_parse_key(signer->key);
    return *ret ? 0 : IDM_E_CORRUPT;
}

static int cert_issue(void *self, const struct idm_cert_profile *profile,
                      const struct idm_signer *signer, struct idm_bytes *ret_pem,
                      struct idm_error *err)
{
    uint32_t key = 0;
    bool chip = signer->kind != IDM_SIGNER_SOFTWARE;
    int rc = idm_sim_asks(self, chip ? IDM_E_TPM_OTHER : IDM_E_CRYPTO);
    if (rc == 0)
        rc = signing_key(self, signer, &key);
    if (rc)
        return idm_fail(err, rc, "issue a certificate", "%s", idm_error_sentence(rc));
    ((struct idm_sim *)self)->issued++;
    return idm_sim_text(ret_pem,
                        "CERT %" PRIu32 " KEY %" PRIu32 " FROM %" PRId64 " TO %" PRId64 "\n",
                        idm_sim_new_id(self), key, profile->not_before, profile->not_after);
}

static int cert_request(void *self, const char *subject, const struct idm_bytes *cert_pem,
                        const struct idm_signer *signer, struct idm_bytes *ret_pem,
                        struct idm_error *err)
{
    uint32_t cert = 0;
    uint32_t key = 0;
    uint32_t signing = 0;
    int64_t from = 0;
    int64_t to = 0;
    bool chip = signer->kind != IDM_SIGNER_SOFTWARE;
    int rc = idm_sim_asks(self, chip ? IDM_E_TPM_OTHER : IDM_E_CRYPTO);
    if (rc == 0)
        rc = signing_key(self, signer, &signing);
    if (rc == 0 && !idm_sim_parse_cert(cert_pem, &cert, &key, &from, &to))
        rc = IDM_E_CORRUPT;
    if (rc == 0 && key != signing)
        rc = IDM_E_MISMATCH;
    if (rc)
        return idm_fail(err, rc, "request a certificate", "%s", idm_error_sentence(rc));
    return idm_sim_text(ret_pem, "REQUEST KEY %" PRIu32 " FOR %s\n", key, subject);
}

static int cert_check(void *self, const struct idm_bytes *pem, int64_t now,
                      struct idm_cert_info *ret, struct idm_bytes *ret_pem, struct idm_error *err)
{
    struct idm_cert_info info = {0};
    int rc = cert_inspect(self, pem, &info, err);
    if (rc == 0 && (now < info.not_before || now > info.not_after))
        rc = idm_fail(err, IDM_E_REFUSED, "check a certificate", "it is not valid now");
    if (rc == 0)
        rc = idm_bytes_set(ret_pem, pem->data, pem->size);
    if (rc == 0)
        *ret = info;
    return rc;
}

/* A signature is the key's number and the digest's first bytes. */
static int sign(void *self, const struct idm_signer *signer, enum idm_digest digest,
                const uint8_t *hash, struct idm_signature *ret, struct idm_error *err)
{
    uint32_t key = 0;
    bool chip = signer->kind != IDM_SIGNER_SOFTWARE;
    int rc = idm_sim_asks(self, chip ? IDM_E_TPM_OTHER : IDM_E_CRYPTO);
    (void)digest;
    if (rc == 0)
        rc = signing_key(self, signer, &key);
    if (rc)
        return idm_fail(err, rc, "sign", "%s", idm_error_sentence(rc));
    memcpy(ret->data, &key, sizeof key);
    memcpy(ret->data + sizeof key, hash, IDM_SHA256_SIZE);
    ret->size = sizeof key + IDM_SHA256_SIZE;
    return 0;
}

static int verify(void *self, const struct idm_bytes *cert_pem, enum idm_digest digest,
                  const uint8_t *hash, const struct idm_signature *signature, struct idm_error *err)
{
    uint32_t cert = 0;
    uint32_t key = 0;
    int64_t from = 0;
    int64_t to = 0;
    int rc = idm_sim_asks(self, IDM_E_CRYPTO);
    (void)digest;
    if (rc == 0 && !idm_sim_parse_cert(cert_pem, &cert, &key, &from, &to))
        rc = IDM_E_CORRUPT;
    if (rc == 0 && (memcmp(signature->data, &key, sizeof key) != 0 ||
                    memcmp(signature->data + sizeof key, hash, IDM_SHA256_SIZE) != 0))
        rc = IDM_E_MISMATCH;
    return rc ? idm_fail(err, rc, "verify", "%s", idm_error_sentence(rc)) : 0;
}

void idm_sim_keys(struct idm_backends *backends)
{
    backends->key_inspect = key_inspect;
    backends->cert_inspect = cert_inspect;
    backends->tss2_inspect = tss2_inspect;
    backends->key_generate = key_generate;
    backends->cert_issue = cert_issue;
    backends->cert_request = cert_request;
    backends->cert_check = cert_check;
    backends->sign = sign;
    backends->verify = verify;
}
