/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/provider/provider.h"

#include <openssl/core_names.h>
#include <openssl/params.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#ifndef IDM_VERSION
#define IDM_VERSION "unknown"
#endif

/* ---- errors ---- */

/* Reason codes are 1 and up; the core asks for their sentences. */
static const OSSL_ITEM reasons[] = {
#define REASON(code, name, sentence, again) {(unsigned int)code##_POSITIVE, (void *)(sentence)},
    IDM_ERRORS(REASON)
#undef REASON
        {0, NULL}};

__attribute__((format(printf, 3, 4))) static void raise(const struct idm_provider *p,
                                                        uint32_t reason, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    p->new_error(p->core);
    p->set_error_debug(p->core, "idmode.so", 0, "idmode");
    p->vset_error(p->core, reason, format, args);
    va_end(args);
}

int idm_provider_raise(const struct idm_provider *provider, const struct idm_error *err)
{
    char text[640];
    idm_error_text(err, text, sizeof text);
    raise(provider, (uint32_t)-err->code, "idmode: %s", text);
    return 0;
}

int idm_provider_fail(const struct idm_provider *provider, int code, const char *why)
{
    raise(provider, (uint32_t)-code, "idmode: %s", why);
    return 0;
}

/* ---- what it offers ---- */

#define EC_NAMES      "EC:id-ecPublicKey:1.2.840.10045.2.1"
#define RSA_NAMES     "RSA:rsaEncryption:1.2.840.113549.1.1.1"
#define ED25519_NAMES "ED25519:1.3.101.112"
#define ED448_NAMES   "ED448:1.3.101.113"

struct idm_provider_offer {
    const char *name;
    OSSL_ALGORITHM keymgmts[5];
    OSSL_ALGORITHM signatures[5];
    OSSL_ALGORITHM stores[2];
    OSSL_ALGORITHM decoders[6];
};

/* The same twice, by the name under which it is loaded. */
#define OF(names, own_name, more, table, text)                                                     \
    {                                                                                              \
        names, "provider=" own_name more, table, text                                              \
    }
#define OFFER(own_name)                                                                            \
    {                                                                                              \
        .name = own_name,                                                                          \
        .keymgmts = {OF(EC_NAMES, own_name, "", idm_provider_ec_keymgmt, "EC"),                    \
                     OF(RSA_NAMES, own_name, "", idm_provider_rsa_keymgmt, "RSA"),                 \
                     OF(ED25519_NAMES, own_name, "", idm_provider_ed25519_keymgmt, "ED25519"),     \
                     OF(ED448_NAMES, own_name, "", idm_provider_ed448_keymgmt, "ED448")},          \
        .signatures = {OF("ECDSA", own_name, "", idm_provider_signature, "ECDSA"),                 \
                       OF(RSA_NAMES, own_name, "", idm_provider_signature, "RSA"),                 \
                       OF(ED25519_NAMES, own_name, "", idm_provider_eddsa, "ED25519"),             \
                       OF(ED448_NAMES, own_name, "", idm_provider_eddsa, "ED448")},                \
        .stores = {OF("idmode", own_name, "", idm_provider_store, "idmode:")},                     \
        .decoders = {                                                                              \
            OF("DER", own_name, ",input=pem", idm_provider_pem_decoder, "PEM"),                    \
            OF(EC_NAMES, own_name, ",input=der", idm_provider_ec_decoder, "EC"),                   \
            OF(RSA_NAMES, own_name, ",input=der", idm_provider_rsa_decoder, "RSA"),                \
            OF(ED25519_NAMES, own_name, ",input=der", idm_provider_ed25519_decoder, "ED25519"),    \
            OF(ED448_NAMES, own_name, ",input=der", idm_provider_ed448_decoder, "ED448")},         \
    }
static const struct idm_provider_offer module_offer = OFFER("idmode");
static const struct idm_provider_offer builtin_offer = OFFER(IDM_PROVIDER_BUILTIN);

static const OSSL_ALGORITHM *query(void *ctx, int operation, int *ret_no_cache)
{
    const struct idm_provider *p = ctx;
    *ret_no_cache = 0;
    switch (operation) {
    case OSSL_OP_KEYMGMT:
        return p->offer->keymgmts;
    case OSSL_OP_SIGNATURE:
        return p->offer->signatures;
    case OSSL_OP_STORE:
        return p->offer->stores;
    case OSSL_OP_DECODER:
        return p->offer->decoders;
    default:
        return NULL;
    }
}

static const OSSL_ITEM *get_reasons(void *ctx)
{
    (void)ctx;
    return reasons;
}

static const OSSL_PARAM *gettable(void *ctx)
{
    static const OSSL_PARAM params[] = {OSSL_PARAM_utf8_ptr(OSSL_PROV_PARAM_NAME, NULL, 0),
                                        OSSL_PARAM_utf8_ptr(OSSL_PROV_PARAM_VERSION, NULL, 0),
                                        OSSL_PARAM_utf8_ptr(OSSL_PROV_PARAM_BUILDINFO, NULL, 0),
                                        OSSL_PARAM_int(OSSL_PROV_PARAM_STATUS, NULL),
                                        OSSL_PARAM_END};
    (void)ctx;
    return params;
}

