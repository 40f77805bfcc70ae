/* SPDX-License-Identifier: BSD-2-Clause */
/* decoder.c - the PEM reference, for programs that take their key from a file.
 *
 *     PEM ──► pem_decode ──► DER ──► ec_decode, rsa_decode, … ──► key
 *
 * Two steps, because "file:" of OSSL_STORE (openssl's own commands) knows only DER, and is content with
 * it. Asked for every key that the process reads. In PEM it reads exactly one block, as OpenSSL's own
 * reader does (whoever is asked last decides where the program reads on); of DER its first byte. It
 * touches nothing else unless that is ours. */
#include "backends/provider/provider.h"

#include <openssl/core_names.h>
#include <openssl/core_object.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <string.h>

#define BEGIN     "-----BEGIN "
#define END       "-----END "
#define OUR_BEGIN BEGIN IDM_REFERENCE_LABEL "-----"
#define LINE_SIZE 256
#define LINES_MAX 20000 /* a PEM block of a megabyte, with text before it: no key is larger */

static void *decoder_new(void *ctx)
{
    return ctx;
}

static void decoder_free(void *ctx)
{
    (void)ctx;
}

static bool begins(const char *line, const char *with)
{
    return strncmp(line, with, strlen(with)) == 0;
}

/* The next block into ret[size] when it is ours: its length, else 0. Whatever it is, the block is
 * read to its end. */
static size_t read_block(const struct idm_provider *p, OSSL_CORE_BIO *in, char *ret, size_t size)
{
    char line[LINE_SIZE];
    size_t length = 0;
    bool inside = false;
    bool ours = false;
    bool fits = true;
    for (int i = 0; i < LINES_MAX && p->bio_gets(in, line, sizeof line) > 0; i++) {
        if (!inside && begins(line, BEGIN)) {
            inside = true;
            ours = begins(line, OUR_BEGIN);
        }
        size_t n = strlen(line);
        if (ours && fits && length + n < size) {
            memcpy(ret + length, line, n + 1);
            length += n;
        } else if (ours) {
            fits = false;
        }
        if (inside && begins(line, END))
            return ours && fits ? length : 0;
    }
    return 0;
}

static int refuse_other(const struct idm_provider *p, const struct idm_reference *given)
{
    struct idm_error err = {0};
    (void)idm_fail(&err, IDM_E_MISMATCH, "use the key reference",
                   "it names an identity (epoch %u, mode %s) that is not the one in use",
                   given->epoch, given->mode);
    (void)idm_advise(&err, "take /run/idmode/device.key.pem as it is now");
    return idm_provider_raise(p, &err);
}

/* The DER of a reference: its length, else 0. */
static size_t read_der(const struct idm_provider *p, OSSL_CORE_BIO *in, char *ret, size_t size)
{
    size_t length = 0;
    size_t n = 0;
    if (!p->bio_read(in, ret, 1, &n) || n != 1 || ret[0] != IDM_REFERENCE_TAG)
        return 0;
    for (length = 1; length < size && p->bio_read(in, ret + length, size - length, &n) && n;)
        length += n;
    return length;
}

/* The identity in use, if the reference is to it; NULL after an error was raised. */
static struct idm_active_key *load(const struct idm_provider *p, const char *der, size_t size)
{
    struct idm_error err = {0};
    struct idm_reference given;
    struct idm_active_key *key = NULL;
    if (idm_reference_parse(der, size, &given, &err) || idm_provider_load(&key, &err)) {
        (void)idm_provider_raise(p, &err);
        return NULL;
    }
    if (memcmp(given.spki, key->reference.spki, IDM_SHA256_SIZE) == 0)
        return key;
    (void)refuse_other(p, &given);
    idm_active_key_free(key);
    return NULL;
}

