/* SPDX-License-Identifier: BSD-2-Clause */
/* publish_key.c - what TLS finds in /run/idmode: the reference to the key, and for root's programs how
 * it signs. */
#include "backends/active/reference.h"
#include "backends/active/signer.h"
#include "engine/internal.h"

#include <stdio.h>
#include <string.h>

static const uint8_t *spki_of(const struct idm_engine *e, bool tpm)
{
    if (!e->recorded)
        return e->config_key.info.spki;
    return tpm ? e->record.tpm_spki : e->record.software_spki;
}

static int reference(const struct idm_engine *e, bool tpm, struct idm_bytes *ret)
{
    struct idm_reference r = {.epoch = e->record.epoch};
    (void)snprintf(r.boot, sizeof r.boot, "%s", e->platform.boot_id);
    (void)snprintf(r.mode, sizeof r.mode, "%s",
                   idm_mode_name(tpm ? IDM_MODE_TPM : IDM_MODE_SOFTWARE));
    memcpy(r.spki, spki_of(e, tpm), IDM_SHA256_SIZE);
    return idm_reference_write(&r, ret);
}

static void software_part(const struct idm_engine *e, struct idm_signer_file *ret)
{
    const struct idm_settings *s = e->settings;
    ret->software = true;
    if (idm_good_software_key(e) == &e->files[IDM_F_PERSIST_KEY].bytes)
        (void)snprintf(ret->key_file, sizeof ret->key_file, "%s/idmode/legacy.key.pem",
                       s->persist_dir);
    else
        (void)snprintf(ret->key_file, sizeof ret->key_file, "%s/device.key.pem", s->config_dir);
}

static int tpm_part(const struct idm_engine *e, struct idm_signer_file *ret)
{
    const struct idm_settings *s = e->settings;
    struct idm_tpm_layout layout = idm_layout(e);
    struct idm_signer signer;
    ret->algorithm = layout.algorithm;
    ret->wait_ms = s->wait_ms;
    ret->parent = layout.parent_handle;
    (void)snprintf(ret->tcti, sizeof ret->tcti, "%s", s->tcti);
    if (idm_tpm_signer(e, false, &signer))
        ret->handle = signer.handle;
    if (idm_tpm_signer(e, true, &signer))
        return idm_bytes_set(&ret->tss2, signer.key->data, signer.key->size);
    return 0;
}

static int signer_file(const struct idm_engine *e, bool tpm, struct idm_bytes *ret)
{
    struct idm_signer_file file = {.epoch = e->record.epoch};
    int rc = 0;
    memcpy(file.spki, spki_of(e, tpm), IDM_SHA256_SIZE);
    if (tpm)
        rc = tpm_part(e, &file);
    else
        software_part(e, &file);
    if (rc == 0)
        rc = idm_signer_file_write(&file, ret);
    idm_signer_file_free(&file);
    return rc;
}

int idm_key_files(const struct idm_engine *e, struct idm_bytes *ret_reference,
                  struct idm_bytes *ret_signer)
{
    bool tpm = idm_identity_mode(e) == IDM_MODE_TPM;
    int rc = reference(e, tpm, ret_reference);
    return rc ? rc : signer_file(e, tpm, ret_signer);
}
