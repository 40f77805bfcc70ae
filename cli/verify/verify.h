/* SPDX-License-Identifier: BSD-2-Clause */
/* verify.h - what the commands of idmode-verify share: words of the command line, files, what is said. */
#ifndef IDM_CLI_VERIFY_VERIFY_H
#define IDM_CLI_VERIFY_VERIFY_H

#include "verify/enrol.h"
#include "verify/evidence.h"

#include <jansson.h>

enum { /* exit codes, as those of idmode */
       IDM_VERIFY_PROVEN = 0,
       IDM_VERIFY_REFUSED = 1,
       IDM_VERIFY_USAGE = 2,
       IDM_VERIFY_FAILED = 5,
};

struct idm_verify_options {
    bool json, quiet, help, version;
    /* of single commands; NULL: not given */
    const char *roots, *intermediates, *ek, *ak, *name, *template, *nonce, *secret, *credential,
        *min_epoch, *pcrs, *succeeds;
    bool without_counter, adopted;
    const char *command, *file; /* file NULL: stdin */
    unsigned int given;         /* bit per option of a single command */
};

/* False after a message on stderr: usage. Borrows argv, which getopt may permute. */
bool idm_verify_parse(struct idm_verify_options *ret, int argc, char **argv);

typedef int (*idm_verify_fn)(const struct idm_verify_options *options);
int idm_verify_ek(const struct idm_verify_options *options);
int idm_verify_challenge(const struct idm_verify_options *options);
int idm_verify_evidence(const struct idm_verify_options *options);
int idm_verify_make_credential(const struct idm_verify_options *options);
int idm_verify_quote(const struct idm_verify_options *options);
int idm_verify_certify(const struct idm_verify_options *options);

/* ---- files ---- */

/* A whole file, or stdin where path is NULL. UNREADABLE; USAGE: larger than IDM_BYTES_MAX; MEMORY. The caller
 * wipes and frees. */
int idm_verify_read(const char *path, struct idm_bytes *ret, struct idm_error *err) IDM_NODISCARD;
/* A new file, 0600; an existing one is never written to. STORAGE. */
int idm_verify_write(const char *path, const struct idm_bytes *bytes,
                     struct idm_error *err) IDM_NODISCARD;

/* ---- what the options name ---- */

/* Roots and intermediates of --roots, --intermediates. */
int idm_verify_trust(const struct idm_verify_options *options, struct idm_ek_trust *ret,
                     struct idm_error *err) IDM_NODISCARD;
/* The public area in FILE: an idmode-ek document (the EK of --template, else the first that fits its
 * certificate, else the first), or a TPM2B_PUBLIC. REFUSED with *refused filled. */
int idm_verify_ek_area(const struct idm_verify_options *options, TPM2B_PUBLIC *ret,
                       struct idm_error *err, struct idm_refused *refused) IDM_NODISCARD;
/* What --secret and --ak say about the AK, and --nonce about the question: secret a challenge file or the
 * bare secret. *ret owns nonce and secret. USAGE when they do not say enough, or contradict each other. */
int idm_verify_question(const struct idm_verify_options *options, struct idm_challenge *ret,
                        struct idm_error *err) IDM_NODISCARD;
/* The Name of the AK in FILE: an idmode-ak document, or a TPM2B_PUBLIC. */
int idm_verify_ak_name(const char *path, TPM2B_NAME *ret, struct idm_error *err) IDM_NODISCARD;

/* ---- what is said ---- */

/* An error: its exit code. */
int idm_verify_say_error(const struct idm_verify_options *options, const struct idm_error *err);
/* A refusal: exit code 1. */
int idm_verify_say_refused(const struct idm_verify_options *options,
                           const struct idm_refused *refused);
/* rc of a check that is not 0: a refusal, or something that failed. */
int idm_verify_say_result(const struct idm_verify_options *options, int rc,
                          const struct idm_refused *refused);
/* Prints and frees. */
void idm_verify_say_json(json_t *object);
/* Bytes, at most a Name, as a JSON text in hex. */
json_t *idm_verify_hex(const void *data, size_t size);
json_t *idm_verify_pcrs_json(const struct idm_pcrs *pcrs);
void idm_verify_say_pcrs(const struct idm_pcrs *pcrs);

#endif
