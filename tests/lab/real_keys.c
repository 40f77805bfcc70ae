/* SPDX-License-Identifier: BSD-2-Clause */
/* Which keys still live: every file on the disk that holds one, and everything that the chip keeps. */
#include "tests/lab/real.h"

#include "backends/software/cert.h"
#include "backends/software/key.h"
#include "backends/tpm/tpm.h"
#include "backends/tpm/tss2file.h"
#include "tests/lab/succession.h"

#include <errno.h>
#include <fts.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define FILE_MAX 32768

struct search {
    struct lab_world *world;
    const char *spki; /* in hex */
    struct idm_settings settings;
    struct idm_tpm *tpm;
    bool lives;
};

static bool is_sought(const struct search *search, const struct idm_key_info *key)
{
    char text[2 * IDM_SHA256_SIZE + 1];

    idm_hex(key->spki, IDM_SHA256_SIZE, text);
    return strcmp(text, search->spki) == 0;
}

/* ---- the chip ---- */

static bool signs(const struct search *search, const struct idm_signer *signer)
{
    const uint8_t hash[IDM_SHA256_SIZE] = {1};
    struct idm_signature signature;

    return idm_tpm_sign(search->tpm, signer, IDM_SHA256, hash, &signature, NULL) == 0;
}

static int search_chip(struct search *search)
{
    uint32_t handles[IDM_TPM_PERSISTENT_MAX];
    struct idm_error error = {0};
    size_t count = 0;

    if (idm_tpm_persistent(search->tpm, handles, &count, &error) != 0)
        return idm_device_fail(&search->world->device, "list the chip's objects: %s", error.why);
    for (size_t i = 0; i < count && !search->lives; i++) {
        struct idm_tpm_object_info info;

        if (idm_tpm_object(search->tpm, handles[i], IDM_ROLE_DEVICE, &info, &error) != 0)
            return idm_device_fail(&search->world->device, "read 0x%x: %s", handles[i], error.why);
        search->lives = is_sought(search, &info.key);
    }
    return 0;
}

/* ---- files ---- */

/* Under the object that it names, and under each that idmode would use as its parent. */
static bool loads(const struct search *search, const struct idm_bytes *file,
                  const struct idm_tss2_info *info)
{
    const uint32_t parents[] = {info->parent, search->settings.parent_handle,
                                search->settings.srk_handle};
    struct idm_signer signer = {
        .kind = IDM_SIGNER_FILE, .key = file, .algorithm = info->key.algorithm};

    for (size_t i = 0; i < sizeof(parents) / sizeof(parents[0]); i++) {
        signer.handle = parents[i];
        if (signs(search, &signer))
            return true;
    }
    return false;
}

/* The key file in an envelope (engine/act_seal.c): a label, its size in 4 bytes, its bytes. */
static bool holds(const struct search *search, const struct idm_bytes *plain)
{
    static const char label[] = "idmode legacy pair v1\n";
    const size_t head = sizeof(label) - 1 + 4;
    _cleanup_bytes_ struct idm_bytes file = {0};
    struct idm_key_info key;
    size_t size = 0;

    if (plain->size < head || memcmp(plain->data, label, sizeof(label) - 1) != 0)
        return false;
    for (size_t i = 0; i < 4; i++)
        size |= (size_t)plain->data[sizeof(label) - 1 + i] << (8 * i);
    return size <= plain->size - head && idm_bytes_set(&file, plain->data + head, size) == 0 &&
           idm_key_inspect(&file, &key, NULL) == 0 && is_sought(search, &key);
}

static bool opens(const struct search *search, const struct idm_bytes *envelope)
{
    _cleanup_bytes_ struct idm_bytes plain = {0};

    return idm_tpm_unseal(search->tpm, search->settings.parent_handle, NULL, envelope, &plain,
                          NULL) == 0 &&
           holds(search, &plain);
}

static void search_file(struct search *search, const char *path, size_t size)
{
    _cleanup_bytes_ struct idm_bytes bytes = {0};
    struct idm_tss2_info tss2;
    struct idm_key_info key;
    uint8_t content[FILE_MAX];
    FILE *file = fopen(path, "re");
    size_t n;

    if (file == NULL)
        return;
    n = fread(content, 1, size < FILE_MAX ? size : FILE_MAX, file);
    fclose(file);
    if (idm_bytes_set(&bytes, content, n) != 0)
        return;
    if (idm_key_inspect(&bytes, &key, NULL) == 0)
        search->lives = is_sought(search, &key);
    else if (idm_tss2_inspect(&bytes, &tss2, NULL) == 0)
        search->lives = is_sought(search, &tss2.key) && loads(search, &bytes, &tss2);
    else
        search->lives = opens(search, &bytes);
}