/* 1 with nothing given: not ours, let others try. */
static int take(const struct idm_provider *p, const char *type, const char *der, size_t size,
                OSSL_CALLBACK *callback, void *arg)
{
    struct idm_active_key *key = load(p, der, size);
    if (!key)
        return 0;
    const char *is = idm_provider_key_type(key->public_key);
    if (is && strcmp(is, type) == 0)
        return idm_provider_key_give(p, key, type, callback, arg);
    idm_active_key_free(key);
    return is ? 1
              : idm_provider_fail(p, IDM_E_USAGE,
                                  "the device's key is of a kind that is not offered");
}

static bool wants_key(int selection)
{
    return selection == 0 || (selection & OSSL_KEYMGMT_SELECT_KEYPAIR);
}

static int decode(const char *type, const struct idm_provider *p, OSSL_CORE_BIO *in, int selection,
                  OSSL_CALLBACK *callback, void *arg)
{
    char der[IDM_REFERENCE_MAX];
    size_t size = read_der(p, in, der, sizeof der);
    return !size || !wants_key(selection) ? 1 : take(p, type, der, size, callback, arg);
}

#define DECODE(kind, type)                                                                         \
    static int kind##_decode(void *ctx, OSSL_CORE_BIO *in, int selection, OSSL_CALLBACK *callback, \
                             void *arg, OSSL_PASSPHRASE_CALLBACK *ask, void *ask_arg)              \
    {                                                                                              \
        (void)ask;                                                                                 \
        (void)ask_arg;                                                                             \
        return decode(type, ctx, in, selection, callback, arg);                                    \
    }
DECODE(ec, "EC")
DECODE(rsa, "RSA")
DECODE(ed25519, "ED25519")
DECODE(ed448, "ED448")

/* Our label's PEM to DER, which OpenSSL's own reader drops. */
static int pem_decode(void *ctx, OSSL_CORE_BIO *in, int selection, OSSL_CALLBACK *callback,
                      void *arg, OSSL_PASSPHRASE_CALLBACK *ask, void *ask_arg)
{
    char text[IDM_REFERENCE_MAX];
    struct idm_error err = {0};
    _cleanup_bytes_ struct idm_bytes der = {0};
    size_t size = read_block(ctx, in, text, sizeof text);
    (void)selection;
    (void)ask;
    (void)ask_arg;
    if (!size)
        return 1;
    if (idm_reference_unwrap(text, size, &der, &err))
        return idm_provider_raise(ctx, &err);
    OSSL_PARAM params[] = {OSSL_PARAM_octet_string(OSSL_OBJECT_PARAM_DATA, der.data, der.size),
                           OSSL_PARAM_END};
    return callback(params, arg);
}

static int does_selection(void *ctx, int selection)
{
    (void)ctx;
    return wants_key(selection);
}

#define DECODER(kind)                                                                              \
    {                                                                                              \
        {OSSL_FUNC_DECODER_NEWCTX, (void (*)(void))decoder_new},                                   \
            {OSSL_FUNC_DECODER_FREECTX, (void (*)(void))decoder_free},                             \
            {OSSL_FUNC_DECODER_DOES_SELECTION, (void (*)(void))does_selection},                    \
            {OSSL_FUNC_DECODER_DECODE, (void (*)(void))kind##_decode},                             \
            {OSSL_FUNC_DECODER_EXPORT_OBJECT, (void (*)(void))idm_provider_export_object},         \
        {                                                                                          \
            0, NULL                                                                                \
        }                                                                                          \
    }

const OSSL_DISPATCH idm_provider_ec_decoder[] = DECODER(ec);
const OSSL_DISPATCH idm_provider_rsa_decoder[] = DECODER(rsa);
const OSSL_DISPATCH idm_provider_ed25519_decoder[] = DECODER(ed25519);
const OSSL_DISPATCH idm_provider_ed448_decoder[] = DECODER(ed448);
const OSSL_DISPATCH idm_provider_pem_decoder[] = {
    {OSSL_FUNC_DECODER_NEWCTX, (void (*)(void))decoder_new},
    {OSSL_FUNC_DECODER_FREECTX, (void (*)(void))decoder_free},
    {OSSL_FUNC_DECODER_DECODE, (void (*)(void))pem_decode},
    {0, NULL}};
