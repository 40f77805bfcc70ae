/* SPDX-License-Identifier: BSD-2-Clause */
/* What agents read: the status document against its schema in every state, on the shipped programs and in
 * all scenarios; the report in EVE's words; metrics. */
#include "tests/life/life_device.h"

LIFE(agents_status);

#define YEAR_1970 1000000
#define SCHEMA    IDM_TEST_SOURCE_DIR "/share/idmode/status.schema.json"
#define VALIDATE  "/usr/bin/python3 " IDM_TEST_SOURCE_DIR "/tests/agents/status_documents.py " SCHEMA

/* The published document, the same in the words of each format, one line into $BASE/documents. */
static void note(const char *state, bool held)
{
    json_t *status;
    OK(idm_device_status(&device, &status));
    cr_assert_str_eq(status_text(status, NULL, "state"), state);
    cr_assert_eq(json_is_true(json_object_get(status, "held")), held, "%s", device.said);
    json_decref(status);
    shell(0, "jq -c . $ROOT/run/idmode/status.json >>documents;"
             "$IDMODE --root $ROOT status --json | jq -S . >said || [ $? = 3 ];"
             "jq -S . $ROOT/run/idmode/status.json | cmp said -;"
             "$IDMODE --root $ROOT status --format eve >eve || true;"
             "jq -s '.[0].HSMStatus == .[1].hsm_status and .[0].HSMInfo == .[1].hsm_info and"
             " (.[0] | keys) == [\"HSMInfo\", \"HSMStatus\"]' eve said | grep -q true;"
             "$IDMODE --root $ROOT status --format prometheus --out metrics || [ $? = 3 ];"
             "/usr/bin/python3 " IDM_TEST_SOURCE_DIR "/tests/agents/metrics.py metrics said");
}

static void documents_are_valid(const char *wanted)
{
    shell(0, VALIDATE " documents %s && rm documents", wanted);
}

static void cut_after(const char *action)
{
    idm_device_cut_begin(&device, 0, action);
}

static void cut_happened(void)
{
    cr_assert(device.was_cut);
    idm_device_cut_end(&device);
}

Test(agents_status, device_that_moves_to_its_tpm)
{
    open_software_device(NO_OTHER_SLOT "[identity]\nlegacy-key = seal\n", false);
    note("software", false);
    cr_assert_eq(RUN("migrate", "prepare"), 0);
    note("migrating", false);
    cr_assert_eq(RUN("migrate", "commit"), 0);
    note("tpm-dual", false);
    boot(0);
    boot(0);
    note("tpm", false);
    idm_swtpm_stop(&device.tpm);
    cr_assert_eq(RUN("boot"), 3);
    note("tpm", true);
    documents_are_valid("state=software state=migrating state=tpm-dual state=tpm state=tpm/held "
                        "hsm_status=ENABLED hsm_status=DISABLED legacy=sealed legacy=plain");
}

Test(agents_status, first_boot_and_reset_that_wait_for_a_clock)
{
    open_device(NULL);
    idm_device_clock(&device, YEAR_1970);
    boot(3);
    note("none", false);
    idm_device_clock_real(&device);
    cut_after("record_begin");
    OK(idm_device_boot(&device));
    cut_happened();
    idm_device_clock(&device, YEAR_1970);
    boot(3);
    note("blank", false);
    idm_device_clock_real(&device);
    boot(0);
    note("tpm-dual", false);

    cut_after("record_reset");
    cr_assert_eq(RUN("factory-reset", "--yes"), device.exit_code);
    cut_happened();
    idm_device_clock(&device, YEAR_1970);
    boot(3);
    note("resetting", false);
    idm_device_clock_real(&device);
    idm_swtpm_stop(&device.tpm);
    cr_assert_eq(RUN("boot"), 3);
    note("resetting", true);
    documents_are_valid("state=none state=blank state=resetting state=resetting/held mode=none "
                        "reason=clock reason=reset-incomplete");
}

Test(agents_status, device_whose_directory_is_missing_and_one_without_a_chip)
{
    open_device(&(struct idm_device_options){.without_tpm = true});
    shell(0, "mv $ROOT/config $ROOT/hidden; mkdir $ROOT/config;"
             " echo '/dev/nothing /config ext4 defaults 0 0' >$ROOT/etc/fstab");
    boot(3);
    note("none", true);
    shell(0, "rm -r $ROOT/config $ROOT/etc/fstab; mv $ROOT/hidden $ROOT/config");
    boot(0);
    note("software", false);
    documents_are_valid("state=none/held state=software hsm_status=NOTFOUND tpm=absent "
                        "reason=config-dir-unreadable");
}