static int search_tree(struct search *search, const char *path)
{
    char root[IDM_DEVICE_PATH_SIZE];
    char *const roots[] = {root, NULL};
    const FTSENT *found;
    FTS *tree;

    snprintf(root, sizeof(root), "%s", path);
    tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    if (tree == NULL)
        return idm_device_fail(&search->world->device, "search %s: %s", path, strerror(errno));
    while (!search->lives && (found = fts_read(tree)) != NULL) {
        if (found->fts_info == FTS_F)
            search_file(search, found->fts_path, (size_t)found->fts_statp->st_size);
    }
    fts_close(tree);
    return 0;
}

static int search_disk(struct search *search, bool snapshots)
{
    static const char *const places[] = {"config", "persist"};
    char path[IDM_DEVICE_PATH_SIZE];

    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        lab_real_disk_path(search->world, places[i], path);
        if (search_tree(search, path) != 0)
            return -1;
    }
    if (!snapshots)
        return 0;
    snprintf(path, sizeof(path), "%s/snapshots", search->world->device.base);
    return search_tree(search, path);
}

int lab_real_key_lives(struct lab_world *world, const char *spki, bool snapshots, bool *ret,
                       char error[LAB_SENTENCE_SIZE])
{
    struct search search = {.world = world, .spki = spki};
    struct idm_device *device = &world->device;
    int result = 0;

    /* The chip itself, whatever the scenario lets it answer. */
    idm_settings_default(&search.settings);
    snprintf(search.settings.tcti, sizeof(search.settings.tcti), "%s", device->tpm.tcti);
    if (lab_real_chip_runs(world) != 0 ||
        idm_tpm_open(&search.tpm, device->root, &search.settings, NULL) != 0)
        result = idm_device_fail(device, "the chip cannot be asked");
    if (result == 0)
        result = search_chip(&search);
    if (result == 0)
        result = search_disk(&search, snapshots);
    idm_tpm_free(search.tpm);
    if (result == 0)
        *ret = search.lives;
    else
        snprintf(error, LAB_SENTENCE_SIZE, "%.*s", (int)LAB_SENTENCE_SIZE - 1, device->error);
    return result;
}

/* ---- succession ---- */

/* The old certificate is in the config directory: a legacy image may boot. Where it is not, the fields must do. */
static bool signed_by_old(struct lab_world *world, const struct lab_identity *from,
                          const struct lab_succession *said)
{
    _cleanup_bytes_ struct idm_bytes pem = {0};
    struct idm_cert_info info = {0};
    EVP_PKEY *key = NULL;
    char text[LAB_HEX_SIZE];
    char *data = NULL;
    size_t size = 0;
    bool good = true;

    if (!idm_device_exists(&world->device, "/config/device.cert.pem") ||
        idm_device_read(&world->device, "/config/device.cert.pem", &data, &size) != 0)
        return true;
    if (idm_bytes_set(&pem, data, size) == 0 &&
        idm_cert_read(&pem, NULL, 0, &info, &key, NULL) == 0) {
        idm_hex(info.sha256, sizeof(info.sha256), text);
        good = strcmp(text, from->cert) != 0 ||
               idm_public_verify(key, IDM_SHA256, said->hash, &said->signature, NULL) == 0;
    }
    EVP_PKEY_free(key);
    free(data);
    return good;
}

int lab_real_succession(struct lab_world *world, const struct lab_identity *from,
                        const struct lab_identity *to, int64_t epoch, bool *ret,
                        char error[LAB_SENTENCE_SIZE])
{
    static const char path[] = "/run/idmode/statement.json";
    struct lab_succession said;
    char *data = NULL;
    size_t size = 0;

    *ret = false;
    if (!idm_device_exists(&world->device, path))
        return 0;
    if (idm_device_read(&world->device, path, &data, &size) != 0) {
        snprintf(error, LAB_SENTENCE_SIZE, "read %s", path);
        return -1;
    }
    *ret = lab_succession_says(data, size, from, to, epoch, &said) &&
           signed_by_old(world, from, &said);
    free(data);
    return 0;
}
