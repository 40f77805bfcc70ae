/* SPDX-License-Identifier: BSD-2-Clause */
/* A command line, one word a line. `hook` goes all the way, on a simulated device: what an updater says
 * must never lose the identity. */
#include "tests/fuzz/fuzz.h"

#include "cli/cli.h"
#include "tests/sim/sim.h"

#include <string.h>

#define WORDS_MAX 24

static struct idm_sim provisioned;

static int read_settings(void *self, const struct idm_options *options, FILE *warnings,
                         struct idm_settings *ret, struct idm_error *err)
{
    struct idm_sim *sim = self;
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
    return 0;
}

static void close_backends(void *self, struct idm_backends *backends)
{
    (void)self;
    (void)backends;
}

static void run_hook(int argc, char **argv)
{
    struct idm_sim sim = {0};
    struct idm_outcome outcome;
    struct idm_reach reach = {.self = &sim,
                              .read_settings = read_settings,
                              .take_lock = take_lock,
                              .open_backends = open_backends,
                              .close_backends = close_backends,
                              .input = -1};
    idm_sim_copy(&sim, &provisioned);
    uint32_t key = idm_sim_key_of(&sim, IDM_F_CONFIG_KEY);
    idm_sim_begin_run(&sim);
    int rc = idm_cli_run(argc, argv, &reach);
    FUZZ_CHECK(rc >= IDM_EXIT_DONE && rc <= IDM_EXIT_HELD);
    FUZZ_CHECK(idm_sim_boot(&sim, &outcome) == IDM_EXIT_DONE);
    FUZZ_CHECK(outcome.mode == IDM_MODE_TPM && outcome.epoch == 1);
    FUZZ_CHECK(idm_sim_key_of(&sim, IDM_F_CONFIG_KEY) == key);
    idm_sim_free(&sim);
}

static int split(char *text, size_t size, char **argv)
{
    int argc = 1;
    argv[0] = (char *)"idmode";
    for (char *at = text; at < text + size && argc < WORDS_MAX; at += strlen(at) + 1)
        argv[argc++] = at;
    argv[argc] = NULL;
    return argc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct idm_options options;
    struct idm_outcome outcome;
    char text[2048];
    char *argv[WORDS_MAX + 1];
    char *order[WORDS_MAX + 1];
    if (size >= sizeof text)
        return 0;
    if (!provisioned.boots) {
        idm_sim_init(&provisioned);
        FUZZ_CHECK(idm_sim_boot(&provisioned, &outcome) == IDM_EXIT_DONE);
    }
    memcpy(text, data, size);
    text[size] = 0;
    for (size_t i = 0; i < size; i++)
        if (text[i] == '\n')
            text[i] = 0;
    int argc = split(text, size, argv);
    memcpy(order, argv, sizeof order); /* getopt permutes */
    fuzz_quiet(1);
    bool good = idm_options_parse(&options, argc, order);
    FUZZ_CHECK(!good || (options.words >= 0 && options.words <= IDM_OPTIONS_WORDS));
    if (good && options.words == 2 && strcmp(options.word[0], "hook") == 0)
        run_hook(argc, argv);
    else if (good && options.words)
        (void)idm_options_fit(&options, options.word[0]);
    fuzz_quiet(0);
    return 0;
}
