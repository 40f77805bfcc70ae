/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/software/cert.h"
#include "backends/software/key.h"
#include "backends/software/ossl.h"
#include "backends/software/pem.h"

#include <openssl/bio.h>
#include <string.h>

#define SECONDS_A_DAY 86400

static const char what[] = "read the certificate";

static int parse_block(const struct idm_pem_block *block, X509 **ret, struct idm_error *err)
{
    if (strcmp(block->label, "CERTIFICATE") != 0 && strcmp(block->label, "X509 CERTIFICATE") != 0)
        return idm_fail(err, IDM_E_CORRUPT, what, "unexpected PEM block: %s", block->label);
    const uint8_t *at = block->der.data;
    _cleanup_x509_ X509 *cert = NULL;
    if (!block->encrypted)
        cert = d2i_X509(NULL, &at, (long)block->der.size);
    if (!cert || at != block->der.data + block->der.size)
        return idm_ossl_corrupt(err, what, "no good certificate");
    *ret = cert;
    cert = NULL;
    return 0;
}

int idm_chain_parse(const struct idm_bytes *pem, STACK_OF(X509) * *ret, struct idm_bytes *ret_der,
                    struct idm_error *err)
{
    _cleanup_pem_block_ struct idm_pem_block block = {0};
    _cleanup_bytes_ struct idm_bytes der = {0};
    _cleanup_x509_stack_ STACK_OF(X509) *chain = sk_X509_new_null();
    struct idm_pem_cursor cursor = {.at = (const char *)pem->data, .left = pem->size};
    if (!chain)
        return idm_ossl_fail(err, IDM_E_MEMORY, what, idm_error_sentence(IDM_E_MEMORY));
    for (;;) {
        _cleanup_x509_ X509 *cert = NULL;
        int r = idm_pem_next(&cursor, what, &block, err);
        if (r < 0)
            return r;
        if (!block.label[0])
            break;
        r = parse_block(&block, &cert, err);
        if (r < 0)
            return r;
        if (!sk_X509_num(chain))
            idm_bytes_move(&der, &block.der);
        if (!sk_X509_push(chain, cert))
            return idm_ossl_fail(err, IDM_E_MEMORY, what, idm_error_sentence(IDM_E_MEMORY));
        cert = NULL;
    }
    if (!sk_X509_num(chain))
        return idm_fail(err, IDM_E_CORRUPT, what,
                        pem->size ? "no certificate in it" : "the file is empty");
    *ret = chain;
    chain = NULL;
    idm_bytes_move(ret_der, &der);
    return 0;
}

/* A damaged or missing issuer shows in a smaller number. */
static unsigned int links_of(STACK_OF(X509) * chain)
{
    int links = 1;
    while (links < sk_X509_num(chain)) {
        EVP_PKEY *issuer = X509_get0_pubkey(sk_X509_value(chain, links));
        if (!issuer || X509_verify(sk_X509_value(chain, links - 1), issuer) != 1)
            break;
        links++;
    }
    return (unsigned int)links;
}

/* A certificate signed by itself has a checksum in its signature: a damaged bit shows. */
static int check_own_signature(X509 *cert, EVP_PKEY *key, struct idm_error *err)
{
    if (X509_self_signed(cert, 0) != 1 || X509_verify(cert, key) == 1)
        return 0;
    return idm_ossl_corrupt(err, what, "it is self-signed, but its signature is not good");
}

/* Not through time_t, which ends in 2038 on some devices. */
bool idm_cert_seconds(const ASN1_TIME *time, int64_t *ret)
{
    int days = 0, seconds = 0;
    ASN1_TIME *epoch = ASN1_TIME_new();
    bool ok = epoch && ASN1_TIME_set_string(epoch, "19700101000000Z") == 1 &&
              ASN1_TIME_diff(&days, &seconds, epoch, time) == 1;
    ASN1_TIME_free(epoch);
    if (ok)
        *ret = (int64_t)days * SECONDS_A_DAY + seconds;
    return ok;
}

/* Cuts between characters: the text ends up in JSON, which is UTF-8. */
static void cut_text(const char *text, size_t size, char *ret, size_t room)
{
    static const char more[] = "\xe2\x80\xa6"; /* U+2026 */
    if (size < room) {
        memcpy(ret, text, size);
        ret[size] = 0;
        return;
    }
    size_t kept = room - sizeof more;
    while (kept && ((unsigned char)text[kept] & 0xc0) == 0x80)
        kept--;
    memcpy(ret, text, kept);
    memcpy(ret + kept, more, sizeof more);
}

