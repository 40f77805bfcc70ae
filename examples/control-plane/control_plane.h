/* SPDX-License-Identifier: BSD-2-Clause */
/* control_plane.h - a small controller that believes chips, not disks: README.md is its protocol.
 *
 *     main.c   options, signals          http.c   requests and answers (libmicrohttpd)
 *     enrol.c  what is decided           store.c  what is remembered (SQLite)
 *
 * One thread serves all requests; nothing here is for two threads at once. */
#ifndef CONTROL_PLANE_H
#define CONTROL_PLANE_H

#include "verify/enrol.h"
#include "verify/evidence.h"

#include <jansson.h>
#include <sqlite3.h>

#define CP_NAME_SIZE    65u /* a device's name: 1 to 64 of A-Z a-z 0-9 . _ - */
#define CP_SESSION_SIZE 33u /* 16 random bytes in hex */
#define CP_SESSION_S    300 /* a challenge is open so long */
#define CP_SESSIONS_MAX 1000

struct cp {
    sqlite3 *db;
    struct idm_ek_trust trust;
};

/* What is known about a device. Names of TPM objects in hex, as in the database. */
struct cp_device {
    char name[CP_NAME_SIZE];
    char ek[2 * sizeof(TPM2B_NAME) + 1], ak[2 * sizeof(TPM2B_NAME) + 1];
    struct idm_bytes certificate; /* DER */
    uint32_t epoch;
    uint64_t counter;
};
void cp_device_free(struct cp_device *device);

/* ---- store.c: 0, or a negative code of backends/error.h ---- */

int cp_store_open(struct cp *cp, const char *path);
void cp_store_close(struct cp *cp);
/* ABSENT: nobody of that name, or with that EK. The caller frees *ret. */
int cp_store_device(struct cp *cp, const char *name, struct cp_device *ret);
int cp_store_device_of_ek(struct cp *cp, const char *ek, struct cp_device *ret);
/* Adds, or replaces the one of that name. MISMATCH: another device has that EK or that certificate. */
int cp_store_put(struct cp *cp, const struct cp_device *device);
/* A device that has no chip yet, known by its software key's certificate. MISMATCH: the name, or the
 * certificate, is taken. */
int cp_store_register(struct cp *cp, const char *name, const struct idm_bytes *certificate);
int cp_store_forget(struct cp *cp, const char *name);
json_t *cp_store_list(struct cp *cp); /* NULL: no memory, or the database failed */
/* A session is opened once and taken once: it is gone before its answer is judged. ABSENT: none, or too old;
 * FULL: CP_SESSIONS_MAX are open. */
int cp_store_open_session(struct cp *cp, const char *id, const char *device,
                          const struct idm_bytes *challenge);
int cp_store_take_session(struct cp *cp, const char *id, char ret_device[CP_NAME_SIZE],
                          struct idm_bytes *ret_challenge);

/* ---- enrol.c: HTTP status, *ret the JSON object of the answer ---- */

unsigned int cp_enrol(struct cp *cp, const struct idm_bytes *body, json_t **ret);
unsigned int cp_evidence(struct cp *cp, const char *session, const struct idm_bytes *body,
                         json_t **ret);

/* body: its certificate, PEM. */
unsigned int cp_register(struct cp *cp, const char *name, const struct idm_bytes *body,
                         json_t **ret);

/* ---- http.c ---- */

struct MHD_Daemon;
/* Listens on 127.0.0.1; port 0: a free one, told in *ret_port. NULL: it cannot. */
struct MHD_Daemon *cp_http_start(struct cp *cp, uint16_t port, uint16_t *ret_port);
void cp_http_stop(struct MHD_Daemon *daemon);

#endif