static int get_params(void *ctx, OSSL_PARAM params[])
{
    const struct idm_provider *provider = ctx;
    const struct {
        const char *key;
        const char *text;
    } texts[] = {{OSSL_PROV_PARAM_NAME, provider->offer->name},
                 {OSSL_PROV_PARAM_VERSION, IDM_VERSION},
                 {OSSL_PROV_PARAM_BUILDINFO, IDM_VERSION}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        OSSL_PARAM *p = OSSL_PARAM_locate(params, texts[i].key);
        if (p && !OSSL_PARAM_set_utf8_ptr(p, texts[i].text))
            return 0;
    }
    OSSL_PARAM *status = OSSL_PARAM_locate(params, OSSL_PROV_PARAM_STATUS);
    return !status || OSSL_PARAM_set_int(status, 1);
}

/* OpenSSL calls this from its own exit handler as well, when it is half gone: connections and our
 * library context stay, and end with the process. */
static void teardown(void *ctx)
{
    free(ctx);
}

static const OSSL_DISPATCH functions[] = {
    {OSSL_FUNC_PROVIDER_TEARDOWN, (void (*)(void))teardown},
    {OSSL_FUNC_PROVIDER_GETTABLE_PARAMS, (void (*)(void))gettable},
    {OSSL_FUNC_PROVIDER_GET_PARAMS, (void (*)(void))get_params},
    {OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))query},
    {OSSL_FUNC_PROVIDER_GET_REASON_STRINGS, (void (*)(void))get_reasons},
    {0, NULL}};

/* ---- start ---- */

static struct idm_active_ctx *process_ctx;
static pthread_mutex_t opening = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local struct idm_active_key *handed_over;

int idm_provider_load(struct idm_active_key **ret, struct idm_error *err)
{
    if (!handed_over)
        return idm_active_load(process_ctx, false, ret, err);
    *ret = idm_active_key_up(handed_over);
    return 0;
}

void idm_provider_hand_over(struct idm_active_key *key)
{
    handed_over = key;
}

/* As the programs read it: secure_getenv, and "/" is the machine itself. */
static void open_process_ctx(void)
{
    char root[4096];
    const char *from = secure_getenv("IDMODE_ROOT");
    const char *tcti = secure_getenv("IDMODE_TCTI");
    size_t length = from ? strlen(from) : 0;
    if (length >= sizeof root)
        return;
    while (length && from[length - 1] == '/')
        length--;
    memcpy(root, from ? from : "", length);
    root[length] = 0;
    (void)!idm_active_open(&process_ctx, root, tcti && *tcti ? tcti : NULL, NULL);
}

static void take_core(struct idm_provider *p, const OSSL_DISPATCH *in)
{
    for (; in->function_id; in++) {
        if (in->function_id == OSSL_FUNC_CORE_NEW_ERROR)
            p->new_error = OSSL_FUNC_core_new_error(in);
        else if (in->function_id == OSSL_FUNC_CORE_SET_ERROR_DEBUG)
            p->set_error_debug = OSSL_FUNC_core_set_error_debug(in);
        else if (in->function_id == OSSL_FUNC_CORE_VSET_ERROR)
            p->vset_error = OSSL_FUNC_core_vset_error(in);
        else if (in->function_id == OSSL_FUNC_BIO_GETS)
            p->bio_gets = OSSL_FUNC_BIO_gets(in);
        else if (in->function_id == OSSL_FUNC_BIO_READ_EX)
            p->bio_read = OSSL_FUNC_BIO_read_ex(in);
    }
}

static int init(const struct idm_provider_offer *offer, const OSSL_CORE_HANDLE *handle,
                const OSSL_DISPATCH *in, const OSSL_DISPATCH **out, void **ret_ctx)
{
    (void)pthread_mutex_lock(&opening);
    if (!process_ctx)
        open_process_ctx();
    (void)pthread_mutex_unlock(&opening);
    struct idm_provider *p = calloc(1, sizeof *p);
    if (!p || !process_ctx) {
        free(p);
        return 0;
    }
    p->core = handle;
    p->offer = offer;
    take_core(p, in);
    if (!p->new_error || !p->set_error_debug || !p->vset_error || !p->bio_gets || !p->bio_read) {
        free(p);
        return 0;
    }
    *out = functions;
    *ret_ctx = p;
    return 1;
}

int idm_provider_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in,
                      const OSSL_DISPATCH **out, void **ret_ctx)
{
    return init(&module_offer, handle, in, out, ret_ctx);
}

int idm_provider_init_builtin(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in,
                              const OSSL_DISPATCH **out, void **ret_ctx)
{
    return init(&builtin_offer, handle, in, out, ret_ctx);
}