static bool subject_of(const X509 *cert, char *ret, size_t room)
{
    const X509_NAME *name = X509_get_subject_name(cert);
    _cleanup_bio_ BIO *memory = BIO_new(BIO_s_mem());
    /* UTF-8 as it is; a name that is not UTF-8 although it says so is escaped byte by byte. */
    unsigned long readable = XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB;
    if (!memory)
        return false;
    if (X509_NAME_print_ex(memory, name, 0, readable) < 0) {
        (void)BIO_reset(memory);
        unsigned long raw = XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_UTF8_CONVERT;
        if (X509_NAME_print_ex(memory, name, 0, raw | ASN1_STRFLGS_IGNORE_TYPE) < 0)
            return false;
    }
    char *text = NULL;
    long size = BIO_get_mem_data(memory, &text);
    cut_text(size > 0 ? text : "", size > 0 ? (size_t)size : 0, ret, room);
    return true;
}

static bool is_known(const uint8_t sha256[IDM_SHA256_SIZE], const uint8_t known[][IDM_SHA256_SIZE],
                     size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (memcmp(known[i], sha256, IDM_SHA256_SIZE) == 0)
            return true;
    return false;
}

static int read_once(const struct idm_bytes *pem, const uint8_t known[][IDM_SHA256_SIZE],
                     size_t known_count, struct idm_cert_info *ret, EVP_PKEY **ret_key,
                     struct idm_error *err)
{
    _ossl_queue_ bool queue = idm_ossl_begin();
    _cleanup_x509_stack_ STACK_OF(X509) *chain = NULL;
    _cleanup_bytes_ struct idm_bytes der = {0};
    struct idm_cert_info info = {0};
    struct idm_key_info key_info;
    int r = idm_chain_parse(pem, &chain, &der, err);
    if (r < 0)
        return r;
    X509 *cert = sk_X509_value(chain, 0);
    info.links = links_of(chain);
    info.self_signed = X509_self_signed(cert, 0) == 1;
    EVP_PKEY *key = X509_get0_pubkey(cert);
    if (!key)
        return idm_ossl_corrupt(err, what, "its public key is not understood");
    if (!idm_cert_seconds(X509_get0_notBefore(cert), &info.not_before) ||
        !idm_cert_seconds(X509_get0_notAfter(cert), &info.not_after))
        return idm_ossl_corrupt(err, what, "its dates are not understood");
    if (!subject_of(cert, info.subject, sizeof info.subject))
        return idm_ossl_corrupt(err, what, "its subject is not understood");
    r = idm_sha256(der.data, der.size, info.sha256);
    if (r < 0)
        return idm_ossl_fail(err, r, what, idm_error_sentence(r));
    if (!is_known(info.sha256, known, known_count))
        r = check_own_signature(cert, key, err);
    if (r == 0)
        r = idm_public_inspect(key, &key_info, err);
    if (r < 0)
        return r;
    memcpy(info.spki, key_info.spki, sizeof info.spki);
    if (EVP_PKEY_up_ref(key) != 1)
        return idm_ossl_fail(err, IDM_E_CRYPTO, what, "its public key cannot be kept");
    *ret = info;
    *ret_key = key;
    return 0;
}

int idm_cert_read(const struct idm_bytes *pem, const uint8_t known[][IDM_SHA256_SIZE],
                  size_t known_count, struct idm_cert_info *ret, EVP_PKEY **ret_key,
                  struct idm_error *err)
{
    struct idm_error failed = {0};
    int r = read_once(pem, known, known_count, ret, ret_key, &failed);
    /* OpenSSL swallows some failed allocations: damage is what is found twice. */
    if (r == IDM_E_CORRUPT)
        r = read_once(pem, known, known_count, ret, ret_key, &failed);
    if (r < 0 && err)
        *err = failed;
    return r;
}

int idm_cert_inspect(const struct idm_bytes *pem, struct idm_cert_info *ret, struct idm_error *err)
{
    _cleanup_pkey_ EVP_PKEY *key = NULL;
    return idm_cert_read(pem, NULL, 0, ret, &key, err);
}
