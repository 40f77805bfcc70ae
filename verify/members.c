/* SPDX-License-Identifier: BSD-2-Clause */
#include "verify/members.h"

#include "verify/pcrs.h"
#include "verify/text.h"

#include <string.h>

static const char what[] = "read the document";

static int corrupt(struct idm_error *err, const char *name, const char *why)
{
    return idm_fail(err, IDM_E_CORRUPT, what, "\"%.40s\": %s", name, why);
}

int idm_members_load(const struct idm_bytes *text, json_t **ret, struct idm_error *err)
{
    json_error_t error;
    if (text->size == 0 || text->size > IDM_BYTES_MAX)
        return idm_fail(err, IDM_E_CORRUPT, what, "it is empty, or larger than %u bytes",
                        IDM_BYTES_MAX);
    json_t *object =
        json_loadb((const char *)text->data, text->size, JSON_REJECT_DUPLICATES, &error);
    if (!object)
        return idm_fail(
            err, json_error_code(&error) == json_error_out_of_memory ? IDM_E_MEMORY : IDM_E_CORRUPT,
            what, "line %d, column %d: %.120s", error.line, error.column, error.text);
    if (!json_is_object(object)) {
        json_decref(object);
        return idm_fail(err, IDM_E_CORRUPT, what, "it is no JSON object");
    }
    *ret = object;
    return 0;
}

/* 1 to 32 of A-Z a-z 0-9 . _ -, not beginning with a dot; or empty. */
static bool is_service(const char *text)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t length = strlen(text);
    return length < IDM_SERVICE_SIZE && text[0] != '.' && strspn(text, letters) == length;
}

static int read_list(const json_t *value, struct idm_list *ret)
{
    size_t count = json_array_size(value);
    if (!json_is_array(value) || count > IDM_LIST_MAX)
        return IDM_E_CORRUPT;
    for (; ret->count < count; ret->count++) {
        const char *text = json_string_value(json_array_get(value, ret->count));
        int result = text ? idm_text_base64(text, &ret->item[ret->count]) : IDM_E_CORRUPT;
        if (result < 0)
            return result;
    }
    return 0;
}

static int read_hash(const char *text, uint8_t ret[IDM_SHA256_SIZE])
{
    _cleanup_bytes_ struct idm_bytes bytes = {0};
    int result = idm_text_hex(text, &bytes);
    if (result == 0 && bytes.size != IDM_SHA256_SIZE)
        result = IDM_E_CORRUPT;
    if (result == 0)
        memcpy(ret, bytes.data, IDM_SHA256_SIZE);
    return result;
}

static int read_constant(const json_t *value, const char *is)
{
    const char *text = json_string_value(value);
    if (text)
        return strcmp(text, is) == 0 ? 0 : IDM_E_CORRUPT;
    return json_is_integer(value) && json_integer_value(value) == is[0] - '0' && !is[1]
               ? 0
               : IDM_E_CORRUPT;
}

/* Kinds whose value is a text. */
static int read_text(const struct idm_member *member, const char *text, void *field)
{
    switch ((int)member->kind) {
    case IDM_M_TEXT:
    case IDM_M_TEXT_NULL:
        return idm_bytes_set(field, text, strlen(text));
    case IDM_M_SERVICE:
        if (!is_service(text))
            return IDM_E_CORRUPT;
        memcpy(field, text, strlen(text) + 1);
        return 0;
    case IDM_M_HEX:
        return idm_text_hex(text, field);
    case IDM_M_HASH:
        return read_hash(text, field);
    case IDM_M_BASE64:
    case IDM_M_BASE64_NULL:
        return idm_text_base64(text, field);
    default:
        return IDM_E_CORRUPT;
    }
}

static int read_u32(const json_t *value, uint32_t *ret)
{
    json_int_t number = json_integer_value(value);
    if (!json_is_integer(value) || number < 0 || number > UINT32_MAX)
        return IDM_E_CORRUPT;
    *ret = (uint32_t)number;
    return 0;
}

