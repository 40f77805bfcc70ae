/* SPDX-License-Identifier: BSD-2-Clause */
/* act_offered.c - certificates that a CA issues: the request for one, and its renewal. */
#include "engine/internal.h"

#include <stdio.h>
#include <string.h>

/* ---- does it fit? ---- */

static void unfit(struct idm_engine *e, const char *why)
{
    (void)snprintf(e->offered_unfit, sizeof e->offered_unfit, "%s", why);
}

static bool of_tpm(const struct idm_engine *e)
{
    enum idm_state state = (enum idm_state)e->record.state;
    return state == IDM_S_migrating || state == IDM_S_tpm_dual || state == IDM_S_tpm;
}

void idm_look_at_offered(struct idm_engine *e, const struct idm_ask *ask)
{
    struct idm_error err = {0};
    struct idm_cert_info info = {0};
    const uint8_t *spki = of_tpm(e) ? e->record.tpm_spki : e->record.software_spki;
    const struct idm_bytes *used = of_tpm(e) ? idm_good_tpm_cert(e) : idm_good_software_cert(e);
    e->offered_unfit[0] = 0;
    if (ask->kind != IDM_REQ_CERT)
        return;
    if (e->be->cert_check(e->be->self, ask->cert, e->platform.now, &info, &e->offered, &err))
        unfit(e, err.why);
    else if (!idm_same(info.spki, spki, IDM_SHA256_SIZE))
        unfit(e, of_tpm(e) ? "it is not the certificate of the TPM key"
                           : "it is not the certificate of the software key");
    e->offered_again = !e->offered_unfit[0] && used && idm_bytes_equal(used, &e->offered);
}

/* ---- actions ---- */

int idm_do_adopt_store_cert(struct idm_engine *e, struct idm_error *err)
{
    int rc = idm_put(e, IDM_F_PERSIST_CERT, &e->offered, err);
    if (rc == 0)
        rc = idm_reload_store(e, err);
    return rc ? rc : e->store_cert.rc;
}

int idm_do_adopt_tpm_cert(struct idm_engine *e, struct idm_error *err)
{
    int rc = idm_put(e, IDM_F_PERSIST_TPM_CERT, &e->offered, err);
    return rc ? rc : idm_reload_tpm_cert(e, err);
}

int idm_do_copy_tpm_cert(struct idm_engine *e, struct idm_error *err)
{
    return idm_put(e, IDM_F_CONFIG_TPM_CERT, &e->files[IDM_F_PERSIST_TPM_CERT].bytes, err);
}

/* ---- the request ---- */

static int request_by_tpm(struct idm_engine *e, const char *subject, const struct idm_bytes *cert,
                          struct idm_bytes *ret_pem, struct idm_error *err)
{
    int rc = IDM_E_ABSENT;
    (void)idm_fail(err, rc, "make a certificate request", "no copy of the TPM key");
    for (int by_file = 0; rc && by_file <= 1; by_file++) {
        struct idm_signer signer = {0};
        if (idm_tpm_signer(e, by_file, &signer))
            rc = e->be->cert_request(e->be->self, subject, cert, &signer, ret_pem, err);
    }
    return rc;
}

int idm_engine_csr(struct idm_engine *e, bool prepared, struct idm_bytes *ret_pem,
                   struct idm_error *err)
{
    _cleanup_bytes_ struct idm_bytes cert = {0};
    struct idm_cert_info info = {0};
    struct idm_signer signer = {0};
    char subject[IDM_PATH_SIZE];
    int rc = idm_engine_certificate(e, prepared, &cert, err);
    if (rc == 0)
        rc = e->be->cert_inspect(e->be->self, &cert, &info, err);
    if (rc == 0)
        rc = idm_subject(e, info.spki, subject, sizeof subject, err);
    if (rc)
        return rc;
    if (prepared || idm_identity_mode(e) == IDM_MODE_TPM)
        return request_by_tpm(e, subject, &cert, ret_pem, err);
    if (!idm_software_signer(e, &signer))
        return idm_fail(err, IDM_E_ABSENT, "make a certificate request",
                        "no good copy of the software key");
    return e->be->cert_request(e->be->self, subject, &cert, &signer, ret_pem, err);
}
