/* SPDX-License-Identifier: BSD-2-Clause */
/* module.c - the one name that idmode.so shows. */
#include "backends/provider/provider.h"

__attribute__((visibility("default"))) OSSL_provider_init_fn OSSL_provider_init;

int OSSL_provider_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in,
                       const OSSL_DISPATCH **out, void **provctx)
{
    return idm_provider_init(handle, in, out, provctx);
}
