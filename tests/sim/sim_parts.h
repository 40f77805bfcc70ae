/* SPDX-License-Identifier: BSD-2-Clause */
/* sim_parts.h - what the files of the simulated device share. */
#ifndef IDM_TESTS_SIM_SIM_PARTS_H
#define IDM_TESTS_SIM_SIM_PARTS_H

#include "tests/sim/sim.h"

/* Numbers the call and gives its fault: 0 go on, or the code that the call returns. */
int idm_sim_asks(struct idm_sim *sim, int code);
/* The same for a call that changes something: *ret_last, it takes effect, then the power goes. */
int idm_sim_changes(struct idm_sim *sim, int code, bool *ret_last);
/* After the effect of a changing call: 0, or `code` when the power went. */
int idm_sim_changed(struct idm_sim *sim, int code, bool last);

/* After each primitive effect: does the device still run? */
bool idm_sim_effect(struct idm_sim *sim);

struct idm_sim_blob *idm_sim_blob_make(const void *data, size_t size); /* aborts without memory */
struct idm_sim_blob *idm_sim_blob_hold(struct idm_sim_blob *blob);     /* NULL is fine */
void idm_sim_blob_drop(struct idm_sim_blob **blob);
/* Drops what is there; takes `blob`, which may be NULL. */
void idm_sim_blob_replace(struct idm_sim_blob **at, struct idm_sim_blob *blob);
/* Takes pending effect i as done. */
void idm_sim_forget(struct idm_sim *sim, size_t i);
/* The directory that holds ours: config or persist. */
enum idm_place idm_sim_above(enum idm_place place);
/* config, persist or run */
enum idm_place idm_sim_base(enum idm_file file);
/* After a struct copy: its files are held once more. */
void idm_sim_files_copy(struct idm_sim *to);
void idm_sim_files_free(struct idm_sim *sim);

/* What a power cycle does to the chip. */
void idm_sim_chip_reset(struct idm_sim *sim);

uint32_t idm_sim_new_id(struct idm_sim *sim);
void idm_sim_name(const char *kind, uint32_t id, uint8_t ret[IDM_NAME_SIZE]);
struct idm_key_info idm_sim_key_info(uint32_t id);
void idm_sim_cert_hash(uint32_t id, uint8_t ret[IDM_SHA256_SIZE]);
/* printf into *ret. */
int idm_sim_text(struct idm_bytes *ret, const char *format, ...) IDM_PRINTF(2, 3);

uint32_t idm_sim_parse_key(const struct idm_bytes *bytes);
bool idm_sim_parse_cert(const struct idm_bytes *bytes, uint32_t *ret_cert, uint32_t *ret_key,
                        int64_t *ret_from, int64_t *ret_to);
/* TSS2 file: its key and the parent object that it needs. */
bool idm_sim_parse_tss2(const struct idm_bytes *bytes, uint32_t *ret_key, uint32_t *ret_under);
#define IDM_SIM_SEAL "END\n"
/* A whole envelope: the parent object that it needs, and what is in it, in the clear, up to the seal. */
bool idm_sim_parse_envelope(const struct idm_bytes *bytes, uint32_t *ret_under,
                            const char **ret_plain);
/* Is there an object under which a key or an envelope with that parent loads? */
bool idm_sim_parent_lives(const struct idm_sim *sim, uint32_t under);
bool idm_sim_is_imported(const struct idm_bytes *tss2);
/* The key that signs, or the code that the TPM gives. */
int idm_sim_tpm_signer(struct idm_sim *sim, const struct idm_signer *signer, uint32_t *ret_key);

void idm_sim_files(struct idm_backends *backends);
void idm_sim_keys(struct idm_backends *backends);
void idm_sim_tpm(struct idm_backends *backends);

#endif
