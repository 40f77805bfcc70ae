/* SPDX-License-Identifier: BSD-2-Clause */
/* verify_note.h - what a simulated file says, read once for each blob: its words without what only names
 * a key or tells the time, and the keys in order. verify_state.c makes a place's value of it. */
#ifndef IDM_TESTS_LAB_VERIFY_NOTE_H
#define IDM_TESTS_LAB_VERIFY_NOTE_H

#include "tests/lab/sim_parts.h"

#define VERIFY_NOTED_MAX 32u /* a record names 25 keys and certificates at most */

struct verify_noted {
    uint64_t words; /* hash of everything but what follows */
    uint32_t count;
    uint32_t ids[VERIFY_NOTED_MAX]; /* numbers of keys and certificates, in order; 0: none there */
    /* A key file, a TSS2 file or an envelope, whole: the key that it holds, and what it needs. */
    uint32_t key, under;
    /* A history: of the newest entry and of all; a statement: its own. 0: none. */
    int64_t last_epoch, highest_epoch;
    bool is_record;
    struct idm_record record[]; /* one, or none */
};

/* Borrowed from the blob, which is always this file's. All numbers in it must be known. */
const struct verify_noted *verify_note(enum idm_file file, struct idm_sim_blob *blob);

/* Names and hashes of all keys and certificates with a number below `next` can be told from now on. */
void verify_know(uint32_t next);
/* The number behind the first bytes of a Name's digest, an SPKI's or a certificate's hash; 0: nobody's. */
uint32_t verify_known(const uint8_t *digest);

/* 64 hex digits. */
bool verify_read_hex(const char *hex, uint8_t ret_hash[IDM_SHA256_SIZE]);

/* Of splitmix64 (Steele, Lea, Flood 2014, figure 16). */
static inline uint64_t verify_mix(uint64_t hash, uint64_t value)
{
    uint64_t z = (hash ^ value) + UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint64_t verify_mix_bytes(uint64_t hash, const void *data, size_t size);

#endif
