/* SPDX-License-Identifier: BSD-2-Clause */
/* idmode-lab replay as its users meet it: files and directories, verdicts, reports, exit codes. */
#include "tests/support/run.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LAB IDM_TEST_BUILD_DIR "/bin/idmode-lab"

#define GOOD                                                                                       \
    "name: a first boot\nsteps:\n- boot:\n  expect: {mode: tpm}\n- label: born\n- boot:\n"         \
    "  expect: {identity: born}\n"
#define WRONG                                                                                      \
    "name: a <first> boot & \"more\"#1\nsteps:\n- nothing:\n- boot:\n  expect: {mode: "            \
    "software}\n"
#define ELSEWHERE "name: files\nworld: real\nwhy: only files have names\nsteps:\n- boot:\n"
#define BAD       "name: n\nsteps:\n- bot:\n"

static char dir[] = "/tmp/idmode-program-XXXXXX";

static void make_dir(void)
{
    cr_assert_not_null(mkdtemp(dir));
}

static void remove_dir(void)
{
    _cleanup_run_ struct idm_run run = {0};
    const char *const argv[] = {"rm", "-rf", "--", dir, NULL};
    cr_assert_eq(idm_run(&run, NULL, argv), 0);
}

TestSuite(lab_program, .init = make_dir, .fini = remove_dir, .timeout = 60);

static const char *below(const char *name)
{
    static char paths[4][128];
    static unsigned int next;
    char *path = paths[next++ % 4];
    (void)snprintf(path, sizeof paths[0], "%s/%s", dir, name);
    return path;
}

static const char *write_file(const char *name, const char *text)
{
    FILE *file = fopen(below(name), "we");
    cr_assert_not_null(file);
    cr_assert_geq(fputs(text, file), 0);
    cr_assert_eq(fclose(file), 0);
    return below(name);
}

static char *read_file(const char *name)
{
    FILE *file = fopen(below(name), "re");
    static char text[65536];
    cr_assert_not_null(file, "%s was not written", name);
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    (void)fclose(file);
    return text;
}

static void replay(struct idm_run *ret, int exit_code, const char *a, const char *b, const char *c,
                   const char *d)
{
    const char *const argv[] = {LAB, "replay", a, b, c, d, NULL};
    cr_assert_eq(idm_run(ret, NULL, argv), 0);
    cr_expect_eq(ret->exit_code, exit_code, "exit %d\n%s%s", ret->exit_code, ret->out, ret->err);
}

static void ends_with(const char *text, const char *end)
{
    size_t length = strlen(text);
    cr_expect(length >= strlen(end) && strcmp(text + length - strlen(end), end) == 0,
              "does not end with \"%s\":\n%s", end, text);
}

static void says(const char *text, const char *part)
{
    cr_expect_not_null(strstr(text, part), "does not say \"%s\":\n%s", part, text);
}

Test(lab_program, files_that_pass)
{
    _cleanup_run_ struct idm_run run = {0};
    replay(&run, 0, write_file("a.yaml", GOOD), write_file("b.yaml", GOOD), NULL, NULL);
    says(run.out, "2 scenarios in the world sim: 2 replays, 0 cuts, ");
    ends_with(run.out, "\n2 passed, 0 failed\n");
    cr_assert_str_empty(run.err);
}

Test(lab_program, a_directory_is_its_scenarios)
{
    _cleanup_run_ struct idm_run run = {0};
    (void)write_file("a.yaml", GOOD);
    (void)write_file("b.yaml", ELSEWHERE);
    (void)write_file("notes.txt", "nothing");
    (void)write_file(".hidden.yaml", BAD);
    replay(&run, 0, dir, NULL, NULL, NULL);
    says(run.out, "b.yaml (sim): only files have names\n");
    ends_with(run.out, "\n1 passed, 0 failed, 1 skipped\n");
}

Test(lab_program, a_failure_can_be_repeated)
{
    _cleanup_run_ struct idm_run run = {0};
    _cleanup_run_ struct idm_run again = {0};
    replay(&run, 1, write_file("a.yaml", WRONG), write_file("b.yaml", GOOD), NULL, NULL);
    says(run.out, "a.yaml (sim): a <first> boot & \"more\"#1\n  step 2, line 4, boot: mode\n"
                  "    expected: software\n    found:    tpm\n");
    says(run.out, "\n    trace:\n");
    ends_with(run.out, "\n1 passed, 1 failed\n");
    char *command = strstr(run.out, "again: idmode-lab replay ");
    cr_assert_not_null(command, "%s", run.out);
    char line[512];
    (void)snprintf(line, sizeof line, "%s %.*s", LAB, (int)strcspn(command + 18, "\n"),
                   command + 18);
    const char *const argv[] = {"sh", "-c", line, NULL};
    cr_assert_eq(idm_run(&again, NULL, argv), 0);
    cr_expect_eq(again.exit_code, 1, "%s: %s%s", line, again.out, again.err);
    says(again.out, "\n0 passed, 1 failed\n");
}

