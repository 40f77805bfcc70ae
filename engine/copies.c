/* SPDX-License-Identifier: BSD-2-Clause */
/* copies.c - the record and the files of the identities, each kept twice: which copy is good? */
#include "engine/internal.h"

#include <string.h>

static const enum idm_place places[IDM_FILE_COUNT] = {
#define PLACE_OF(file, place, name, mode) [file] = place,
    IDM_FILES(PLACE_OF)
#undef PLACE_OF
};

/* A file in a directory that does not exist although the one above it is proven is absent, like one
 * that is missing from its directory. */
int idm_read(struct idm_engine *e, enum idm_file file, struct idm_bytes *ret)
{
    const struct idm_backends *be = e->be;
    int rc = be->file_read(be->self, file, ret, NULL);
    if (rc == IDM_E_UNREADABLE && be->place_state(be->self, places[file]) == IDM_PLACE_MISSING)
        rc = IDM_E_ABSENT;
    return rc;
}

bool idm_software_signer(const struct idm_engine *e, struct idm_signer *ret)
{
    const struct idm_bytes *key = idm_good_software_key(e);
    if (!key)
        return false;
    bool store = key == &e->files[IDM_F_PERSIST_KEY].bytes;
    *ret = (struct idm_signer){.kind = IDM_SIGNER_SOFTWARE,
                               .key = key,
                               .algorithm = store ? e->store_key.info.algorithm
                                                  : e->config_key.info.algorithm};
    return true;
}

/* ---- the record ---- */

struct record_copy {
    int rc; /* 0, ABSENT, UNREADABLE, CORRUPT, NEWER */
    struct idm_bytes bytes;
    struct idm_record record;
};

/* `first` (may be NULL): the copy read before; the same bytes say the same. */
static void read_copy(struct idm_engine *e, enum idm_file file, const struct record_copy *first,
                      struct record_copy *ret)
{
    ret->rc = idm_read(e, file, &ret->bytes);
    if (ret->rc)
        return;
    bool same = first && first->bytes.data && idm_bytes_equal(&ret->bytes, &first->bytes);
    if (same)
        ret->record = first->record;
    ret->rc = same ? first->rc : idm_record_decode(ret->bytes.data, ret->bytes.size, &ret->record);
}

static enum idm_record_fact judge(const struct record_copy *a, const struct record_copy *b)
{
    if (a->rc == IDM_E_NEWER || b->rc == IDM_E_NEWER)
        return IDM_RECORD_NEWER;
    if (a->rc && b->rc)
        return a->rc == IDM_E_ABSENT && b->rc == IDM_E_ABSENT ? IDM_RECORD_ABSENT
                                                              : IDM_RECORD_CORRUPT;
    if (a->rc || b->rc || a->record.sequence != b->record.sequence)
        return IDM_RECORD_COPY_LOST;
    return idm_bytes_equal(&a->bytes, &b->bytes) ? IDM_RECORD_GOOD : IDM_RECORD_CORRUPT;
}

static bool unreadable(int rc)
{
    return rc == IDM_E_UNREADABLE || rc == IDM_E_MEMORY || rc == IDM_E_CRYPTO;
}

static bool believable(struct idm_engine *e, enum idm_place place, bool was_mount)
{
    if (e->be->place_state(e->be->self, place) != IDM_PLACE_PROVEN)
        return false;
    bool automatic = e->settings->require_mount == IDM_MOUNT_AUTO;
    return !was_mount || !automatic || e->be->place_is_mount(e->be->self, place);
}

void idm_load_record(struct idm_engine *e, struct idm_facts *facts)
{
    struct record_copy persist = {0};
    struct record_copy config = {0};
    read_copy(e, IDM_F_PERSIST_RECORD, NULL, &persist);
    read_copy(e, IDM_F_CONFIG_RECORD, &persist, &config);

    facts->record = judge(&persist, &config);
    e->recorded = facts->record == IDM_RECORD_GOOD || facts->record == IDM_RECORD_COPY_LOST;
    e->record = (struct idm_record){0};
    if (e->recorded) {
        bool first =
            persist.rc == 0 && (config.rc || persist.record.sequence >= config.record.sequence);
        e->record = first ? persist.record : config.record;
    }
    bool elsewhere = facts->record == IDM_RECORD_ABSENT && e->settings->places_unknown;
    if (!believable(e, IDM_PERSIST, e->record.persist_is_mount) || unreadable(persist.rc) ||
        elsewhere)
        facts->evidence = IDM_EVIDENCE_PERSIST_UNREADABLE;
    if (!believable(e, IDM_CONFIG, e->record.config_is_mount) || unreadable(config.rc))
        facts->evidence = IDM_EVIDENCE_CONFIG_UNREADABLE;
    idm_bytes_free(&persist.bytes);
    idm_bytes_free(&config.bytes);
}

