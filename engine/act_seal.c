/* SPDX-License-Identifier: BSD-2-Clause */
/* act_seal.c - the actions that seal the legacy pair, compare what was sealed, and bring it back.
 */
#include "engine/internal.h"

#include <string.h>

/* What is sealed: "idmode legacy pair v1\n", size of the key file (4 bytes, little-endian), the
 * exact bytes of the key file, then those of the certificate file. */
static const char pair_label[] = "idmode legacy pair v1\n";
#define PAIR_HEADER (sizeof pair_label - 1 + 4)

static int pack_pair(const struct idm_bytes *key, const struct idm_bytes *cert,
                     struct idm_bytes *ret, struct idm_error *err)
{
    _cleanup_bytes_ struct idm_bytes packed = {0};
    size_t size = PAIR_HEADER + key->size + cert->size;
    int rc = idm_bytes_set(&packed, NULL, size);
    if (rc)
        return idm_fail(err, rc, "seal the legacy pair", "%s", idm_error_sentence(rc));
    memcpy(packed.data, pair_label, sizeof pair_label - 1);
    for (unsigned int i = 0; i < 4; i++)
        packed.data[sizeof pair_label - 1 + i] = (uint8_t)(key->size >> (8 * i));
    memcpy(packed.data + PAIR_HEADER, key->data, key->size);
    memcpy(packed.data + PAIR_HEADER + key->size, cert->data, cert->size);
    idm_bytes_move(ret, &packed);
    return 0;
}

static int unpack_pair(const struct idm_bytes *packed, struct idm_bytes *ret_key,
                       struct idm_bytes *ret_cert, struct idm_error *err)
{
    size_t key_size = 0;
    if (packed->size < PAIR_HEADER || memcmp(packed->data, pair_label, sizeof pair_label - 1) != 0)
        return idm_fail(err, IDM_E_CORRUPT, "unseal the legacy pair", "it is not a legacy pair");
    for (unsigned int i = 0; i < 4; i++)
        key_size |= (size_t)packed->data[sizeof pair_label - 1 + i] << (8 * i);
    if (key_size > packed->size - PAIR_HEADER)
        return idm_fail(err, IDM_E_CORRUPT, "unseal the legacy pair", "its sizes do not fit");
    int rc = idm_bytes_set(ret_key, packed->data + PAIR_HEADER, key_size);
    if (rc == 0)
        rc = idm_bytes_set(ret_cert, packed->data + PAIR_HEADER + key_size,
                           packed->size - PAIR_HEADER - key_size);
    return rc;
}

static int seal_pair(struct idm_engine *e, const struct idm_bytes *key,
                     const struct idm_bytes *cert, struct idm_error *err)
{
    _cleanup_bytes_ struct idm_bytes packed = {0};
    _cleanup_bytes_ struct idm_bytes envelope = {0};
    int rc = pack_pair(key, cert, &packed, err);
    if (rc == 0)
        rc = e->be->tpm_seal(e->be->self, idm_layout(e).parent_handle, e->record.parent_name,
                             &packed, &envelope, err);
    if (rc == 0)
        rc =
            e->be->file_write(e->be->self, IDM_F_PERSIST_SEALED, envelope.data, envelope.size, err);
    if (rc == 0)
        rc = e->be->file_write(e->be->self, IDM_F_CONFIG_SEALED, envelope.data, envelope.size, err);
    return rc;
}

static int open_envelope(struct idm_engine *e, enum idm_file file, struct idm_bytes *ret_key,
                         struct idm_bytes *ret_cert, struct idm_key_info *ret_key_info,
                         struct idm_cert_info *ret_cert_info, struct idm_error *err)
{
    _cleanup_bytes_ struct idm_bytes envelope = {0};
    _cleanup_bytes_ struct idm_bytes packed = {0};
    const struct idm_backends *be = e->be;
    int rc = be->file_read(be->self, file, &envelope, err);
    if (rc == 0)
        rc = be->tpm_unseal(be->self, idm_layout(e).parent_handle, e->record.parent_name, &envelope,
                            &packed, err);
    if (rc == 0)
        rc = unpack_pair(&packed, ret_key, ret_cert, err);
    if (rc == 0)
        rc = be->key_inspect(be->self, ret_key, ret_key_info, err);
    return rc ? rc : be->cert_inspect(be->self, ret_cert, ret_cert_info, err);
}

