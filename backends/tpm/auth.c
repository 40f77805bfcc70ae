/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/tpm/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const TSS2L_SYS_AUTH_COMMAND idm_tpm_empty_password = {.count = 1,
                                                       .auths = {{.sessionHandle = TPM2_RH_PW}}};

int idm_tpm_session(struct idm_tpm *tpm, const struct idm_tpm_ref *salt, TPMA_SESSION attributes,
                    struct idm_tpm_ref *ret, struct idm_error *err)
{
    static const char what[] = "start a TPM session";
    const TPMT_SYM_DEF cipher = {
        .algorithm = TPM2_ALG_AES, .keyBits.aes = 128, .mode.aes = TPM2_ALG_CFB};
    ESYS_TR session = ESYS_TR_NONE;
    TSS2_RC rc;
    IDM_TPM_COMMAND(tpm, rc,
                    Esys_StartAuthSession(tpm->esys, salt->tr, ESYS_TR_NONE, ESYS_TR_NONE,
                                          ESYS_TR_NONE, ESYS_TR_NONE, NULL, TPM2_SE_HMAC, &cipher,
                                          TPM2_ALG_SHA256, &session));
    if (rc != TSS2_RC_SUCCESS)
        return idm_tpm_fail(tpm, rc, what, err);
    _cleanup_ref_ struct idm_tpm_ref opened = IDM_TPM_REF_EMPTY;
    int result = idm_tpm_ref_take(&opened, tpm, session, err);
    if (result < 0)
        return result;
    rc = Esys_TRSess_SetAttributes(tpm->esys, session, attributes | TPMA_SESSION_CONTINUESESSION,
                                   0xff);
    if (rc != TSS2_RC_SUCCESS)
        return idm_tpm_fail(tpm, rc, what, err);
    *ret = opened;
    opened = (struct idm_tpm_ref)IDM_TPM_REF_EMPTY;
    return 0;
}

/* One byte more than fits is asked for, so that a longer file is noticed. */
static int read_auth(int fd, TPM2B_AUTH *ret)
{
    uint8_t buffer[sizeof ret->buffer + 2];
    size_t size = 0;
    ssize_t got;
    struct stat st;
    if (fstat(fd, &st) != 0)
        return errno;
    if (!S_ISREG(st.st_mode))
        return EINVAL;
    while (size < sizeof buffer && (got = read(fd, buffer + size, sizeof buffer - size)) != 0) {
        if (got > 0)
            size += (size_t)got;
        else if (errno != EINTR)
            break;
    }
    int result = got < 0 ? errno : 0;
    if (size > 0 && buffer[size - 1] == '\n')
        size--;
    if (result == 0 && size > sizeof ret->buffer)
        result = EFBIG;
    if (result == 0) {
        ret->size = (uint16_t)size;
        memcpy(ret->buffer, buffer, size);
    }
    OPENSSL_cleanse(buffer, sizeof buffer);
    return result;
}

static int owner_auth(const struct idm_tpm *tpm, TPM2B_AUTH *ret, struct idm_error *err)
{
    char path[2 * IDM_PATH_SIZE];
    const char *file = tpm->settings->owner_auth_file;
    if (!file[0])
        return 0;
    int length = snprintf(path, sizeof path, "%s%s%s", tpm->root, file[0] == '/' ? "" : "/", file);
    int errnum = ENAMETOOLONG;
    if (length > 0 && (size_t)length < sizeof path) {
        int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        errnum = fd < 0 ? errno : read_auth(fd, ret);
        if (fd >= 0)
            (void)close(fd);
    }
    if (errnum == 0)
        return 0;
    (void)idm_fail(err, IDM_E_TPM_OWNED, "read owner-auth-file", "%s: %s", file, strerror(errnum));
    if (err)
        err->foreign = (unsigned long)errnum;
    return idm_advise(err, "a regular file with the owner's authorisation, at most 64 bytes"),
           IDM_E_TPM_OWNED;
}

int idm_tpm_owner_begin(struct idm_tpm *tpm, const struct idm_tpm_ref *salt, TPMA_SESSION crypt,
                        struct idm_tpm_owner *ret, struct idm_error *err)
{
    TPM2B_AUTH auth = {0};
    _cleanup_owner_ struct idm_tpm_owner owner = IDM_TPM_OWNER_EMPTY;
    int result = owner_auth(tpm, &auth, err);
    if (result < 0)
        return result;
    owner.tpm = tpm;
    owner.session = ESYS_TR_PASSWORD;
    TSS2_RC rc = Esys_TR_SetAuth(tpm->esys, ESYS_TR_RH_OWNER, &auth);
    /* An empty password has nothing to hide. Another one never travels: an HMAC proves it, and the
     * salt keeps a listener from guessing; there is no salt key before the SRK exists. */
    if (rc == TSS2_RC_SUCCESS && auth.size > 0) {
        result = idm_tpm_session(tpm, salt, crypt, &owner.opened, err);
        owner.session = owner.opened.tr;
    }
    OPENSSL_cleanse(&auth, sizeof auth);
    if (rc != TSS2_RC_SUCCESS)
        return idm_tpm_fail(tpm, rc, "set the owner authorisation", err);
    if (result < 0)
        return result;
    *ret = owner;
    owner = (struct idm_tpm_owner)IDM_TPM_OWNER_EMPTY;
    return 0;
}

void idm_tpm_owner_end(struct idm_tpm_owner *owner)
{
    if (!owner->tpm)
        return;
    const TPM2B_AUTH empty = {0};
    if (owner->tpm->esys)
        (void)Esys_TR_SetAuth(owner->tpm->esys, ESYS_TR_RH_OWNER, &empty);
    idm_tpm_ref_drop(&owner->opened);
    owner->tpm = NULL;
}