static int sign_as_active(struct idm_engine *e, const struct idm_record *r, const uint8_t *hash,
                          struct idm_signature *ret, struct idm_error *err)
{
    struct idm_signer signer = {0};
    if (idm_record_active(r) == IDM_ACTIVE_TPM)
        return idm_tpm_sign_active(e, IDM_SHA256, hash, ret, err);
    if (!idm_software_signer(e, &signer))
        return idm_fail(err, IDM_E_ABSENT, "sign the record", "no copy of the active key is there");
    if (signer.algorithm == IDM_ALG_NONE)
        return 0; /* a key that we would not make: it may be one that signs no digests */
    return e->be->sign(e->be->self, &signer, IDM_SHA256, hash, ret, err);
}

/* Signs only when what the signature covers has changed. */
static int sign_record(struct idm_engine *e, struct idm_record *r, struct idm_error *err)
{
    uint8_t hash[IDM_SHA256_SIZE];
    struct idm_signature signature = {0};
    int rc = idm_record_identity_hash(r, hash);
    if (rc)
        return idm_fail(err, rc, "sign the record", "%s", idm_error_sentence(rc));
    bool active = idm_record_active(r) != IDM_ACTIVE_NONE;
    if (active && idm_same(hash, r->signed_hash, IDM_SHA256_SIZE))
        return 0;
    memcpy(r->signed_hash, hash, IDM_SHA256_SIZE);
    memset(r->signature, 0, sizeof r->signature);
    r->signature_size = 0;
    if (!active)
        return 0;
    rc = sign_as_active(e, r, hash, &signature, err);
    if (rc)
        return rc;
    if (signature.size > sizeof r->signature)
        return idm_fail(err, IDM_E_INTERNAL, "sign the record", "the signature is too long");
    memcpy(r->signature, signature.data, signature.size);
    r->signature_size = (uint16_t)signature.size;
    return 0;
}

bool idm_record_is_forged(struct idm_engine *e)
{
    uint8_t hash[IDM_SHA256_SIZE];
    const struct idm_record *r = &e->record;
    struct idm_signature signature = {.size = r->signature_size};
    enum idm_active active = idm_record_active(r);
    const struct idm_bytes *cert =
        active == IDM_ACTIVE_TPM ? idm_good_tpm_cert(e) : idm_good_software_cert(e);
    struct idm_signer software = {0};
    if (!e->recorded || active == IDM_ACTIVE_NONE || !cert)
        return false; /* nothing is claimed, or nothing is there to judge it by */
    bool key = active == IDM_ACTIVE_SOFTWARE && idm_software_signer(e, &software);
    /* Where the key is lost too it cannot be told whether it signs digests; nothing is lost by that. */
    bool unsigned_key = active == IDM_ACTIVE_SOFTWARE && r->signature_size == 0 &&
                        (!key || software.algorithm == IDM_ALG_NONE);
    if (unsigned_key || idm_record_identity_hash(r, hash))
        return false;
    memcpy(signature.data, r->signature, r->signature_size);
    int rc = e->be->verify(e->be->self, cert, IDM_SHA256, hash, &signature, NULL);
    return rc == IDM_E_MISMATCH;
}

