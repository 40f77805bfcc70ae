/* SPDX-License-Identifier: BSD-2-Clause */
/* store.c - devices and open challenges. Each statement is prepared, bound, stepped, dropped. */
#include "examples/control-plane/control_plane.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const char schema[] =
    "PRAGMA journal_mode = WAL; PRAGMA secure_delete = ON;"
    "CREATE TABLE IF NOT EXISTS devices (name TEXT PRIMARY KEY, ek TEXT UNIQUE,"
    " ak TEXT, certificate BLOB NOT NULL UNIQUE, epoch INTEGER NOT NULL,"
    " counter INTEGER NOT NULL);"
    "CREATE TABLE IF NOT EXISTS sessions (id TEXT PRIMARY KEY, device TEXT NOT NULL,"
    " challenge BLOB NOT NULL, ends INTEGER NOT NULL);";

int cp_store_open(struct cp *cp, const char *path)
{
    if (sqlite3_open_v2(path, &cp->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) !=
            SQLITE_OK ||
        sqlite3_exec(cp->db, schema, NULL, NULL, NULL) != SQLITE_OK) {
        (void)fprintf(stderr, "control-plane: %s: %s\n", path, sqlite3_errmsg(cp->db));
        cp_store_close(cp);
        return IDM_E_STORAGE;
    }
    return 0;
}

void cp_store_close(struct cp *cp)
{
    (void)sqlite3_close(cp->db);
    cp->db = NULL;
}

void cp_device_free(struct cp_device *device)
{
    idm_bytes_free(&device->certificate);
}

/* A statement with its parameters, by letter: t text, i number, b struct idm_bytes. NULL: it failed. */
static sqlite3_stmt *prepare(struct cp *cp, const char *sql, const char *kinds, ...)
{
    sqlite3_stmt *statement = NULL;
    va_list args;
    int rc = sqlite3_prepare_v2(cp->db, sql, -1, &statement, NULL);
    va_start(args, kinds);
    for (int i = 0; rc == SQLITE_OK && kinds[i]; i++) {
        if (kinds[i] == 't') {
            rc = sqlite3_bind_text(statement, i + 1, va_arg(args, const char *), -1,
                                   SQLITE_TRANSIENT);
        } else if (kinds[i] == 'i') {
            rc = sqlite3_bind_int64(statement, i + 1, va_arg(args, sqlite3_int64));
        } else {
            const struct idm_bytes *bytes = va_arg(args, const struct idm_bytes *);
            rc = sqlite3_bind_blob(statement, i + 1, bytes->data, (int)bytes->size,
                                   SQLITE_TRANSIENT);
        }
    }
    va_end(args);
    if (rc == SQLITE_OK)
        return statement;
    (void)sqlite3_finalize(statement);
    return NULL;
}

/* Runs a statement that returns no row. MISMATCH: a UNIQUE stands against it. */
static int run(sqlite3_stmt *statement)
{
    int rc = statement ? sqlite3_step(statement) : SQLITE_ERROR;
    (void)sqlite3_finalize(statement);
    if (rc == SQLITE_CONSTRAINT)
        return IDM_E_MISMATCH;
    return rc == SQLITE_DONE ? 0 : IDM_E_STORAGE;
}

static void copy_text(sqlite3_stmt *statement, int column, char *ret, size_t size)
{
    const unsigned char *text = sqlite3_column_text(statement, column);
    (void)snprintf(ret, size, "%s", text ? (const char *)text : "");
}

static int copy_blob(sqlite3_stmt *statement, int column, struct idm_bytes *ret)
{
    const void *data = sqlite3_column_blob(statement, column);
    return idm_bytes_set(ret, data, (size_t)sqlite3_column_bytes(statement, column));
}

/* ---- devices ---- */

static int take_device(sqlite3_stmt *statement, struct cp_device *ret)
{
    struct cp_device device = {0};
    int rc = statement ? sqlite3_step(statement) : SQLITE_ERROR;
    int result = rc == SQLITE_ROW ? 0 : rc == SQLITE_DONE ? IDM_E_ABSENT : IDM_E_STORAGE;
    if (result == 0) {
        copy_text(statement, 0, device.name, sizeof device.name);
        copy_text(statement, 1, device.ek, sizeof device.ek);
        copy_text(statement, 2, device.ak, sizeof device.ak);
        result = copy_blob(statement, 3, &device.certificate);
        device.epoch = (uint32_t)sqlite3_column_int64(statement, 4);
        device.counter = (uint64_t)sqlite3_column_int64(statement, 5);
    }
    if (result == 0)
        *ret = device;
    (void)sqlite3_finalize(statement);
    return result;
}

