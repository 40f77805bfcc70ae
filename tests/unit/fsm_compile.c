/* SPDX-License-Identifier: BSD-2-Clause */
/* What the compiler must refuse, and what fsm/ must not need: checked with the compiler itself. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char scratch[] = "/tmp/idm-fsm-XXXXXX";

/* Exit status of a shell command that runs in the scratch directory. */
static int shell(const char *command)
{
    char line[1024];
    (void)snprintf(line, sizeof line, "cd %s && { %s; } >>log 2>&1", scratch, command);
    int status = system(line);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void set_up(void)
{
    cr_assert(mkdtemp(scratch));
    cr_assert_eq(shell("cp -r " IDM_TEST_SOURCE_DIR "/fsm ."), 0);
}

static void tear_down(void)
{
    (void)shell("rm -rf ./fsm ./*.o whole.so kept kept2 log");
    cr_assert_eq(rmdir(scratch), 0);
}

TestSuite(fsm_compile, .init = set_up, .fini = tear_down);

#define CC "${CC:-cc} -std=gnu11 -Wall -Wextra -Woverride-init -Werror -O1 -fPIC -I. "

/* Linked too: a row whose predicate nobody wrote is missed only there. */
static int compiles(void)
{
    return shell("rm -f ./*.o && " CC
                 "-c fsm/*.c && ${CC:-cc} -shared -Wl,-z,defs -o whole.so ./*.o");
}

static void expect_refused(const char *edit)
{
    cr_assert_eq(compiles(), 0, "the copy does not compile before \"%s\"", edit);
    cr_assert_eq(shell("cp fsm/table.def kept && cp fsm/plans.def kept2"), 0);
    cr_assert_eq(shell(edit), 0);
    cr_assert_neq(shell("cmp -s kept fsm/table.def && cmp -s kept2 fsm/plans.def"), 0,
                  "\"%s\" changes nothing", edit);
    cr_expect_neq(compiles(), 0, "compiles after \"%s\"", edit);
    cr_assert_eq(shell("mv kept fsm/table.def && mv kept2 fsm/plans.def"), 0);
}

Test(fsm_compile, missing_and_doubled_cells_are_refused)
{
    /* of the row of one event: a cell goes, comes twice, or another state's stands in its place */
    expect_refused(
        "sed -i '/^ROW(rolled_back,/,/)))$/s/BLANK(HOLD(rolled_back, hold, OLD_DISK))//' "
        "fsm/table.def");
    expect_refused(
        "sed -i '/^ROW(rolled_back,/,/)))$/s/BLANK(HOLD(rolled_back, hold, OLD_DISK))/& &/' "
        "fsm/table.def");
    expect_refused("sed -i '/^ROW(rolled_back,/,/)))$/s/    BLANK(/    DUAL(/' fsm/table.def");
    expect_refused(
        "sed -i '/^ROW(settled,/,/)))$/s/ DUAL(END(none, settle, USE))//' fsm/table.def");
}

Test(fsm_compile, rows_and_predicates_belong_together)
{
    expect_refused("sed -i 's/^ROW(rolled_back,/ROW(rolled_aback,/' fsm/table.def");
    expect_refused("printf 'ROW(rolled_back, \"again\", ALL(NEVER(\"x y\")))\\n' >>fsm/table.def");
    expect_refused("printf 'ROW(unheard_of, \"new\", ALL(NEVER(\"x y\")))\\n' >>fsm/table.def");
}

Test(fsm_compile, unknown_plans_actions_reasons_are_refused)
{
    expect_refused("sed -i 's/SAME(bury, DEAD)/SAME(burry, DEAD)/' fsm/table.def");
    expect_refused(
        "sed -i 's/HOLD(cloned, hold, CLONE)/HOLD(clowned, hold, CLONE)/' fsm/table.def");
    expect_refused("sed -i 's/A(evict_dead)/A(evict_death)/' fsm/plans.def");
}

/* design 9: pure; no I/O, no allocation, no clock, no globals. */
Test(fsm_compile, fsm_stands_alone)
{
    cr_assert_eq(compiles(), 0);
    cr_expect_neq(shell("grep -h '#include <' fsm/*.[ch] | "
                        "grep -vE '<(stdbool|stdint|stddef|string)\\.h>'"),
                  0, "includes more of libc");
    cr_expect_neq(shell("grep -h '#include \"' fsm/*.[ch] | grep -v '\"fsm/'"), 0,
                  "includes other layers");
}

Test(fsm_compile, objects_need_nobody_and_keep_nothing)
{
    cr_assert_eq(shell(CC "-fno-stack-protector -c fsm/*.c && ld -r -o whole.o ./*.o"), 0);
    /* The compiler may call these four for copies of structs; _GLOBAL_OFFSET_TABLE_ is the linker's. */
    cr_expect_neq(shell("nm -u whole.o | grep -vE ' (memcpy|memset|memcmp|memmove|strcmp|"
                        "_GLOBAL_OFFSET_TABLE_)$'"),
                  0, "needs something");
    /* d: .data.rel.ro is written by the loader alone */
    cr_expect_neq(shell("objdump -t whole.o | grep -E ' \\.(data|bss)(\\..*)?\\b' | "
                        "grep -v '\\.data\\.rel\\.ro' | grep -v ' d  '"),
                  0, "keeps something");
    cr_expect_neq(shell("nm whole.o | grep -E ' [DBC] '"), 0, "exports a variable");
}
