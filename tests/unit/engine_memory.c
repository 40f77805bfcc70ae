/* SPDX-License-Identifier: BSD-2-Clause */
/* Each allocation fails in turn, once and from then on, in every command: of idmode itself, of jansson and
 * of OpenSSL, on a simulated device. What the device then is, the next boot settles. (curl's torture
 * tests.) Leaks are ASan's to find. */
#include "cli/cli.h"
#include "tests/sim/sim.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

TestSuite(engine_memory, .timeout = 280);

/* ---- allocators: --wrap (CMakeLists.txt), jansson's and OpenSSL's hooks ---- */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *at, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *at, size_t size);

static bool counting;
static bool for_ever;
static unsigned long allocations; /* so far, in this run */
static unsigned long fails_at;    /* 0: none */

static bool fails(void)
{
    if (!counting)
        return false;
    allocations++;
    return fails_at && (for_ever ? allocations >= fails_at : allocations == fails_at);
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *at, size_t size)
{
    return fails() ? NULL : __real_realloc(at, size);
}

static void *openssl_malloc(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return size ? __wrap_malloc(size) : NULL;
}

static void *openssl_realloc(void *at, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    if (size)
        return __wrap_realloc(at, size);
    free(at);
    return NULL;
}

static void openssl_free(void *at, const char *file, int line)
{
    (void)file;
    (void)line;
    free(at);
}

/* Before either allocates anything. */
__attribute__((constructor)) static void hook_allocators(void)
{
    (void)CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free);
    json_set_alloc_funcs(__wrap_malloc, free);
}

/* ---- commands on a simulated device ---- */

static int (*sim_file_write)(void *self, enum idm_file file, const void *data, size_t size,
                             struct idm_error *err);

/* The simulated disk is no memory of the program's. */
static int file_write(void *self, enum idm_file file, const void *data, size_t size,
                      struct idm_error *err)
{
    bool was = counting;
    counting = false;
    int rc = sim_file_write(self, file, data, size, err);
    counting = was;
    return rc;
}

static int read_settings(void *self, const struct idm_options *options, FILE *warnings,
                         struct idm_settings *ret, struct idm_error *err)
{
    const struct idm_sim *sim = self;
    (void)options;
    (void)warnings;
    (void)err;
    *ret = sim->settings;
    return 0;
}

static int take_lock(void *self, const struct idm_options *options, const char *who,
                     struct idm_lock *ret, struct idm_error *err)
{
    (void)self;
    (void)options;
    (void)who;
    (void)err;
    *ret = (struct idm_lock){0};
    return 0;
}

static int open_backends(void *self, const struct idm_options *options,
                         const struct idm_settings *settings, struct idm_backends *ret,
                         struct idm_error *err)
{
    struct idm_sim *sim = self;
    (void)options;
    (void)settings;
    (void)err;
    idm_sim_begin_process(sim);
    *ret = sim->backends;
    sim_file_write = ret->file_write;
    ret->file_write = file_write;
    return 0;
}

static void close_backends(void *self, struct idm_backends *backends)
{
    (void)self;
    (void)backends;
}

#define WORDS 8

static int run(struct idm_sim *sim, const char *const words[WORDS], unsigned long at, bool always)
{
    static FILE *nowhere;
    char *argv[WORDS + 2] = {(char *)"idmode"};
    int argc = 1;
    FILE *out = stdout;
    FILE *err = stderr;
    struct idm_reach reach = {.self = sim,
                              .read_settings = read_settings,
                              .take_lock = take_lock,
                              .open_backends = open_backends,
                              .close_backends = close_backends,
                              .input = open("/dev/null", O_RDONLY | O_CLOEXEC)};
    if (!nowhere)
        nowhere = fopen("/dev/null", "we");
    for (; words[argc - 1]; argc++)
        argv[argc] = (char *)words[argc - 1];
    idm_sim_begin_run(sim);
    stdout = stderr = nowhere; /* variables in glibc */
    allocations = 0;
    fails_at = at;
    for_ever = always;
    counting = true;
    int rc = idm_cli_run(argc, argv, &reach);
    counting = false;
    stdout = out;
    stderr = err;
    (void)close(reach.input);
    return rc;
}

/* ---- what must hold ---- */

struct row {
    const char *words[WORDS];
    bool changes_identity;
};

static void settles(const struct idm_sim *before, struct idm_sim *sim, const struct row *row,
                    unsigned long at)
{
    struct idm_outcome o;
    struct idm_record was = {0};
    struct idm_record is = {0};
    bool known = idm_sim_record(before, &was) && was.state != IDM_S_blank;
    (void)idm_sim_boot(sim, &o);
    cr_assert_eq(idm_sim_boot(sim, &o), IDM_EXIT_DONE, "%s, allocation %lu: %s: %s", row->words[0],
                 at, o.error.what, o.error.why);
    cr_assert(idm_sim_record(sim, &is));
    cr_expect(o.mode == IDM_MODE_TPM || o.mode == IDM_MODE_SOFTWARE);
    cr_expect_eq(is.intent, IDM_INTENT_none);
    if (known && !row->changes_identity) {
        cr_expect_eq(is.epoch, was.epoch, "%s, allocation %lu", row->words[0], at);
        cr_expect_eq(idm_sim_cert_of(sim, IDM_F_RUN_CERT), idm_sim_cert_of(before, IDM_F_RUN_CERT),
                     "%s, allocation %lu: I2", row->words[0], at);
    } else {
        cr_expect(is.epoch == was.epoch || is.epoch == was.epoch + 1);
    }
    (void)idm_sim_boot(sim, &o);
    cr_expect_eq(sim->writes, 0, "%s, allocation %lu: a third boot writes", row->words[0], at);
}

