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

#define PROPERTIES "provider=idmode"
#define EC_NAMES   "EC:id-ecPublicKey:1.2.840.10045.2.1"
#define RSA_NAMES  "RSA:rsaEncryption:1.2.840.113549.1.1.1"

static const OSSL_ALGORITHM keymgmts[] = {
    {EC_NAMES, PROPERTIES, idm_provider_ec_keymgmt, "EC public keys; the device's key"},
    {RSA_NAMES, PROPERTIES, idm_provider_rsa_keymgmt, "RSA public keys; the device's key"},
    {NULL, NULL, NULL, NULL}};
static const OSSL_ALGORITHM signatures[] = {
    {"ECDSA", PROPERTIES, idm_provider_signature, "ECDSA by the device's key"},
    {RSA_NAMES, PROPERTIES, idm_provider_signature, "RSA by the device's key"},
    {NULL, NULL, NULL, NULL}};
static const OSSL_ALGORITHM stores[] = {
    {"idmode", PROPERTIES, idm_provider_store, "the device's key and certificate"},
    {NULL, NULL, NULL, NULL}};
static const OSSL_ALGORITHM decoders[] = {
    {"DER", PROPERTIES ",input=pem", idm_provider_pem_decoder, "IDMODE PRIVATE KEY to DER"},
    {EC_NAMES, PROPERTIES ",input=der", idm_provider_ec_decoder, "IDMODE PRIVATE KEY"},
    {RSA_NAMES, PROPERTIES ",input=der", idm_provider_rsa_decoder, "IDMODE PRIVATE KEY"},
    {NULL, NULL, NULL, NULL}};

static const OSSL_ALGORITHM *query(void *ctx, int operation, int *ret_no_cache)
{
    (void)ctx;
    *ret_no_cache = 0;
    switch (operation) {
    case OSSL_OP_KEYMGMT:
        return keymgmts;
    case OSSL_OP_SIGNATURE:
        return signatures;
    case OSSL_OP_STORE:
        return stores;
    case OSSL_OP_DECODER:
        return decoders;
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
    static const struct {
        const char *key;
        const char *text;
    } texts[] = {{OSSL_PROV_PARAM_NAME, "idmode"},
                 {OSSL_PROV_PARAM_VERSION, IDM_VERSION},
                 {OSSL_PROV_PARAM_BUILDINFO, IDM_VERSION}};
    (void)ctx;
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
static pthread_once_t once = PTHREAD_ONCE_INIT;

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

int idm_provider_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in,
                      const OSSL_DISPATCH **out, void **ret_ctx)
{
    (void)pthread_once(&once, open_process_ctx);
    struct idm_provider *p = calloc(1, sizeof *p);
    if (!p || !process_ctx) {
        free(p);
        return 0;
    }
    p->core = handle;
    p->active = process_ctx;
    take_core(p, in);
    if (!p->new_error || !p->set_error_debug || !p->vset_error || !p->bio_gets || !p->bio_read) {
        free(p);
        return 0;
    }
    *out = functions;
    *ret_ctx = p;
    return 1;
}
