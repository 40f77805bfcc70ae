/* SPDX-License-Identifier: BSD-2-Clause */
/* The status document says each reason, held and not, in words that share/idmode/status.schema.json knows; the
 * schema knows no others. Real devices do not come to all of them in a test. */
#include "engine/internal.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SCHEMA   IDM_TEST_SOURCE_DIR "/share/idmode/status.schema.json"
#define VALIDATE IDM_TEST_SOURCE_DIR "/tests/agents/status_documents.py"

static json_t *schema_words(const char *of)
{
    json_error_t err;
    json_t *schema = json_load_file(SCHEMA, 0, &err);
    cr_assert_not_null(schema, "%s", err.text);
    json_t *words = json_object_get(json_object_get(json_object_get(schema, "$defs"), of), "enum");
    cr_assert(json_is_array(words), "%s", of);
    json_incref(words);
    json_decref(schema);
    return words;
}

static bool has(const json_t *words, const char *word)
{
    for (size_t i = 0; i < json_array_size(words); i++)
        if (strcmp(json_string_value(json_array_get(words, i)), word) == 0)
            return true;
    return false;
}

Test(engine_document, schema_and_program_have_the_same_reasons_and_modes)
{
    json_t *reasons = schema_words("reason");
    json_t *modes = schema_words("mode");
    for (enum idm_reason r = IDM_R_none + 1; r < IDM_REASON_COUNT; r++)
        cr_expect(has(reasons, idm_reason_word(r)), "not in the schema: %s", idm_reason_word(r));
    cr_expect_eq(json_array_size(reasons), IDM_REASON_COUNT - 1);
    for (enum idm_mode m = IDM_MODE_UNKNOWN; m <= IDM_MODE_TPM; m++)
        cr_expect(has(modes, idm_mode_name(m)), "not in the schema: %s", idm_mode_name(m));
    json_decref(reasons);
    json_decref(modes);
}

/* One line. */
static void print_document(FILE *out, const struct idm_engine *e, const struct idm_outcome *o)
{
    char *text = idm_status_text(e, o, NULL);
    cr_assert_not_null(text);
    json_t *document = json_loads(text, 0, NULL);
    char *line = json_dumps(document, JSON_COMPACT);
    (void)fprintf(out, "%s\n", line);
    json_decref(document);
    free(line);
    free(text);
}

static void print_documents(FILE *out, struct idm_engine *e)
{
    for (enum idm_reason r = IDM_R_none + 1; r < IDM_REASON_COUNT; r++) {
        struct idm_outcome o = {.reasons = UINT64_C(1) << r,
                                .last_event = IDM_EV_settled,
                                .chip = IDM_CHIP_USABLE,
                                .mode = IDM_MODE_NONE};
        print_document(out, e, &o);
        o.held = true;
        o.held_for = r;
        o.mode = IDM_MODE_UNKNOWN;
        for (enum idm_state s = 0; s < IDM_STATE_COUNT; s++) {
            o.state = s;
            print_document(out, e, &o);
        }
    }
}

Test(engine_document, each_reason_makes_a_document_of_the_schema)
{
    static struct idm_settings settings;
    static struct idm_engine engine = {.settings = &settings};
    char documents[] = "/tmp/idm-documents-XXXXXX", command[4096], *at = command;
    int fd = mkstemp(documents);
    cr_assert_geq(fd, 0);
    FILE *out = fdopen(fd, "w");
    idm_settings_default(&settings);
    engine.platform.now = 1780000000;
    print_documents(out, &engine);
    cr_assert_eq(fclose(out), 0);
    at += snprintf(at, 1024, "/usr/bin/python3 %s %s %s >%s.said", VALIDATE, SCHEMA, documents,
                   documents);
    for (enum idm_reason r = IDM_R_none + 1; r < IDM_REASON_COUNT; r++)
        at += snprintf(at, 64, " reason=%s", idm_reason_word(r));
    for (enum idm_state s = 0; s < IDM_STATE_COUNT; s++)
        at += snprintf(at, 64, " state=%s/held", idm_state_name(s));
    (void)snprintf(at, 128, " || { cat %s.said >&2; exit 1; }", documents);
    cr_expect_eq(system(command), 0, "%s", command); /* NOLINT(cert-env33-c): a test */
    (void)snprintf(command, sizeof command, "%s.said", documents);
    (void)unlink(command);
    (void)unlink(documents);
}