static int unseal_file(struct idm_engine *e, enum idm_file file, struct idm_bytes *ret_key,
                       struct idm_bytes *ret_cert, struct idm_error *err)
{
    struct idm_key_info key = {0};
    struct idm_cert_info cert = {0};
    int rc = open_envelope(e, file, ret_key, ret_cert, &key, &cert, err);
    if (rc == 0 && (!idm_same(key.spki, e->record.software_spki, IDM_SHA256_SIZE) ||
                    !idm_same(cert.sha256, e->record.software_cert, IDM_SHA256_SIZE)))
        rc = idm_fail(err, IDM_E_MISMATCH, "unseal the legacy pair",
                      "the envelope holds another pair than the record names");
    return rc;
}

/* That this envelope is none, or another chip's; not that it could not be opened now. */
static bool is_no_envelope(int rc)
{
    return rc == IDM_E_ABSENT || rc == IDM_E_CORRUPT || rc == IDM_E_MISMATCH ||
           rc == IDM_E_TPM_UNFIT || rc == IDM_E_TPM_EMPTY;
}

static int note_sealed(struct idm_engine *e, const struct idm_key_info *key,
                       const struct idm_cert_info *cert, struct idm_error *err)
{
    struct idm_record *r = &e->record;
    struct idm_tpm_info info = {0};
    int rc = e->be->tpm_info(e->be->self, &info, err);
    if (rc)
        return rc;
    memcpy(r->software_spki, key->spki, IDM_SHA256_SIZE);
    memcpy(r->software_cert, cert->sha256, IDM_SHA256_SIZE);
    r->seal = IDM_SEAL_FRESH;
    r->seal_reset_count = info.reset_count;
    r->ever_plain = 1; /* nobody remembers */
    return 0;
}

int idm_find_sealed_pair(struct idm_engine *e, struct idm_error *err)
{
    static const enum idm_file files[] = {IDM_F_PERSIST_SEALED, IDM_F_CONFIG_SEALED};
    for (size_t i = 0; i < 2; i++) {
        _cleanup_bytes_ struct idm_bytes key = {0};
        _cleanup_bytes_ struct idm_bytes cert = {0};
        struct idm_key_info key_info = {0};
        struct idm_cert_info cert_info = {0};
        int rc = open_envelope(e, files[i], &key, &cert, &key_info, &cert_info, err);
        if (rc == 0 && idm_same(key_info.spki, cert_info.spki, IDM_SHA256_SIZE))
            return note_sealed(e, &key_info, &cert_info, err);
        if (rc && !is_no_envelope(rc))
            return rc;
    }
    return 0;
}

static int unseal_pair(struct idm_engine *e, struct idm_bytes *ret_key, struct idm_bytes *ret_cert,
                       struct idm_error *err)
{
    int rc = unseal_file(e, IDM_F_PERSIST_SEALED, ret_key, ret_cert, err);
    return rc ? unseal_file(e, IDM_F_CONFIG_SEALED, ret_key, ret_cert, err) : 0;
}

int idm_do_make_sealed_legacy(struct idm_engine *e, struct idm_error *err)
{
    _cleanup_bytes_ struct idm_bytes key = {0};
    _cleanup_bytes_ struct idm_bytes cert = {0};
    struct idm_key_info info = {0};
    struct idm_cert_info cert_info = {0};
    const struct idm_backends *be = e->be;
    enum idm_algorithm algorithm = idm_layout(e).algorithm;
    int rc = be->key_generate(be->self, algorithm, &key, err);
    if (rc == 0)
        rc = be->key_inspect(be->self, &key, &info, err);
    struct idm_signer signer = {.kind = IDM_SIGNER_SOFTWARE, .key = &key, .algorithm = algorithm};
    if (rc == 0)
        rc = idm_issue(e, &signer, info.spki, &cert, err);
    if (rc == 0)
        rc = be->cert_inspect(be->self, &cert, &cert_info, err);
    if (rc == 0)
        rc = seal_pair(e, &key, &cert, err);
    if (rc)
        return rc;
    memcpy(e->record.software_spki, info.spki, IDM_SHA256_SIZE);
    memcpy(e->record.software_cert, cert_info.sha256, IDM_SHA256_SIZE);
    e->record.seal = IDM_SEAL_MATURE;
    return idm_do_compare_sealed_pair(e, err);
}