int idm_write_record(struct idm_engine *e, struct idm_error *err)
{
    uint8_t bytes[4096];
    struct idm_record next = e->record;
    int rc = sign_record(e, &next, err);
    if (rc)
        return rc;
    next.sequence++;
    next.format = idm_wanted_format(e, &next);
    if (idm_clock_is_plausible(e))
        next.written_at = e->platform.now;
    size_t size = idm_record_size();
    if (size > sizeof bytes)
        return idm_fail(err, IDM_E_INTERNAL, "encode the record", "it outgrew its buffer");
    rc = idm_record_encode(&next, bytes);
    if (rc)
        return idm_fail(err, rc, "encode the record", "%s", idm_error_sentence(rc));
    /* The first record brings our folder in the config directory with it: a record without that folder
     * means that the directory was wiped. */
    bool new = !e->recorded;
    rc = e->be->file_write(e->be->self, new ? IDM_F_CONFIG_RECORD : IDM_F_PERSIST_RECORD, bytes,
                           size, err);
    if (rc)
        return rc;
    /* From here on the new record counts, also if the second copy fails: it is rewritten later. */
    e->record = next;
    e->recorded = true;
    return e->be->file_write(e->be->self, new ? IDM_F_PERSIST_RECORD : IDM_F_CONFIG_RECORD, bytes,
                             size, err);
}

/* ---- files ---- */

/* What facts rest on; the history, /run and the marker are not among them. */
static const enum idm_file evidence[] = {
    IDM_F_CONFIG_CERT,   IDM_F_CONFIG_KEY,   IDM_F_CONFIG_TSS2,      IDM_F_CONFIG_TPM_CERT,
    IDM_F_CONFIG_SEALED, IDM_F_PERSIST_TSS2, IDM_F_PERSIST_TPM_CERT, IDM_F_PERSIST_SEALED,
    IDM_F_PERSIST_KEY,   IDM_F_PERSIST_CERT, IDM_F_RESET_REQUESTED,
};

static void look_into_cert(struct idm_engine *e, enum idm_file file, struct idm_seen_cert *ret)
{
    const struct idm_loaded *loaded = &e->files[file];
    *ret = (struct idm_seen_cert){.rc = loaded->rc};
    if (loaded->rc == 0)
        ret->rc = e->be->cert_inspect(e->be->self, &loaded->bytes, &ret->info, NULL);
}

static void look_into_key(struct idm_engine *e, enum idm_file file, struct idm_seen_key *ret)
{
    const struct idm_loaded *loaded = &e->files[file];
    *ret = (struct idm_seen_key){.rc = loaded->rc};
    if (loaded->rc == 0)
        ret->rc = e->be->key_inspect(e->be->self, &loaded->bytes, &ret->info, NULL);
}

static void look_into_tss2(struct idm_engine *e, enum idm_file file, struct idm_seen_tss2 *ret)
{
    const struct idm_loaded *loaded = &e->files[file];
    *ret = (struct idm_seen_tss2){.rc = loaded->rc};
    if (loaded->rc == 0)
        ret->rc = e->be->tss2_inspect(e->be->self, &loaded->bytes, &ret->info, NULL);
}

/* A second copy mostly holds the first one's bytes: looking into a key or a certificate is by far the
 * dearest part of a boot, and is done once for both. */
static bool same_copies(const struct idm_engine *e, enum idm_file first, enum idm_file second)
{
    const struct idm_loaded *a = &e->files[first];
    const struct idm_loaded *b = &e->files[second];
    return a->rc == 0 && b->rc == 0 && a->bytes.size == b->bytes.size &&
           idm_same(a->bytes.data, b->bytes.data, a->bytes.size);
}

static void look_into_certs(struct idm_engine *e, enum idm_file first, struct idm_seen_cert *ret,
                            enum idm_file second, struct idm_seen_cert *ret_second)
{
    look_into_cert(e, first, ret);
    if (same_copies(e, first, second))
        *ret_second = *ret;
    else
        look_into_cert(e, second, ret_second);
}

void idm_load_files(struct idm_engine *e)
{
    idm_free_files(e);
    if (e->be->certs_known)
        e->be->certs_known(e->be->self, e->record.software_cert, e->record.tpm_cert);
    for (size_t i = 0; i < sizeof evidence / sizeof *evidence; i++) {
        struct idm_loaded *loaded = &e->files[evidence[i]];
        loaded->rc = idm_read(e, evidence[i], &loaded->bytes);
    }
    look_into_certs(e, IDM_F_CONFIG_CERT, &e->config_cert, IDM_F_PERSIST_CERT, &e->store_cert);
    look_into_certs(e, IDM_F_CONFIG_TPM_CERT, &e->tpm_cert_config, IDM_F_PERSIST_TPM_CERT,
                    &e->tpm_cert_persist);
    look_into_key(e, IDM_F_CONFIG_KEY, &e->config_key);
    if (same_copies(e, IDM_F_CONFIG_KEY, IDM_F_PERSIST_KEY))
        e->store_key = e->config_key;
    else
        look_into_key(e, IDM_F_PERSIST_KEY, &e->store_key);
    look_into_tss2(e, IDM_F_CONFIG_TSS2, &e->tss2_config);
    if (same_copies(e, IDM_F_CONFIG_TSS2, IDM_F_PERSIST_TSS2))
        e->tss2_persist = e->tss2_config;
    else
        look_into_tss2(e, IDM_F_PERSIST_TSS2, &e->tss2_persist);
}

