/* SPDX-License-Identifier: BSD-2-Clause */
/* use.c - what other programs want of the identity: a signature, a certificate, a look. */
#include "engine/internal.h"

#include <stdio.h>
#include <string.h>

int idm_engine_look(struct idm_engine *e, struct idm_error *err)
{
    _cleanup_bytes_ struct idm_bytes mode = {0};
    struct idm_facts facts = {0};
    const struct idm_backends *be = e->be;
    int rc = be->file_read(be->self, IDM_F_RUN_MODE, &mode, NULL);
    idm_load_record(e, &facts);
    facts.state = e->recorded ? (enum idm_state)e->record.state : IDM_S_none;
    idm_load_files(e);
    idm_file_facts(e, &facts);
    e->facts = facts;
    e->unrecorded_pair = !e->recorded && facts.config_pair_fits;
    char expected[16];
    int size = snprintf(expected, sizeof expected, "%s\n", idm_mode_name(idm_identity_mode(e)));
    bool in_use = rc == 0 && mode.size == (size_t)size &&
                  memcmp(mode.data, expected, mode.size) == 0 &&
                  idm_identity_mode(e) != IDM_MODE_NONE;
    if (in_use)
        return 0;
    (void)idm_fail(err, IDM_E_HELD, "use the identity",
                   rc ? "idmode boot has not run in this boot"
                      : "no identity is in use in this boot");
    return rc ? idm_advise(err, "run idmode boot") : idm_advise(err, "see idmode status");
}

int idm_engine_sign(struct idm_engine *e, enum idm_digest digest, const uint8_t *hash,
                    struct idm_signature *ret, struct idm_error *err)
{
    struct idm_signer signer = {0};
    enum idm_mode mode = idm_identity_mode(e);
    if (mode == IDM_MODE_SOFTWARE && idm_software_signer(e, &signer))
        return e->be->sign(e->be->self, &signer, digest, hash, ret, err);
    if (mode != IDM_MODE_TPM)
        return idm_fail(err, IDM_E_HELD, "sign", "no identity is active (state %s)",
                        idm_state_name(e->facts.state));
    return idm_tpm_sign_active(e, digest, hash, ret, err);
}

int idm_engine_certificate(struct idm_engine *e, bool prepared, struct idm_bytes *ret_pem,
                           struct idm_error *err)
{
    enum idm_mode mode = idm_identity_mode(e);
    const struct idm_bytes *cert = NULL;
    if (prepared && e->record.state == IDM_S_migrating)
        cert = idm_good_tpm_cert(e);
    else if (!prepared && mode == IDM_MODE_TPM)
        cert = idm_good_tpm_cert(e);
    else if (!prepared && mode == IDM_MODE_SOFTWARE)
        cert = idm_good_software_cert(e);
    if (!cert)
        return idm_fail(err, IDM_E_ABSENT, "show the certificate",
                        prepared ? "nothing is prepared" : "no identity is active");
    return idm_bytes_set(ret_pem, cert->data, cert->size);
}

int idm_engine_tpm_key(const struct idm_engine *e, bool prepared, struct idm_key_place *ret,
                       struct idm_error *err)
{
    bool there = prepared ? e->record.state == IDM_S_migrating
                          : e->recorded && idm_identity_mode(e) == IDM_MODE_TPM;
    struct idm_tpm_layout layout = idm_layout(e);
    if (!there)
        return idm_fail(err, IDM_E_REFUSED, "use the TPM's key",
                        prepared ? "nothing is prepared" : "the identity in use is not the TPM's");
    *ret = (struct idm_key_place){.handle =
                                      layout.storage == IDM_STORE_TSS2 ? 0 : layout.device_handle,
                                  .file = idm_good_tss2(e)};
    memcpy(ret->name, e->record.device_name, IDM_NAME_SIZE);
    return 0;
}

struct idm_verdict idm_engine_examine(struct idm_engine *e)
{
    static const struct idm_request boot = {.kind = IDM_REQ_BOOT};
    idm_read_facts(e);
    return idm_classify(&e->facts, &boot);
}

const struct idm_record *idm_engine_record(const struct idm_engine *e)
{
    return e->recorded ? &e->record : NULL;
}

const struct idm_facts *idm_engine_facts(const struct idm_engine *e)
{
    return &e->facts;
}
