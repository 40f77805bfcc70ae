/* SPDX-License-Identifier: BSD-2-Clause */
/* criterion.h - as much of Criterion as tests/unit/fsm_*.c and engine_*.c use, for one process that runs
 * them again and again on a table with a mistake in it (tests/mutate/checks.c). Criterion itself starts
 * a process for each test, 10 ms each time.
 *
 * Other than Criterion it ends the process at the first thing that does not hold: mutate_judge.
 */
#ifndef IDM_TESTS_MUTATE_SHIM_H
#define IDM_TESTS_MUTATE_SHIM_H

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct mutate_suite {
    void (*init)(void);
    void (*fini)(void);
    double timeout;
};

void mutate_add_suite(const char *suite, const struct mutate_suite *what);
void mutate_add_test(const char *suite, const char *name, void (*run)(void));
/* `ok`: nothing happens. Else says what does not hold, if anybody listens, and ends the process. */
void mutate_judge(bool ok, const char *file, int line, const char *what, ...);

#define TestSuite(suite, ...)                                                                      \
    static const struct mutate_suite mutate_suite_##suite = {__VA_ARGS__};                         \
    __attribute__((constructor)) static void mutate_adds_##suite(void)                             \
    {                                                                                              \
        mutate_add_suite(#suite, &mutate_suite_##suite);                                           \
    }                                                                                              \
    _Static_assert(1, "")

#define Test(suite, name, ...)                                                                     \
    static void suite##_##name(void);                                                              \
    __attribute__((constructor)) static void suite##_adds_##name(void)                             \
    {                                                                                              \
        mutate_add_test(#suite, #name, suite##_##name);                                            \
    }                                                                                              \
    static void suite##_##name(void)

#define cr_assert(condition, ...)                                                                  \
    mutate_judge((condition), __FILE__, __LINE__, #condition, ##__VA_ARGS__)
#define cr_expect(condition, ...)     cr_assert(condition, ##__VA_ARGS__)
#define cr_assert_not(condition, ...) cr_assert(!(condition), ##__VA_ARGS__)
#define cr_assert_eq(a, b, ...)       cr_assert((a) == (b), ##__VA_ARGS__)
#define cr_expect_eq(a, b, ...)       cr_assert((a) == (b), ##__VA_ARGS__)
#define cr_assert_neq(a, b, ...)      cr_assert((a) != (b), ##__VA_ARGS__)
#define cr_expect_neq(a, b, ...)      cr_assert((a) != (b), ##__VA_ARGS__)
#define cr_assert_lt(a, b, ...)       cr_assert((a) < (b), ##__VA_ARGS__)
#define cr_expect_lt(a, b, ...)       cr_assert((a) < (b), ##__VA_ARGS__)
#define cr_assert_gt(a, b, ...)       cr_assert((a) > (b), ##__VA_ARGS__)
#define cr_expect_gt(a, b, ...)       cr_assert((a) > (b), ##__VA_ARGS__)
#define cr_assert_geq(a, b, ...)      cr_assert((a) >= (b), ##__VA_ARGS__)
#define cr_expect_geq(a, b, ...)      cr_assert((a) >= (b), ##__VA_ARGS__)
#define cr_assert_null(a, ...)        cr_assert(!(a), ##__VA_ARGS__)
#define cr_expect_null(a, ...)        cr_assert(!(a), ##__VA_ARGS__)
#define cr_assert_not_null(a, ...)    cr_assert((a) != NULL, ##__VA_ARGS__)
#define cr_expect_not_null(a, ...)    cr_assert((a) != NULL, ##__VA_ARGS__)
#define cr_assert_str_eq(a, b, ...)   cr_assert(strcmp((a), (b)) == 0, ##__VA_ARGS__)
#define cr_expect_str_eq(a, b, ...)   cr_assert(strcmp((a), (b)) == 0, ##__VA_ARGS__)

/* In these tests it is what a violation says, and the end of the search for others. */
#define cr_log_error(...)                                                                          \
    (mutate_say(__VA_ARGS__), mutate_judge(false, __FILE__, __LINE__, "see above"))
#define cr_log_warn(...) mutate_say(__VA_ARGS__)
#define cr_log_info(...) ((void)0)
void mutate_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
