/* SPDX-License-Identifier: BSD-2-Clause */
/* quick.c - what the simulated world computes once for many runs. Linked into idmode-lab alone, by
 * --wrap (tests/CMakeLists.txt); the shipped programs and all other tests have the functions as they
 * are.
 *
 *     idm_sha256, idm_record_decode   pure: for the same bytes, compared to the last one, the answer
 *                                     that the function itself gave before
 *     idm_status_text                 composed in one run of so many, where nobody reads it
 *
 * Not thread-safe. */
#include "engine/internal.h"
#include "tests/lab/keep_status.h"
#include "tests/lab/sim_parts.h"

#include <stdlib.h>
#include <string.h>

/* ---- answers that were given before ---- */

#define ENTRIES       256u /* the runs of one step and of its recoveries */
#define SIZE_MAX_KEPT 4096u

/* wyhash's idea (multiply and fold), eight bytes a step; a collision costs time, never truth. */
static uint64_t mix(uint64_t a, uint64_t b)
{
    __extension__ unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t hash_bytes(const uint8_t *at, size_t size)
{
    uint64_t hash = size * UINT64_C(0x9e3779b97f4a7c15);
    uint64_t a = 0, b = 0;
    for (; size >= 16; at += 16, size -= 16) {
        memcpy(&a, at, sizeof a);
        memcpy(&b, at + 8, sizeof b);
        hash = mix(a ^ hash, b ^ UINT64_C(0xe7037ed1a0b428db));
    }
    a = b = 0;
    memcpy(&a, at, size < 8 ? size : 8);
    if (size > 8)
        memcpy(&b, at + 8, size - 8);
    return mix(a ^ hash, b ^ UINT64_C(0x8ebc6af09c88c6e3));
}

struct kept {
    size_t size, room;
    uint8_t *bytes; /* NULL: an empty place */
};

static bool same(const struct kept *kept, const void *bytes, size_t size)
{
    return kept->bytes && kept->size == size && memcmp(kept->bytes, bytes, size) == 0;
}

/* False without memory: then nothing is kept there. */
static bool keep(struct kept *kept, const void *bytes, size_t size)
{
    if (size > kept->room || !kept->bytes) {
        free(kept->bytes);
        kept->room = size + 1;
        kept->bytes = malloc(kept->room);
    }
    kept->size = size;
    if (!kept->bytes)
        kept->room = 0;
    else
        memcpy(kept->bytes, bytes, size);
    return kept->bytes;
}

int __real_idm_sha256(const void *data, size_t size, uint8_t ret_hash[IDM_SHA256_SIZE]);
int __wrap_idm_sha256(const void *data, size_t size, uint8_t ret_hash[IDM_SHA256_SIZE]);

int __wrap_idm_sha256(const void *data, size_t size, uint8_t ret_hash[IDM_SHA256_SIZE])
{
    static struct digest {
        struct kept of;
        uint8_t hash[IDM_SHA256_SIZE];
    } digests[ENTRIES];
    if (size > SIZE_MAX_KEPT)
        return __real_idm_sha256(data, size, ret_hash);
    struct digest *d = &digests[hash_bytes(data, size) % ENTRIES];
    if (!same(&d->of, data, size)) {
        int rc = __real_idm_sha256(data, size, d->hash);
        if (rc || !keep(&d->of, data, size)) {
            free(d->of.bytes);
            d->of = (struct kept){0};
            return rc ? rc : __real_idm_sha256(data, size, ret_hash);
        }
    }
    memcpy(ret_hash, d->hash, IDM_SHA256_SIZE);
    return 0;
}

int __real_idm_record_decode(const void *bytes, size_t size, struct idm_record *ret);
int __wrap_idm_record_decode(const void *bytes, size_t size, struct idm_record *ret);

int __wrap_idm_record_decode(const void *bytes, size_t size, struct idm_record *ret)
{
    static struct decoded {
        struct kept of;
        int rc;
        struct idm_record record;
    } decoded[ENTRIES];
    if (size > SIZE_MAX_KEPT)
        return __real_idm_record_decode(bytes, size, ret);
    struct decoded *d = &decoded[hash_bytes(bytes, size) % ENTRIES];
    if (!same(&d->of, bytes, size)) {
        d->rc = __real_idm_record_decode(bytes, size, &d->record);
        if (!keep(&d->of, bytes, size))
            return __real_idm_record_decode(bytes, size, ret);
    }
    if (d->rc == 0)
        *ret = d->record;
    return d->rc;
}

/* ---- what nobody reads ---- */

#define COMPOSED 64u /* one run of so many */

char *__real_idm_status_text(const struct idm_engine *e, const struct idm_outcome *outcome,
                             const struct idm_cert_info *identity);
char *__wrap_idm_status_text(const struct idm_engine *e, const struct idm_outcome *outcome,
                             const struct idm_cert_info *identity);

char *__wrap_idm_status_text(const struct idm_engine *e, const struct idm_outcome *outcome,
                             const struct idm_cert_info *identity)
{
    static unsigned int runs;
    bool composed = !lab_sim_unread || lab_keeps_status() || runs++ % COMPOSED == 0;
    return composed ? __real_idm_status_text(e, outcome, identity) : strdup("{}");
}