Test(lab_program, cuts_are_counted)
{
    _cleanup_run_ struct idm_run run = {0};
    replay(&run, 0, "--cut", "every", write_file("a.yaml", GOOD), NULL);
    cr_assert_null(strstr(run.out, " 0 cuts"), "%s", run.out);
    ends_with(run.out, "\n1 passed, 0 failed\n");
}

/* A mistake in one file: nothing runs. */
Test(lab_program, a_bad_file_is_named_with_its_place)
{
    _cleanup_run_ struct idm_run run = {0};
    char expected[256];
    const char *path = write_file("bad.yaml", BAD);
    (void)snprintf(expected, sizeof expected, "%s:3:3: step: 'bot' is not known", path);
    replay(&run, 2, write_file("a.yaml", GOOD), path, below("missing.yaml"), NULL);
    says(run.err, expected);
    says(run.err, "missing.yaml: No such file");
    cr_assert_str_empty(run.out);
}

Test(lab_program, misuse)
{
    static const char *const calls[][2] = {{NULL},
                                           {"--world"},
                                           {"--world=moon", "x.yaml"},
                                           {"--cut=all", "x.yaml"},
                                           {"--seed=x", "x.yaml"},
                                           {"--timeline=t", "x.yaml"},
                                           {"--colour", "x.yaml"}};
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        _cleanup_run_ struct idm_run run = {0};
        replay(&run, 2, calls[i][0], calls[i][1], NULL, NULL);
        says(run.err, "idmode-lab");
        cr_expect_str_empty(run.out);
    }
    _cleanup_run_ struct idm_run empty = {0};
    replay(&empty, 2, dir, NULL, NULL, NULL);
    says(empty.err, "no *.yaml in it");
}

Test(lab_program, help)
{
    static const char *const words[] = {"--world", "--cut",   "every",   "pairs",
                                        "random:", "at:STEP", "--junit", "--html"};
    _cleanup_run_ struct idm_run run = {0};
    replay(&run, 0, "--help", NULL, NULL, NULL);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        says(run.out, words[i]);
}

Test(lab_program, tap)
{
    _cleanup_run_ struct idm_run run = {0};
    (void)write_file("a.yaml", GOOD);
    (void)write_file("b.yaml", ELSEWHERE);
    (void)write_file("c.yaml", WRONG);
    replay(&run, 1, "--tap", dir, NULL, NULL);
    cr_assert_eq(strncmp(run.out, "TAP version 13\n1..3\nok 1 - a (sim): a first boot\n", 49), 0,
                 "%s", run.out);
    says(run.out, "\nok 2 - b (sim): files # SKIP only files have names\n");
    says(run.out, "\nnot ok 3 - c (sim): a <first> boot & \"more\"\\#1\n  ---\n");
    says(run.out, "  step: 2\n  line: 4\n");
    says(run.out, "  expected: \"software\"\n  found: \"tpm\"\n");
    ends_with(run.out, "  ...\n# 1 passed, 1 failed, 1 skipped\n");
}

Test(lab_program, junit)
{
    _cleanup_run_ struct idm_run run = {0};
    char report[128];
    (void)snprintf(report, sizeof report, "--junit=%s", below("r.xml"));
    (void)write_file("a.yaml", GOOD);
    (void)write_file("b.yaml", ELSEWHERE);
    (void)write_file("c.yaml", WRONG);
    replay(&run, 1, report, dir, NULL, NULL);
    const char *xml = read_file("r.xml");
    says(xml, "<testsuite name=\"sim\" tests=\"3\" failures=\"1\" errors=\"0\" skipped=\"1\"");
    says(xml, "<testcase classname=\"scenarios.sim\" name=\"a\" time=\"");
    says(xml, "<skipped message=\"only files have names\"/>\n");
    says(xml, "<failure type=\"mode\" message=\"step 2, line 4: mode: expected software, found "
              "tpm\">idmode-lab replay --world sim ");
    ends_with(xml, "</testsuite>\n</testsuites>\n");
}

Test(lab_program, a_page)
{
    _cleanup_run_ struct idm_run run = {0};
    char page[128];
    (void)snprintf(page, sizeof page, "--html=%s", below("r.html"));
    replay(&run, 0, page, write_file("a.yaml", GOOD), NULL, NULL);
    says(read_file("r.html"), "a first boot");
}

Test(lab_program, a_report_that_cannot_be_written)
{
    _cleanup_run_ struct idm_run run = {0};
    _cleanup_run_ struct idm_run full = {0};
    replay(&run, 5, "--junit=/nowhere/r.xml", write_file("a.yaml", GOOD), NULL, NULL);
    says(run.err, "write /nowhere/r.xml: No such file");
    replay(&full, 5, "--junit=/dev/full", below("a.yaml"), NULL, NULL);
    says(full.err, "write /dev/full: No space left");
}