static int read_member(const struct idm_member *member, const json_t *value, void *field)
{
    const char *text = json_string_value(value);
    enum idm_member_kind kind = member->kind;
    bool may_be_null = kind == IDM_M_TEXT_NULL || kind == IDM_M_BASE64_NULL ||
                       kind == IDM_M_LIST_NULL || kind == IDM_M_OBJECT_NULL;
    if (kind == IDM_M_CONSTANT)
        return read_constant(value, member->is);
    if (kind == IDM_M_IGNORED)
        return text || json_is_boolean(value) || json_is_null(value) ? 0 : IDM_E_CORRUPT;
    if (may_be_null && json_is_null(value))
        return 0;
    if (kind == IDM_M_BOOL && json_is_boolean(value)) {
        *(bool *)field = json_is_true(value);
        return 0;
    }
    if (kind == IDM_M_U32)
        return read_u32(value, field);
    if (kind == IDM_M_LIST || kind == IDM_M_LIST_NULL)
        return read_list(value, field);
    if (((kind == IDM_M_OBJECT || kind == IDM_M_OBJECT_NULL) && json_is_object(value)) ||
        (kind == IDM_M_ARRAY && json_is_array(value))) {
        *(const json_t **)field = value;
        return 0;
    }
    return text ? read_text(member, text, field) : IDM_E_CORRUPT;
}

int idm_members_read(const json_t *object, const struct idm_member *members, size_t count,
                     void *ret, struct idm_error *err)
{
    for (size_t i = 0; i < count; i++) {
        const json_t *value = json_object_get(object, members[i].name);
        if (!value)
            return corrupt(err, members[i].name, "it is missing");
        int result = read_member(&members[i], value, (char *)ret + members[i].offset);
        if (result == IDM_E_CORRUPT || result == IDM_E_USAGE)
            return corrupt(err, members[i].name, "it is not what it should be");
        if (result < 0)
            return idm_fail(err, result, what, "%s", idm_error_sentence(result));
    }
    /* All are there and none twice: another number of members means another one. */
    if (json_object_size(object) != count)
        return idm_fail(err, IDM_E_CORRUPT, what,
                        "a member that does not belong there, beside \"%s\"", members[0].name);
    return 0;
}

/* ---- PCRs ---- */

static int read_pcr(const char *number, const json_t *value, size_t size, struct idm_pcr_bank *bank)
{
    _cleanup_bytes_ struct idm_bytes bytes = {0};
    unsigned int pcr = IDM_PCRS;
    const char *text = json_string_value(value);
    if (!text || !idm_pcr_number(number, &pcr) || (bank->selected >> pcr & 1))
        return IDM_E_CORRUPT;
    int result = idm_text_hex(text, &bytes);
    if (result < 0)
        return result;
    if (bytes.size != size)
        return IDM_E_CORRUPT;
    memcpy(bank->value[pcr], bytes.data, size);
    bank->selected |= 1u << pcr;
    return 0;
}

int idm_members_pcrs(const json_t *object, struct idm_pcrs *ret, struct idm_error *err)
{
    const char *name = NULL;
    json_t *values = NULL;
    json_object_foreach((json_t *)object, name, values)
    {
        const char *number = NULL;
        json_t *value = NULL;
        size_t size = 0;
        TPM2_ALG_ID algorithm = idm_pcr_bank_of(name, &size);
        if (!algorithm || ret->count == IDM_PCR_BANKS || !json_object_size(values))
            return corrupt(err, "pcrs", "a bank is unknown or empty");
        struct idm_pcr_bank *bank = &ret->bank[ret->count++];
        bank->algorithm = algorithm;
        json_object_foreach(values, number, value)
        {
            int result = read_pcr(number, value, size, bank);
            if (result < 0)
                return corrupt(err, "pcrs", "a value is not what it should be");
        }
    }
    return 0;
}
