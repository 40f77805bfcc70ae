/* SPDX-License-Identifier: BSD-2-Clause */
/* What the documents show of idmode is what it prints, on real parts: tests/support/shown.h. */
#include "tests/support/shown.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SOURCE(name) IDM_TEST_SOURCE_DIR "/" name

TestSuite(life_docs, .timeout = 120);

static void is_as_printed(const char *path, unsigned least)
{
    _cleanup_shown_ struct idm_shown shown = {0};
    cr_assert_eq(idm_shown_run(&shown, path), 0, "%s", shown.error);
    cr_expect_geq(shown.blocks, least, "%s: %u blocks say where they come from", path,
                  shown.blocks);
    cr_expect_eq(shown.differ, 0, "%s: run ./dev diagrams", shown.first);
}

Test(life_docs, readme_shows_what_idmode_prints)
{
    is_as_printed(SOURCE("README.md"), 2);
}

Test(life_docs, operators_guide_shows_what_idmode_prints)
{
    is_as_printed(SOURCE("docs/operator.md"), 1);
}

Test(life_docs, integrators_guide_shows_what_idmode_prints)
{
    is_as_printed(SOURCE("docs/integrator.md"), 1);
}

Test(life_docs, page_for_agents_shows_what_idmode_prints)
{
    is_as_printed(SOURCE("docs/agents.md"), 2);
}

/* ---- and it would be noticed ---- */

static void run_text(struct idm_shown *ret, const char *text, int expected)
{
    char path[] = "/tmp/idm-docs-XXXXXX";
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    cr_assert_eq(close(fd), 0);
    int rc = idm_shown_run(ret, path);
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(rc, expected, "%s", ret->error);
}

Test(life_docs, other_output_is_a_difference_and_is_written_again)
{
    _cleanup_shown_ struct idm_shown wrong = {0}, right = {0};
    run_text(&wrong,
             "before\n<!-- from: new aware 1.0; boot -->\n```\n$ idmode mode\nsoftware\n"
             "$ cat /run/idmode/mode\ntpm\n```\nafter\n",
             0);
    cr_expect_eq(wrong.blocks, 1);
    cr_expect_eq(wrong.differ, 1);
    cr_expect_not_null(strstr(wrong.first, ":4: shown: \"software\", printed: \"tpm\""), "%s",
                       wrong.first);
    cr_expect_str_eq(wrong.text,
                     "before\n<!-- from: new aware 1.0; boot -->\n```\n$ idmode mode\ntpm\n"
                     "$ cat /run/idmode/mode\ntpm\n```\nafter\n");
    run_text(&right, wrong.text, 0);
    cr_expect_eq(right.differ, 0, "%s", right.first);
}

Test(life_docs, hashes_times_and_left_out_lines_are_no_difference)
{
    _cleanup_shown_ struct idm_shown shown = {0};
    static const char text[] =
        "<!-- from: new aware 1.0 -->\n```\n$ printf 'a\\nb\\nc\\n'; printf '%064d\\n' 0\n…\nc\n"
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff\n"
        "$ echo at 2020-01-01T00:00:00Z\nat 2031-12-24T23:59:59Z\n```\n";
    run_text(&shown, text, 0);
    cr_expect_eq(shown.differ, 0, "%s", shown.first);
    cr_expect_str_eq(shown.text, text);
}

Test(life_docs, block_that_says_nonsense_is_an_error)
{
    static const char *const bad[] = {
        "<!-- from: boot -->\n```\n$ true\n```\n",
        "<!-- from: again -->\n```\n$ true\n```\n",
        "<!-- from: new aware 1.0; dance -->\n```\n$ true\n```\n",
        "<!-- from: new aware 1.0 -->\ntext\n",
        "<!-- from: new aware 1.0 -->\n```\ntext\n```\n",
        "<!-- from: new aware 1.0 -->\n```\n$ true\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        _cleanup_shown_ struct idm_shown shown = {0};
        run_text(&shown, bad[i], -1);
        cr_expect_not_null(strstr(shown.error, "/tmp/idm-docs-"), "%s", shown.error);
    }
}
