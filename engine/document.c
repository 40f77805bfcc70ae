/* SPDX-License-Identifier: BSD-2-Clause */
/* document.c - the status document: what the rest of the system reads as /run/idmode/status.json. */
#include "engine/internal.h"

#include <jansson.h>
#include <stdio.h>
#include <time.h>

static json_t *hex_or_null(const uint8_t *data, size_t size)
{
    char text[2 * IDM_NAME_SIZE + 1];
    if (idm_all_zero(data, size))
        return json_null();
    idm_hex(data, size, text);
    return json_string(text);
}

static json_t *time_or_null(int64_t seconds)
{
    char text[32];
    struct tm tm;
    time_t when = (time_t)seconds;
    if (seconds <= 0 || !gmtime_r(&when, &tm))
        return json_null();
    (void)strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    return json_string(text);
}

static json_t *text_or_null(const char *text)
{
    return text && text[0] ? json_string(text) : json_null();
}

/* ---- parts of the document ---- */

static json_t *reasons_json(uint64_t reasons)
{
    json_t *list = json_array();
    for (unsigned int i = 1; i < IDM_REASON_COUNT; i++)
        if (reasons >> i & 1)
            (void)json_array_append_new(list, json_string(idm_reason_word((enum idm_reason)i)));
    return list;
}

static json_t *change_json(const struct idm_record *r)
{
    if (!r->epoch)
        return json_null();
    return json_pack("{s:i, s:s, s:o, s:o}", "epoch", (int)r->epoch, "why", r->change_why, "at",
                     time_or_null(r->change_at), "previous_cert_sha256",
                     hex_or_null(r->change_previous, IDM_SHA256_SIZE));
}

static json_t *identity_json(const struct idm_engine *e, const struct idm_cert_info *info)
{
    if (!info)
        return json_null();
    return json_pack("{s:o, s:o, s:s, s:o, s:o, s:s, s:s, s:s, s:b}", "cert_sha256",
                     hex_or_null(info->sha256, IDM_SHA256_SIZE), "spki_sha256",
                     hex_or_null(info->spki, IDM_SHA256_SIZE), "subject", info->subject,
                     "not_before", time_or_null(info->not_before), "not_after",
                     time_or_null(info->not_after), "cert_path", "/run/idmode/device.cert.pem",
                     "key_path", "/run/idmode/device.key.pem", "key_uri", "idmode:", "imported",
                     (int)(idm_record_active(&e->record) == IDM_ACTIVE_TPM &&
                           e->record.origin & IDM_KEY_IMPORTED));
}

static const char *legacy_storage(const struct idm_engine *e)
{
    if (idm_good_software_key(e) && !idm_all_zero(e->record.software_spki, IDM_SHA256_SIZE))
        return "plain";
    return e->record.seal != IDM_SEAL_NONE ? "sealed" : "none";
}

static json_t *legacy_json(const struct idm_engine *e)
{
    const struct idm_record *r = &e->record;
    return json_pack("{s:s, s:b, s:o, s:o}", "storage", legacy_storage(e), "ever_plain",
                     (int)r->ever_plain, "cert_sha256",
                     hex_or_null(r->software_cert, IDM_SHA256_SIZE), "spki_sha256",
                     hex_or_null(r->software_spki, IDM_SHA256_SIZE));
}

static json_t *tpm_json(const struct idm_engine *e, const struct idm_outcome *o)
{
    const struct idm_record *r = &e->record;
    bool asked = e->facts.chip != IDM_CHIP_UNASKED;
    return json_pack("{s:s, s:o, s:o, s:o}", "status", idm_chip_name(o->chip), "checked_at",
                     asked ? time_or_null(e->platform.now) : json_null(), "manufacturer",
                     text_or_null(r->manufacturer), "firmware", text_or_null(r->firmware));
}