void idm_free_files(struct idm_engine *e)
{
    for (size_t i = 0; i < IDM_FILE_COUNT; i++) {
        idm_bytes_free(&e->files[i].bytes);
        e->files[i].rc = IDM_E_ABSENT;
    }
}

static bool is_our_tss2(const struct idm_engine *e, const struct idm_seen_tss2 *seen)
{
    return seen->rc == 0 && idm_same(seen->info.name, e->record.device_name, IDM_NAME_SIZE);
}

const struct idm_bytes *idm_good_tss2(const struct idm_engine *e)
{
    if (is_our_tss2(e, &e->tss2_persist))
        return &e->files[IDM_F_PERSIST_TSS2].bytes;
    if (is_our_tss2(e, &e->tss2_config))
        return &e->files[IDM_F_CONFIG_TSS2].bytes;
    return NULL;
}

struct cert_copy {
    const struct idm_seen_cert *seen;
    enum idm_file file;
};

/* A record names a certificate, not its chain: of copies that differ the one with most of it is good. */
static const struct idm_bytes *best_cert(const struct idm_engine *e, const struct cert_copy *copies,
                                         size_t count, const uint8_t *hash)
{
    const struct cert_copy *best = NULL;
    for (size_t i = 0; i < count; i++) {
        const struct idm_seen_cert *seen = copies[i].seen;
        bool ours = seen->rc == 0 && idm_same(seen->info.sha256, hash, IDM_SHA256_SIZE);
        if (ours && (!best || seen->info.links > best->seen->info.links))
            best = &copies[i];
    }
    return best ? &e->files[best->file].bytes : NULL;
}

const struct idm_bytes *idm_good_tpm_cert(const struct idm_engine *e)
{
    const struct cert_copy copies[] = {{&e->tpm_cert_persist, IDM_F_PERSIST_TPM_CERT},
                                       {&e->tpm_cert_config, IDM_F_CONFIG_TPM_CERT},
                                       {&e->config_cert, IDM_F_CONFIG_CERT}};
    return best_cert(e, copies, sizeof copies / sizeof *copies, e->record.tpm_cert);
}

/* Without a record the pair in the config directory is all there is. */
const struct idm_bytes *idm_good_software_key(const struct idm_engine *e)
{
    const uint8_t *hash = e->record.software_spki;
    if (!e->recorded && e->facts.config_pair_fits)
        return &e->files[IDM_F_CONFIG_KEY].bytes;
    if (e->store_key.rc == 0 && idm_same(e->store_key.info.spki, hash, IDM_SHA256_SIZE))
        return &e->files[IDM_F_PERSIST_KEY].bytes;
    if (e->config_key.rc == 0 && idm_same(e->config_key.info.spki, hash, IDM_SHA256_SIZE))
        return &e->files[IDM_F_CONFIG_KEY].bytes;
    return NULL;
}

const struct idm_bytes *idm_good_software_cert(const struct idm_engine *e)
{
    const struct cert_copy copies[] = {{&e->store_cert, IDM_F_PERSIST_CERT},
                                       {&e->config_cert, IDM_F_CONFIG_CERT}};
    if (!e->recorded && e->facts.config_pair_fits)
        return &e->files[IDM_F_CONFIG_CERT].bytes;
    return best_cert(e, copies, sizeof copies / sizeof *copies, e->record.software_cert);
}

int idm_put(struct idm_engine *e, enum idm_file file, const struct idm_bytes *bytes,
            struct idm_error *err)
{
    const struct idm_loaded *loaded = &e->files[file];
    if (loaded->rc == 0 && loaded->bytes.data && idm_bytes_equal(&loaded->bytes, bytes))
        return 0;
    return e->be->file_write(e->be->self, file, bytes->data, bytes->size, err);
}
