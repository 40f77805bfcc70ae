/* SPDX-License-Identifier: BSD-2-Clause */
/* The status document says each reason, held and not, in words that share/idmode/status.schema.json knows; the
 * schema knows no others. Real devices do not come to all of them in a test. */
#include "engine/internal.h"
#include "tests/sim/sim.h"

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

/* ---- documents, one a line, against the schema ---- */

static char documents[64];

static FILE *open_documents(void)
{
    (void)snprintf(documents, sizeof documents, "/tmp/idm-documents-XXXXXX");
    int fd = mkstemp(documents);
    cr_assert_geq(fd, 0);
    return fdopen(fd, "w");
}

/* Takes the file; `wanted`: what must be among them (tests/agents/status_documents.py). */
static void documents_are_valid(FILE *out, const char *wanted)
{
    char command[8192];
    cr_assert_eq(fclose(out), 0);
    (void)snprintf(command, sizeof command,
                   "/usr/bin/python3 %s %s %s %s >%s.said || { cat %s.said >&2; exit 1; }",
                   VALIDATE, SCHEMA, documents, wanted, documents, documents);
    cr_expect_eq(system(command), 0, "%s", command); /* NOLINT(cert-env33-c): a test */
    (void)snprintf(command, sizeof command, "%s.said", documents);
    (void)unlink(command);
    (void)unlink(documents);
}

static void print_line(FILE *out, const char *text, size_t size)
{
    json_t *document = json_loadb(text, size, 0, NULL);
    cr_assert_not_null(document);
    char *line = json_dumps(document, JSON_COMPACT);
    (void)fprintf(out, "%s\n", line);
    json_decref(document);
    free(line);
}

static void print_document(FILE *out, const struct idm_engine *e, const struct idm_outcome *o)
{
    char *text = idm_status_text(e, o, NULL);
    cr_assert_not_null(text);
    print_line(out, text, strlen(text));
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
    char wanted[4096], *at = wanted;
    FILE *out = open_documents();
    idm_settings_default(&settings);
    engine.platform.now = 1780000000;
    print_documents(out, &engine);
    for (enum idm_reason r = IDM_R_none + 1; r < IDM_REASON_COUNT; r++)
        at += snprintf(at, 64, " reason=%s", idm_reason_word(r));
    for (enum idm_state s = 0; s < IDM_STATE_COUNT; s++)
        at += snprintf(at, 64, " state=%s/held", idm_state_name(s));
    documents_are_valid(out, wanted);
}

/* ---- runs that fail ---- */

static void run_well(struct idm_sim *sim, enum idm_request_kind kind)
{
    struct idm_outcome outcome;
    struct idm_ask ask = {.kind = kind};
    cr_assert_eq(kind == IDM_REQ_BOOT ? idm_sim_boot(sim, &outcome)
                                      : idm_sim_run(sim, &ask, &outcome),
                 IDM_EXIT_DONE, "%s: %s", outcome.error.what, outcome.error.why);
    cr_assert_eq(outcome.error.code, 0);
}

/* A refusal is an answer, not a failure. */
static void refuse(FILE *out, const struct idm_sim *from, enum idm_request_kind kind)
{
    struct idm_sim sim = {0};
    struct idm_outcome outcome;
    struct idm_ask ask = {.kind = kind};
    idm_sim_copy(&sim, from);
    cr_assert_eq(idm_sim_run(&sim, &ask, &outcome), IDM_EXIT_REFUSED);
    cr_expect_eq(outcome.error.code, 0);
    cr_expect(idm_outcome_is_healthy(&outcome));
    const struct idm_bytes *text = idm_sim_file(&sim, IDM_F_RUN_STATUS);
    print_line(out, (const char *)text->data, text->size);
    idm_sim_free(&sim);
}

/* One run in which a call fails, or everything from it on. False: it has no such call. */
static bool fail_at(FILE *out, const struct idm_sim *from, enum idm_request_kind kind,
                    enum idm_sim_fault fault, unsigned long at)
{
    static const struct idm_target target = {.kind = IDM_SLOT_AWARE, .slot = "B", .id = "one"};
    struct idm_ask ask = {.kind = kind, .target = &target};
    struct idm_sim sim = {0};
    struct idm_outcome outcome;
    idm_sim_copy(&sim, from);
    idm_sim_power_cycle(&sim);
    idm_sim_arm(&sim, fault, at);
    enum idm_exit rc = idm_sim_run(&sim, kind == IDM_REQ_BOOT ? NULL : &ask, &outcome);
    bool hit = sim.fault_hit;
    const struct idm_bytes *text = idm_sim_file(&sim, IDM_F_RUN_STATUS);
    bool failed = rc == IDM_EXIT_FAILED && !outcome.refused[0];
    cr_expect_eq(failed, outcome.error.code != 0, "fault %d, call %lu: exit %d, error %s, %s",
                 (int)fault, at, (int)rc, outcome.error.what, outcome.error.why);
    if (text)
        print_line(out, (const char *)text->data, text->size);
    idm_sim_free(&sim);
    return hit;
}

static void fail_everywhere(FILE *out, const struct idm_sim *from, enum idm_request_kind kind)
{
    for (unsigned long at = 1; fail_at(out, from, kind, IDM_SIM_FAIL, at); at++)
        continue;
    for (unsigned long at = 1; fail_at(out, from, kind, IDM_SIM_FAIL_ON, at); at++)
        continue;
}

static void lose(FILE *out, const struct idm_sim *from, enum idm_file one, enum idm_file other)
{
    struct idm_sim sim = {0};
    idm_sim_copy(&sim, from);
    idm_sim_truncate(&sim, one, 0);
    idm_sim_truncate(&sim, other, 0);
    fail_everywhere(out, &sim, IDM_REQ_BOOT);
    idm_sim_free(&sim);
}

/* Real ones: what they publish says that they failed, calls nothing healthy and is of the schema. */
Test(engine_document, runs_that_fail_make_documents_of_the_schema, .timeout = 60)
{
    struct idm_sim sim = {0};
    FILE *out = open_documents();
    idm_sim_init(&sim);
    sim.settings.use = IDM_USE_NEVER;
    fail_everywhere(out, &sim, IDM_REQ_BOOT);
    run_well(&sim, IDM_REQ_BOOT);
    lose(out, &sim, IDM_F_PERSIST_CERT, IDM_F_CONFIG_CERT);
    sim.settings.use = IDM_USE_AUTO;
    run_well(&sim, IDM_REQ_BOOT);
    refuse(out, &sim, IDM_REQ_COMMIT);
    fail_everywhere(out, &sim, IDM_REQ_PREPARE);
    run_well(&sim, IDM_REQ_PREPARE);
    fail_everywhere(out, &sim, IDM_REQ_COMMIT);
    run_well(&sim, IDM_REQ_COMMIT);
    fail_everywhere(out, &sim, IDM_REQ_POST_INSTALL);
    lose(out, &sim, IDM_F_PERSIST_TPM_CERT, IDM_F_CONFIG_TPM_CERT);
    idm_sim_free(&sim);
    documents_are_valid(out, "mode=unknown/failed mode=unknown/failed/nameless "
                             "mode=software/failed mode=software/failed/nameless "
                             "mode=tpm/failed mode=tpm/failed/nameless");
}