static json_t *image_json(const struct idm_engine *e)
{
    static const char *const aware[] = {[IDM_SLOT_UNKNOWN] = "unknown",
                                        [IDM_SLOT_LEGACY] = "no",
                                        [IDM_SLOT_AWARE] = "yes",
                                        [IDM_SLOT_EMPTY] = "no"};
    const struct idm_slot *other =
        e->images.other[0] ? idm_record_slot(&e->record, e->images.other) : NULL;
    enum idm_slot_kind kind = idm_other_kind(e);
    char format[16] = "unknown";
    if (kind == IDM_SLOT_LEGACY || kind == IDM_SLOT_EMPTY)
        (void)snprintf(format, sizeof format, "none");
    else if (kind == IDM_SLOT_AWARE && other && other->format)
        (void)snprintf(format, sizeof format, "%u", other->format);
    return json_pack("{s:o, s:o, s:s, s:o, s:s, s:s}", "slot", text_or_null(e->images.own),
                     "version", text_or_null(e->platform.image_version), "trial",
                     idm_tri_word(e->facts.trial), "other_slot", text_or_null(e->images.other),
                     "other_aware", aware[kind], "other_format", format);
}

static json_t *error_json(const struct idm_engine *e, const struct idm_error *err)
{
    if (!err->code)
        return json_null();
    return json_pack("{s:s, s:s, s:s, s:s, s:o}", "code", idm_error_name(err->code), "what",
                     err->what, "why", err->why, "do", err->todo, "at",
                     time_or_null(e->platform.now));
}

/* EVE's words: ENABLED the TPM signs, DISABLED it could but does not, NOTFOUND there is none, or use = never
 * and nobody looked. */
static const char *hsm_status(const struct idm_engine *e, const struct idm_outcome *o)
{
    if (o->mode == IDM_MODE_TPM)
        return "ENABLED";
    if (e->facts.chip == IDM_CHIP_NONE)
        return "NOTFOUND";
    return o->mode == IDM_MODE_SOFTWARE ? "DISABLED" : "UNKNOWN";
}

static void add_heading(json_t *doc, const struct idm_engine *e, const struct idm_outcome *o)
{
    bool imported = e->record.origin & IDM_KEY_IMPORTED;
    const char *info = o->mode == IDM_MODE_TPM && imported
                           ? "the TPM holds the identity; its key was imported"
                       : o->mode == IDM_MODE_TPM      ? "the TPM holds the identity"
                       : o->mode == IDM_MODE_SOFTWARE ? "a software key holds the identity"
                                                      : "no identity is in use";
    const char *maker = e->record.manufacturer;
    (void)json_object_set_new(doc, "hsm_status", json_string(hsm_status(e, o)));
    (void)json_object_set_new(doc, "hsm_info",
                              maker[0]
                                  ? json_sprintf("%s; TPM: %s %s", info, maker, e->record.firmware)
                                  : json_string(info));
}

static json_t *document(const struct idm_engine *e, const struct idm_outcome *o,
                        const struct idm_cert_info *identity)
{
    json_t *doc = json_pack(
        "{s:i, s:s, s:s, s:s, s:b, s:o, s:b, s:o, s:i, s:s, s:o, s:s, s:o}", "schema", 1, "mode",
        idm_mode_name(o->mode), "identity_mode", idm_mode_name(o->identity_mode), "state",
        idm_state_name(o->state), "held", (int)o->held, "held_for",
        text_or_null(o->held ? idm_reason_word(o->held_for) : NULL), "healthy",
        (int)idm_outcome_is_healthy(o), "reasons", reasons_json(o->reasons), "epoch", (int)o->epoch,
        "boot_id", e->platform.boot_id, "updated_at", time_or_null(e->platform.now), "last_event",
        idm_event_name(o->last_event), "last_change", change_json(&e->record));
    if (!doc)
        return NULL;
    (void)json_object_set_new(doc, "identity", identity_json(e, identity));
    (void)json_object_set_new(doc, "legacy", legacy_json(e));
    (void)json_object_set_new(doc, "tpm", tpm_json(e, o));
    add_heading(doc, e, o);
    (void)json_object_set_new(doc, "image", image_json(e));
    (void)json_object_set_new(doc, "error", error_json(e, &o->error));
    return doc;
}

char *idm_status_text(const struct idm_engine *e, const struct idm_outcome *o,
                      const struct idm_cert_info *identity)
{
    json_t *doc = document(e, o, identity);
    char *text = doc ? json_dumps(doc, JSON_INDENT(2)) : NULL;
    json_decref(doc);
    return text;
}