/* Its key works and its certificate is lost, and making another one fails: nothing is held. */
Test(agents_status, device_whose_run_fails)
{
    open_device(&(struct idm_device_options){.without_tpm = true});
    boot(0);
    shell(0, ": >$ROOT/persist/idmode/legacy.cert.pem; : >$ROOT/config/device.cert.pem;"
             " mkdir -p $ROOT/persist/idmode/.legacy.cert.pem.tmp/in-the-way");
    boot(5);
    note("software", false);
    shell(0, "jq -e '.healthy == false and .error.code' $ROOT/run/idmode/status.json;"
             "grep -q -x 'idmode_error 1' metrics; grep -q -x 'idmode_healthy 0' metrics");
    documents_are_valid("mode=software/failed/nameless");
    shell(0, "rm -r $ROOT/persist/idmode/.legacy.cert.pem.tmp");
    boot(0);
    note("software", false);
    shell(0, "grep -q -x 'idmode_error 0' metrics; grep -q -x 'idmode_healthy 1' metrics");
}

/* The answer of a command has one member more. */
Test(agents_status, answers_of_commands_are_of_the_schema_too)
{
    open_device(&(struct idm_device_options){.without_tpm = true});
    shell(
        0,
        "$IDMODE --root $ROOT --tcti none boot --json | jq -c . >documents;"
        "$IDMODE --root $ROOT --tcti none migrate commit --json 2>/dev/null | jq -c . >>documents;"
        "[ $(wc -l <documents) = 2 ]; grep -q '\"request\"' documents");
    documents_are_valid("state=software");
    shell(1, VALIDATE " documents state=software 2>/dev/null; echo '{}' >documents; " VALIDATE
                      " documents >said");
}

/* Thousands of documents, some hundred kinds. */
Test(agents_status, every_scenario_publishes_what_the_schema_says)
{
    open_device(&(struct idm_device_options){.without_tpm = true});
    shell(0, "cd " IDM_TEST_SOURCE_DIR " && " IDM_TEST_BUILD_DIR
             "/bin/idmode-lab replay --status $BASE/documents tests/scenarios >/dev/null");
    documents_are_valid(
        "state=none state=none/held state=blank/held state=software state=software/held "
        "state=migrating state=migrating/held state=tpm-dual state=tpm-dual/held state=tpm "
        "state=tpm/held mode=none mode=software mode=tpm mode=unknown hsm_status=UNKNOWN "
        "hsm_status=NOTFOUND hsm_status=DISABLED hsm_status=ENABLED legacy=sealed "
        "reason=rolled-back reason=cloned reason=tpm-replaced reason=storage-full");
}

/* ---- metrics ---- */

Test(agents_status, metrics_before_anybody_decided)
{
    open_device(&(struct idm_device_options){.without_tpm = true});
    shell(3, "rc=0; $IDMODE --root $ROOT status --format prometheus >metrics || rc=$?;"
             "grep -q -x 'idmode_decided 0' metrics && grep -q -F 'mode=\"unknown\"} 1' metrics || "
             "exit 9;"
             "exit $rc");
}

/* The collector reads whenever it likes. */
Test(agents_status, file_of_metrics_is_replaced_as_a_whole)
{
    open_device(&(struct idm_device_options){.without_tpm = true});
    boot(0);
    shell(0, "echo old >m; ln m before; $IDMODE --root $ROOT status --format prometheus --out m;"
             "grep -q -x old before; grep -q -x 'idmode_decided 1' m; [ $(stat -c %%a m) = 644 ];"
             "[ -z \"$(find . -maxdepth 1 -name 'm.*')\" ]");
    shell(5, "$IDMODE --root $ROOT status --format prometheus --out none/m 2>said");
    shell(2, "$IDMODE --root $ROOT status --out m 2>said");
    shell(2, "$IDMODE --root $ROOT status --format protobuf 2>said");
    shell(2, "$IDMODE --root $ROOT status --json --format prometheus >said");
}