int idm_do_seal_legacy_pair(struct idm_engine *e, struct idm_error *err)
{
    const struct idm_bytes *key = idm_good_software_key(e);
    const struct idm_bytes *cert = idm_good_software_cert(e);
    if (!key || !cert)
        return idm_fail(err, IDM_E_ABSENT, "seal the legacy pair", "no good copy of it");
    return seal_pair(e, key, cert, err);
}

/* Both copies, from the disk, against the plain pair where it is still there, else the record. */
int idm_do_compare_sealed_pair(struct idm_engine *e, struct idm_error *err)
{
    static const enum idm_file files[] = {IDM_F_PERSIST_SEALED, IDM_F_CONFIG_SEALED};
    const struct idm_bytes *plain_key = idm_good_software_key(e);
    const struct idm_bytes *plain_cert = idm_good_software_cert(e);
    for (size_t i = 0; i < 2; i++) {
        _cleanup_bytes_ struct idm_bytes key = {0};
        _cleanup_bytes_ struct idm_bytes cert = {0};
        int rc = unseal_file(e, files[i], &key, &cert, err);
        if (rc)
            return rc;
        if ((plain_key && !idm_bytes_equal(plain_key, &key)) ||
            (plain_cert && !idm_bytes_equal(plain_cert, &cert)))
            return idm_fail(err, IDM_E_MISMATCH, "compare the sealed legacy pair",
                            "its bytes differ from the plain pair");
    }
    return 0;
}

int idm_do_put_former_aside(struct idm_engine *e, struct idm_error *err)
{
    _cleanup_bytes_ struct idm_bytes packed = {0};
    _cleanup_bytes_ struct idm_bytes envelope = {0};
    const struct idm_bytes *key = idm_good_software_key(e);
    const struct idm_bytes *cert = idm_good_software_cert(e);
    const struct idm_loaded *sealed = &e->files[IDM_F_PERSIST_SEALED];
    if (e->facts.seal != IDM_SEAL_NONE && sealed->rc == 0)
        return idm_put(e, IDM_F_FORMER_SEALED, &sealed->bytes, err);
    if (!key || !cert || e->facts.proof != IDM_PROOF_GIVEN) /* nothing left to keep, or no way to */
        return 0;
    int rc = pack_pair(key, cert, &packed, err);
    if (rc == 0)
        rc = e->be->tpm_seal(e->be->self, idm_layout(e).parent_handle, e->record.parent_name,
                             &packed, &envelope, err);
    if (rc == 0)
        rc = e->be->file_write(e->be->self, IDM_F_FORMER_SEALED, envelope.data, envelope.size, err);
    return rc;
}

static int write_unsealed(struct idm_engine *e, enum idm_file file, struct idm_error *err)
{
    _cleanup_bytes_ struct idm_bytes key = {0};
    _cleanup_bytes_ struct idm_bytes cert = {0};
    int rc = unseal_pair(e, &key, &cert, err);
    if (rc == 0)
        rc = idm_put(e, file, file == IDM_F_PERSIST_KEY ? &key : &cert, err);
    return rc ? rc : idm_reload_store(e, err);
}

int idm_do_unseal_store_key(struct idm_engine *e, struct idm_error *err)
{
    return write_unsealed(e, IDM_F_PERSIST_KEY, err);
}

int idm_do_unseal_store_cert(struct idm_engine *e, struct idm_error *err)
{
    return write_unsealed(e, IDM_F_PERSIST_CERT, err);
}