int cp_store_device(struct cp *cp, const char *name, struct cp_device *ret)
{
    return take_device(
        prepare(cp, "SELECT name, ek, ak, certificate, epoch, counter FROM devices WHERE name = ?",
                "t", name),
        ret);
}

int cp_store_device_of_ek(struct cp *cp, const char *ek, struct cp_device *ret)
{
    return take_device(
        prepare(cp, "SELECT name, ek, ak, certificate, epoch, counter FROM devices WHERE ek = ?",
                "t", ek),
        ret);
}

int cp_store_put(struct cp *cp, const struct cp_device *device)
{
    return run(prepare(cp,
                       "INSERT INTO devices VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE "
                       "SET ek = excluded.ek, ak = excluded.ak, certificate = excluded.certificate,"
                       " epoch = excluded.epoch, counter = excluded.counter",
                       "tttbii", device->name, device->ek, device->ak, &device->certificate,
                       (sqlite3_int64)device->epoch, (sqlite3_int64)device->counter));
}

int cp_store_register(struct cp *cp, const char *name, const struct idm_bytes *certificate)
{
    return run(prepare(cp, "INSERT INTO devices VALUES (?, NULL, NULL, ?, 0, 0)", "tb", name,
                       certificate));
}

int cp_store_forget(struct cp *cp, const char *name)
{
    int result = run(prepare(cp, "DELETE FROM devices WHERE name = ?", "t", name));
    return result == 0 && sqlite3_changes(cp->db) == 0 ? IDM_E_ABSENT : result;
}

json_t *cp_store_list(struct cp *cp)
{
    json_t *list = json_array();
    sqlite3_stmt *statement =
        prepare(cp, "SELECT name, epoch, counter FROM devices ORDER BY name", "");
    int rc = SQLITE_ERROR;
    while (statement && (rc = sqlite3_step(statement)) == SQLITE_ROW)
        (void)json_array_append_new(
            list, json_pack("{s:s, s:I, s:I}", "name", sqlite3_column_text(statement, 0), "epoch",
                            (json_int_t)sqlite3_column_int64(statement, 1), "counter",
                            (json_int_t)sqlite3_column_int64(statement, 2)));
    (void)sqlite3_finalize(statement);
    if (rc == SQLITE_DONE)
        return json_pack("{s:o}", "devices", list);
    json_decref(list);
    return NULL;
}

/* ---- sessions ---- */

static int count_sessions(struct cp *cp, sqlite3_int64 now, sqlite3_int64 *ret)
{
    int result = run(prepare(cp, "DELETE FROM sessions WHERE ends <= ?", "i", now));
    sqlite3_stmt *statement = result == 0 ? prepare(cp, "SELECT count(*) FROM sessions", "") : NULL;
    bool good = statement && sqlite3_step(statement) == SQLITE_ROW;
    *ret = good ? sqlite3_column_int64(statement, 0) : 0;
    (void)sqlite3_finalize(statement);
    return good ? 0 : IDM_E_STORAGE;
}

int cp_store_open_session(struct cp *cp, const char *id, const char *device,
                          const struct idm_bytes *challenge)
{
    sqlite3_int64 now = time(NULL);
    sqlite3_int64 open = 0;
    int result = count_sessions(cp, now, &open);
    if (result == 0 && open >= CP_SESSIONS_MAX)
        return IDM_E_FULL;
    return result ? result
                  : run(prepare(cp, "INSERT INTO sessions VALUES (?, ?, ?, ?)", "ttbi", id, device,
                                challenge, now + CP_SESSION_S));
}

int cp_store_take_session(struct cp *cp, const char *id, char ret_device[CP_NAME_SIZE],
                          struct idm_bytes *ret_challenge)
{
    sqlite3_stmt *statement =
        prepare(cp, "DELETE FROM sessions WHERE id = ? RETURNING device, challenge, ends", "t", id);
    int rc = statement ? sqlite3_step(statement) : SQLITE_ERROR;
    int result = rc == SQLITE_ROW ? 0 : rc == SQLITE_DONE ? IDM_E_ABSENT : IDM_E_STORAGE;
    if (result == 0 && sqlite3_column_int64(statement, 2) <= time(NULL))
        result = IDM_E_ABSENT;
    if (result == 0) {
        copy_text(statement, 0, ret_device, CP_NAME_SIZE);
        result = copy_blob(statement, 1, ret_challenge);
    }
    /* The row is gone once the statement has come to its end. */
    if (rc == SQLITE_ROW && sqlite3_step(statement) != SQLITE_DONE)
        result = IDM_E_STORAGE;
    (void)sqlite3_finalize(statement);
    return result;
}