/* Of what a refusal promises not to change. */
static bool says_the_same(const struct idm_sim *a, const struct idm_sim *b)
{
    struct idm_record was = {0};
    struct idm_record is = {0};
    return idm_sim_record(a, &was) && idm_sim_record(b, &is) && was.state == is.state &&
           was.intent == is.intent && was.epoch == is.epoch && was.install.open == is.install.open;
}

/* Returns how many allocations there were. */
static unsigned long torture(const struct idm_sim *before, const struct row *row)
{
    struct idm_sim sim = {0};
    idm_sim_copy(&sim, before);
    int good = run(&sim, row->words, 0, false); /* once for what OpenSSL keeps for ever */
    idm_sim_free(&sim);
    sim = (struct idm_sim){0};
    idm_sim_copy(&sim, before);
    cr_assert_eq(run(&sim, row->words, 0, false), good);
    idm_sim_free(&sim);
    unsigned long count = allocations;
    for (unsigned long at = 1; at <= count; at++)
        for (int always = 0; always < 2; always++) {
            sim = (struct idm_sim){0};
            idm_sim_copy(&sim, before);
            int rc = run(&sim, row->words, at, always);
            bool refused = rc == IDM_EXIT_REFUSED && says_the_same(before, &sim);
            cr_expect(rc == good || rc == IDM_EXIT_FAILED || rc == IDM_EXIT_HELD || refused,
                      "%s, allocation %lu%s: exit %d", row->words[0], at, always ? " on" : "", rc);
            settles(before, &sim, row, at);
            idm_sim_free(&sim);
        }
    return count;
}

static void torture_all(const struct idm_sim *before, const struct row *rows, size_t count)
{
    unsigned long sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += torture(before, &rows[i]);
    cr_log_info("%lu allocations failed, each twice", sum);
    cr_expect_gt(sum, 10 * count);
}
#define TORTURE(sim, ...)                                                                          \
    do {                                                                                           \
        static const struct row rows[] = {__VA_ARGS__};                                            \
        torture_all(sim, rows, sizeof rows / sizeof *rows);                                        \
    } while (0)

Test(engine_memory, first_boot)
{
    struct idm_sim sim = {0};
    idm_sim_init(&sim);
    idm_sim_power_cycle(&sim);
    TORTURE(&sim, {{"boot"}, true});
    idm_sim_free(&sim);
}

Test(engine_memory, first_boot_without_a_chip)
{
    struct idm_sim sim = {0};
    idm_sim_init(&sim);
    sim.settings.use = IDM_USE_NEVER;
    idm_sim_power_cycle(&sim);
    TORTURE(&sim, {{"boot"}, true});
    idm_sim_free(&sim);
}

Test(engine_memory, commands_of_a_tpm_device)
{
    struct idm_sim sim = {0};
    struct idm_outcome o;
    idm_sim_init(&sim);
    cr_assert_eq(idm_sim_boot(&sim, &o), IDM_EXIT_DONE);
    TORTURE(&sim, {{"boot"}, false}, {{"status", "--json"}, false}, {{"sign"}, false},
            {{"doctor", "--json"}, false}, {{"history", "--json"}, false},
            {{"cert", "show"}, false}, {{"hook", "pre-install", "--target-aware", "no"}, false},
            {{"hook", "rollback"}, false}, {{"hold", "show"}, false},
            {{"factory-reset", "--yes"}, true});
    idm_sim_free(&sim);
}

Test(engine_memory, commands_of_a_device_that_seals)
{
    struct idm_sim sim = {0};
    struct idm_outcome o;
    idm_sim_init(&sim);
    sim.settings.other_slot = IDM_OTHER_NONE;
    sim.settings.legacy_key = IDM_LEGACY_SEAL;
    sim.slot_content[1] = 0;
    cr_assert_eq(idm_sim_boot(&sim, &o), IDM_EXIT_DONE);
    cr_assert_eq(idm_sim_boot(&sim, &o), IDM_EXIT_DONE);
    TORTURE(&sim, {{"boot"}, false}, {{"hook", "pre-install", "--target-aware=no"}, false},
            {{"factory-reset", "--yes"}, true});
    idm_sim_free(&sim);
}

Test(engine_memory, commands_of_a_software_device)
{
    struct idm_sim sim = {0};
    struct idm_outcome o;
    idm_sim_init(&sim);
    sim.settings.use = IDM_USE_NEVER;
    cr_assert_eq(idm_sim_boot(&sim, &o), IDM_EXIT_DONE);
    sim.settings.use = IDM_USE_AUTO;
    cr_assert_eq(idm_sim_boot(&sim, &o), IDM_EXIT_DONE);
    TORTURE(&sim, {{"boot"}, false}, {{"sign"}, false}, {{"migrate", "prepare"}, false});
    struct idm_ask prepare = {.kind = IDM_REQ_PREPARE};
    cr_assert_eq(idm_sim_run(&sim, &prepare, &o), IDM_EXIT_DONE);
    TORTURE(&sim, {{"migrate", "show"}, false}, {{"migrate", "abort"}, false},
            {{"migrate", "commit"}, true});
    idm_sim_free(&sim);
}
