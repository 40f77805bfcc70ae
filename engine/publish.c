/* SPDX-License-Identifier: BSD-2-Clause */
/* publish.c - what the rest of the system sees: /run/idmode/{mode,page,status.json,device.*.pem}.
 * Written at the end of every run, certificate and key reference before the mode that points at
 * them. */
#include "engine/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- files ---- */

static void write_run(struct idm_engine *e, enum idm_file file, const char *text, size_t size)
{
    struct idm_error failure = {0};
    if (e->be->file_write(e->be->self, file, text, size, &failure) == 0)
        return;
    idm_trace(e, "not published: %s: %s", failure.what, failure.why);
    (void)e->be->file_remove(e->be->self, file,
                             NULL); /* nothing is better than what was true before */
}

/* Certificate, how root's programs sign, and the reference: nothing points at what is not there yet. */
static void publish_key(struct idm_engine *e)
{
    _cleanup_bytes_ struct idm_bytes key = {0};
    _cleanup_bytes_ struct idm_bytes signer = {0};
    if (idm_key_files(e, &key, &signer)) {
        idm_trace(e, "not published: the key's reference");
        (void)e->be->file_remove(e->be->self, IDM_F_RUN_SIGNER, NULL);
        (void)e->be->file_remove(e->be->self, IDM_F_RUN_KEY, NULL);
        return;
    }
    write_run(e, IDM_F_RUN_SIGNER, (const char *)signer.data, signer.size);
    write_run(e, IDM_F_RUN_KEY, (const char *)key.data, key.size);
}

/* The old key's word counts once the certificate that it names is in use, not before and not for
 * another. */
static bool succession_holds(const struct idm_engine *e, const struct idm_bytes *statement)
{
    char hex[2 * IDM_SHA256_SIZE + 1];
    idm_hex(e->record.tpm_cert, IDM_SHA256_SIZE, hex);
    return idm_record_active(&e->record) == IDM_ACTIVE_TPM &&
           strstr((const char *)statement->data, hex);
}

static void publish_identity(struct idm_engine *e, const struct idm_outcome *o)
{
    _cleanup_bytes_ struct idm_bytes pem = {0};
    _cleanup_bytes_ struct idm_bytes statement = {0};
    const struct idm_backends *be = e->be;
    bool in_use = o->mode == IDM_MODE_SOFTWARE || o->mode == IDM_MODE_TPM;
    if (!in_use || idm_engine_certificate(e, false, &pem, NULL)) {
        (void)be->file_remove(be->self, IDM_F_RUN_KEY, NULL);
        (void)be->file_remove(be->self, IDM_F_RUN_SIGNER, NULL);
        (void)be->file_remove(be->self, IDM_F_RUN_CERT, NULL);
        return;
    }
    write_run(e, IDM_F_RUN_CERT, (const char *)pem.data, pem.size);
    publish_key(e);
    bool valid = be->file_read(be->self, IDM_F_STATEMENT, &statement, NULL) == 0 &&
                 succession_holds(e, &statement);
    if (valid)
        write_run(e, IDM_F_RUN_STATEMENT, (const char *)statement.data, statement.size);
    else
        (void)be->file_remove(be->self, IDM_F_RUN_STATEMENT, NULL);
}

/* A mode without the certificate that it stands for is a run that failed, if only in saying so. */
static void publish_status(struct idm_engine *e, struct idm_outcome *o)
{
    _cleanup_bytes_ struct idm_bytes pem = {0};
    struct idm_cert_info identity = {0};
    struct idm_error failure = {0};
    bool in_use = o->mode == IDM_MODE_SOFTWARE || o->mode == IDM_MODE_TPM;
    int rc = idm_engine_certificate(e, false, &pem, &failure);
    if (rc == 0)
        rc = e->be->cert_inspect(e->be->self, &pem, &identity, &failure);
    if (rc && in_use && !o->error.code) {
        o->error = failure;
        o->exit = IDM_EXIT_FAILED;
    }
    char *text = idm_status_text(e, o, rc ? NULL : &identity);
    if (text)
        write_run(e, IDM_F_RUN_STATUS, text, strlen(text));
    free(text);
}

void idm_publish(struct idm_engine *e, struct idm_outcome *o)
{
    char mode[16];
    publish_identity(e, o);
    publish_status(e, o);
    int size = snprintf(mode, sizeof mode, "%s\n", idm_mode_name(o->mode));
    write_run(e, IDM_F_RUN_MODE, mode, (size_t)size);
    struct idm_error failure = {0};
    if (e->be->page_publish(e->be->self, (unsigned int)o->mode, e->record.epoch, &failure))
        idm_trace(e, "not published: %s: %s", failure.what, failure.why);
}
