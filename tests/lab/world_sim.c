/* SPDX-License-Identifier: BSD-2-Clause */
/* world_sim.c - the simulated world: tests/sim with slots, a bootloader, an updater and people. */
#include "tests/lab/sim_parts.h"

#include "tests/sim/sim_parts.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

int lab_sim_broke(char error[LAB_SENTENCE_SIZE], const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(error, LAB_SENTENCE_SIZE, format, args);
    va_end(args);
    return -1;
}

bool lab_sim_unread;

/* ---- idmode -----------------------------------------------------------------------------------*/

static int read_settings(void *self, const struct idm_options *options, FILE *warnings,
                         struct idm_settings *ret, struct idm_error *err)
{
    const struct lab_world *w = self;
    if (options->config)
        return idm_settings_read(ret, options->root, options->config, warnings, err);
    *ret = w->settings;
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

/* The backends' self is the simulator, which a world begins with. A factory reset may begin and end within
 * one step: what says so is the record on the disk. */
_Static_assert(offsetof(struct lab_world, sim) == 0, "write_seen takes the one for the other");

static int write_seen(void *self, enum idm_file file, const void *data, size_t size,
                      struct idm_error *err)
{
    struct lab_world *w = self;
    int rc = w->sim.backends.file_write(self, file, data, size, err);
    if (file == IDM_F_PERSIST_RECORD || file == IDM_F_CONFIG_RECORD) {
        const struct idm_record *record = lab_sim_record(w);
        w->was_resetting |= record && record->state == IDM_S_resetting;
    }
    return rc;
}

static int open_backends(void *self, const struct idm_options *options,
                         const struct idm_settings *settings, struct idm_backends *ret,
                         struct idm_error *err)
{
    struct lab_world *w = self;
    (void)options;
    (void)err;
    idm_sim_begin_process(&w->sim);
    w->sim.settings = *settings;
    idm_sim_boot_read(&w->bootloader, settings, w->slot, &w->sim.bootenv);
    (void)snprintf(w->sim.platform.image_version, sizeof w->sim.platform.image_version, "%s",
                   strcmp(settings->version, "os-release") == 0 ? w->ran.version
                                                                : settings->version);
    *ret = w->sim.backends;
    ret->file_write = write_seen;
    if (!w->sim.traced && w->sim.fault != IDM_SIM_CUT_NAMED)
        ret->trace = NULL;
    return 0;
}

static void close_backends(void *self, struct idm_backends *backends)
{
    (void)self;
    (void)backends;
}

static void concluded(void *self, const struct idm_outcome *outcome)
{
    struct lab_world *w = self;
    w->concluded = *outcome;
}

static void traced(void *self, const char *line)
{
    struct lab_world *w = self;
    size_t length = strlen(line);
    if (length + 2 > sizeof w->trace)
        return;
    while (w->trace_size + length + 2 > sizeof w->trace) {
        const char *end = memchr(w->trace, '\n', w->trace_size);
        size_t gone = end ? (size_t)(end + 1 - w->trace) : w->trace_size;
        w->trace_size -= gone;
        memmove(w->trace, w->trace + gone, w->trace_size);
    }
    memcpy(w->trace + w->trace_size, line, length);
    w->trace_size += length;
    w->trace[w->trace_size++] = '\n';
}

/* What commands print is nobody's business here; stdin is empty. */
static FILE *nowhere(void)
{
    static FILE *file;
    if (!file)
        file = fopen("/dev/null", "r+e");
    return file;
}

/* One process of idmode, in this one. Without power nothing runs any more. */
static int run(struct lab_world *w, int argc, char **argv, char error[LAB_SENTENCE_SIZE])
{
    FILE *out = stdout;
    FILE *err = stderr;
    if (!nowhere())
        return lab_sim_broke(error, "open /dev/null: failed");
    struct idm_reach reach = {.self = w,
                              .read_settings = read_settings,
                              .take_lock = take_lock,
                              .open_backends = open_backends,
                              .close_backends = close_backends,
                              .concluded = concluded,
                              .input = fileno(nowhere())};
    lab_sim_unread = w->unread;
    stdout = nowhere(); /* variables in glibc: every print of the commands goes there */
    stderr = nowhere();
    w->exit_code = idm_cli_run(argc, argv, &reach);
    stdout = out;
    stderr = err;
    lab_sim_unread = false;
    w->ran_idmode = true;
    w->powered = w->powered && !w->sim.dead;
    return 0;
}

#define ARGUMENTS_MAX 40

static int run_words(struct lab_world *w, const char *const words[], size_t count,
                     char error[LAB_SENTENCE_SIZE])
{
    char *argv[ARGUMENTS_MAX] = {"idmode", "--quiet", "--tcti", "sim"};
    int argc = 4;
    for (size_t i = 0; i < count && argc + 1 < ARGUMENTS_MAX; i++)
        argv[argc++] = (char *)words[i];
    return run(w, argc, argv, error);
}

static int run_command(struct lab_world *w, const struct lab_step *step,
                       char error[LAB_SENTENCE_SIZE])
{
    const char *words[LAB_WORDS_MAX];
    for (size_t i = 0; i < step->words_count; i++)
        words[i] = step->words[i];
    if (step->words_count == 1 && strcmp(step->words[0], "mode") == 0) {
        w->exit_code = IDM_EXIT_DONE; /* cli/idmode.c: it always is */
        w->ran_idmode = true;
        return 0;
    }
    return run_words(w, words, step->words_count, error);
}

#define RUN(w, error, ...)                                                                         \
    run_words(w, (const char *const[]){__VA_ARGS__},                                               \
              sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *), error)

/* ---- power ------------------------------------------------------------------------------------*/

static const char *phase_word(enum lab_phase phase)
{
    switch (phase) {
    case LAB_PRE_INSTALL:
        return "pre-install";
    case LAB_POST_INSTALL:
        return "post-install";
    case LAB_INSTALL_FAILED:
        return "install-failed";
    case LAB_COMMIT:
        return "commit";
    case LAB_ROLLBACK:
        return "rollback";
    case LAB_PHASE_NONE:
    case LAB_WRITE:
        break;
    }
    return "";
}

static int hook(struct lab_world *w, const struct lab_sim_target *target, enum lab_phase phase,
                char error[LAB_SENTENCE_SIZE])
{
    const char *words[16] = {"hook", phase_word(phase), "--target-slot",
                             target->slot == 0 ? "A" : "B"};
    size_t n = 4;
    char id[32];
    (void)snprintf(id, sizeof id, "install-%u", target->installs);
    if (target->installs) {
        words[n++] = "--target-aware";
        words[n++] = target->aware;
        words[n++] = "--target-version";
        words[n++] = target->version;
        words[n++] = "--install-id";
        words[n++] = id;
    }
    if (target->format[0]) {
        words[n++] = "--target-format";
        words[n++] = target->format;
    }
    return run_words(w, words, n, error);
}

/* The boot is what the step is about: its exit code stays. */
static int late_hook(struct lab_world *w, char error[LAB_SENTENCE_SIZE])
{
    enum lab_phase phase = w->late_phase;
    int exit_code = w->exit_code;
    if (phase == LAB_PHASE_NONE || !w->ran.aware)
        return 0;
    w->late_phase = LAB_PHASE_NONE;
    int rc = hook(w, &w->late, phase, error);
    w->exit_code = exit_code;
    return rc;
}

static void boot_legacy(struct lab_world *w, struct lab_result *ret)
{
    struct lab_identity pair;
    if (lab_sim_look(w, &pair) != LAB_SIM_ABSENT)
        return;
    ret->minted = true;
    if (w->sim.state[IDM_CONFIG] == IDM_PLACE_PROVEN) {
        idm_sim_mint(&w->sim);
        return;
    }
    w->beneath_key = w->sim.next_id++;
    w->beneath_cert = w->sim.next_id++;
}

static int boot(struct lab_world *w, struct lab_result *ret)
{
    const bool has_image[IDM_SLOTS] = {w->slots[0].present, w->slots[1].present};
    idm_sim_power_cycle(&w->sim);
    w->chips += w->chip == LAB_TPM_VOLATILE;
    w->now += 60;
    w->sim.platform.now = w->clock_good ? w->now : 1000;
    if (idm_sim_boot_pick(&w->bootloader, has_image, &w->slot))
        return lab_sim_broke(ret->error, "the bootloader finds nothing to boot");
    w->ran = w->slots[w->slot];
    w->powered = true;
    w->boots++;
    if (!w->ran.aware)
        boot_legacy(w, ret);
    else if (RUN(w, ret->error, "boot"))
        return -1;
    if (!w->powered)
        return 0;
    if (idm_sim_boot_up(&w->bootloader, w->slot))
        return lab_sim_broke(ret->error, "the boot environment could not be written");
    return late_hook(w, ret->error);
}

/* ---- updater ----------------------------------------------------------------------------------*/

/* A hook that the updater calls, unless it does not, or nobody is there to hear it. */
static int hook_if(struct lab_world *w, bool called, enum lab_phase phase,
                   char error[LAB_SENTENCE_SIZE])
{
    w->exit_code = IDM_EXIT_DONE;
    return called && w->ran.aware ? hook(w, &w->target, phase, error) : 0;
}

static int env_failed(char error[LAB_SENTENCE_SIZE])
{
    return lab_sim_broke(error, "fw_setenv could not change the environment");
}

/* post-install and arming: RAUC sets the primary slot before its handler runs. */
static int finish(struct lab_world *w, const struct lab_install *install,
                  char error[LAB_SENTENCE_SIZE])
{
    bool arm = install->killed != LAB_POST_INSTALL;
    bool arm_first = w->bootloader.scheme == IDM_SIM_RAUC;
    if (arm && arm_first && idm_sim_boot_arm(&w->bootloader, w->target.slot))
        return env_failed(error);
    bool called = install->post_install && install->late != LAB_POST_INSTALL;
    if (hook_if(w, called, LAB_POST_INSTALL, error))
        return -1;
    if (!arm || arm_first || !w->powered)
        return 0;
    return idm_sim_boot_arm(&w->bootloader, w->target.slot) ? env_failed(error) : 0;
}

static void begin_install(struct lab_world *w, const struct lab_install *install)
{
    struct lab_sim_target *t = &w->target;
    t->installs++;
    t->slot = !w->slot;
    t->aware = install->image_unsaid ? "unknown" : install->image == LAB_SLOT_LEGACY ? "no" : "yes";
    (void)snprintf(t->version, sizeof t->version, "%s", install->version);
    (void)snprintf(t->format, sizeof t->format, "%s", install->format);
}

static int install(struct lab_world *w, const struct lab_install *i, char error[LAB_SENTENCE_SIZE])
{
    bool aware = i->image != LAB_SLOT_LEGACY;
    begin_install(w, i);
    if (i->late == LAB_PRE_INSTALL || i->late == LAB_POST_INSTALL) {
        w->late_phase = i->late;
        w->late = w->target;
    }
    if (hook_if(w, i->pre_install && i->late != LAB_PRE_INSTALL, LAB_PRE_INSTALL, error))
        return -1;
    if (!w->powered || i->killed == LAB_PRE_INSTALL || w->exit_code != IDM_EXIT_DONE)
        return 0;
    if (idm_sim_boot_begin(&w->bootloader, w->target.slot))
        return env_failed(error);
    lab_sim_put_image(w, w->target.slot, aware, i->version, i->write_fails);
    if (i->write_fails)
        return hook_if(w, true, LAB_INSTALL_FAILED, error);
    return i->killed == LAB_WRITE ? 0 : finish(w, i, error);
}

static int commit(struct lab_world *w, bool hooks, char error[LAB_SENTENCE_SIZE])
{
    if (idm_sim_boot_commit(&w->bootloader, w->slot))
        return env_failed(error);
    return hook_if(w, hooks, LAB_COMMIT, error);
}

static int fall_back(struct lab_world *w, char error[LAB_SENTENCE_SIZE])
{
    return idm_sim_boot_fallback(&w->bootloader, w->slot) ? env_failed(error) : 0;
}

/* ---- steps ------------------------------------------------------------------------------------*/

static int request(struct lab_world *w, const struct lab_step *step, char error[LAB_SENTENCE_SIZE])
{
    switch ((int)step->action) {
    case LAB_DO_factory_reset:
        return step->word[0] ? RUN(w, error, "factory-reset", "--yes", "--reset", step->word)
                             : RUN(w, error, "factory-reset", "--yes");
    case LAB_DO_migrate:
        return RUN(w, error, "migrate", step->word);
    case LAB_DO_hold_clear:
        return RUN(w, error, "hold", "clear", "--reason", idm_reason_word(step->reason), "--to",
                   step->word, "--yes");
    default:
        return run_command(w, step, error);
    }
}

static int take(struct lab_world *w, const struct lab_step *step, struct lab_result *ret)
{
    switch ((int)step->action) {
    case LAB_DO_boot:
        return boot(w, ret);
    case LAB_DO_install:
        return install(w, &step->install, ret->error);
    case LAB_DO_commit:
        return commit(w, step->hooks, ret->error);
    case LAB_DO_fallback:
        return fall_back(w, ret->error);
    case LAB_DO_hook:
        return hook_if(w, phase_word(step->phase)[0] != 0, step->phase, ret->error);
    case LAB_DO_factory_reset:
    case LAB_DO_migrate:
    case LAB_DO_hold_clear:
    case LAB_DO_command:
        /* also an installer's own idmode, on a disk that never booted */
        return w->ran.aware || w->boots == 0 ? request(w, step, ret->error) : 0;
    case LAB_DO_label:
    case LAB_DO_nothing:
    case LAB_ACTION_COUNT:
        return 0;
    default:
        return lab_sim_harm(w, step, ret->error);
    }
}

/* Without power there is no updater and no shell; a disk that never booted may be in an installer. */
static bool needs_power(const struct lab_world *w, enum lab_action action)
{
    switch ((int)action) {
    case LAB_DO_install:
    case LAB_DO_commit:
    case LAB_DO_hook:
        return !w->powered;
    case LAB_DO_factory_reset:
    case LAB_DO_migrate:
    case LAB_DO_hold_clear:
    case LAB_DO_command:
        return !w->powered && w->boots != 0;
    default:
        return false;
    }
}

static void arm(struct lab_world *w, const struct lab_cut *cut)
{
    idm_sim_begin_run(&w->sim);
    idm_sim_arm(&w->sim, IDM_SIM_HEALTHY, 0);
    if (cut->kind == LAB_CUT_AT)
        idm_sim_arm(&w->sim, IDM_SIM_CUT_AFTER, cut->at);
    if (cut->kind == LAB_CUT_EFFECT)
        idm_sim_arm(&w->sim, IDM_SIM_CUT_EFFECT, cut->at);
    if (cut->kind == LAB_CALL_FAILS)
        idm_sim_arm(&w->sim, IDM_SIM_FAIL, cut->at);
    if (cut->kind == LAB_CALLS_FAIL_ON)
        idm_sim_arm(&w->sim, IDM_SIM_FAIL_ON, cut->at);
    if (cut->kind == LAB_CUT_AFTER_NAMED) {
        idm_sim_arm(&w->sim, IDM_SIM_CUT_NAMED, 0);
        w->sim.fault_name = cut->name;
    }
}

/* In which chip was the identity made that is on record? */
static void note_chip(struct lab_world *w)
{
    const struct idm_record *record = lab_sim_record(w);
    int64_t epoch = record ? record->epoch : 0;
    if (epoch != 0 && (w->made_in == 0 || epoch > w->epoch_seen))
        w->made_in = w->chips;
    w->epoch_seen = epoch;
}

static enum idm_tri was_resetting(const struct lab_world *w)
{
    if (!w->was_resetting)
        return IDM_NO;
    return w->sim.dead ? IDM_UNKNOWN : IDM_YES;
}

static int act(struct lab_world *w, const struct lab_step *step, const struct lab_cut *cut,
               struct lab_result *ret)
{
    *ret = (struct lab_result){0};
    if (needs_power(w, step->action))
        return lab_sim_broke(ret->error, "the device has no power: boot it first");
    w->trace_size = 0;
    w->exit_code = 0;
    w->ran_idmode = w->was_resetting = false;
    arm(w, cut);
    int rc = take(w, step, ret);
    idm_sim_arm(&w->sim, IDM_SIM_HEALTHY, 0);
    ret->was_cut = w->sim.fault_hit;
    if (ret->was_cut && cut->kind == LAB_CUT_EFFECT)
        idm_sim_settle(&w->sim, cut->outcome);
    ret->durable = w->sim.changes;
    ret->calls = w->sim.calls;
    ret->issued = (long)w->sim.issued;
    ret->judged_exit = w->ran_idmode && !ret->was_cut;
    ret->exit_code = w->exit_code;
    ret->resetting = was_resetting(w);
    w->writes = w->sim.writes;
    if (w->ran_idmode)
        note_chip(w);
    else if (!lab_sim_record(w))
        w->epoch_seen = 0; /* somebody destroyed it: epochs begin again */
    return rc;
}

void lab_sim_cut_here(struct lab_world *w, uint64_t outcome, struct lab_result *ret)
{
    idm_sim_settle(&w->sim, outcome);
    w->sim.dead = true;
    w->powered = false;
    w->ran_idmode = true;
    w->writes = w->sim.writes;
    *ret = (struct lab_result){.was_cut = true,
                               .durable = w->sim.changes,
                               .issued = (long)w->sim.issued,
                               .resetting = was_resetting(w)};
    note_chip(w);
}

/* ---- open, fork, close ------------------------------------------------------------------------*/

/* Memory of closed worlds: forks come and go by the million. */
static struct spares {
    struct lab_world *worlds[64];
    size_t count;
} spares;

static struct lab_world *allocate(void)
{
    return spares.count ? spares.worlds[--spares.count] : malloc(sizeof(struct lab_world));
}

static void close_world(struct lab_world *w)
{
    if (!w)
        return;
    lab_sim_drop_snapshots(w);
    idm_sim_free(&w->sim);
    lab_sim_forget_record(w);
    if (spares.count < sizeof spares.worlds / sizeof *spares.worlds)
        spares.worlds[spares.count++] = w;
    else
        free(w);
}

static int open_world(struct lab_world **ret, const struct lab_device *device,
                      char error[LAB_SENTENCE_SIZE])
{
    static const struct lab_step power_on = {.action = LAB_DO_boot};
    struct lab_result result = {0};
    if (device->tpm == LAB_TPM_CLEARED || device->tpm == LAB_TPM_REPLACED)
        return lab_sim_broke(error, "to a chip that was never switched on nothing happened yet");
    struct lab_world *w = allocate();
    if (!w)
        return lab_sim_broke(error, "out of memory");
    memset(w, 0, sizeof *w);
    lab_sim_make(w, device);
    w->sim.traced = traced;
    if (device->provisioned && act(w, &power_on, &(struct lab_cut){.kind = LAB_UNCUT}, &result)) {
        memcpy(error, result.error, LAB_SENTENCE_SIZE);
        close_world(w);
        return -1;
    }
    *ret = w;
    return 0;
}

static int fork_world(struct lab_world **ret, struct lab_world *w, char error[LAB_SENTENCE_SIZE])
{
    struct lab_world *copy = allocate();
    if (!copy)
        return lab_sim_broke(error, "out of memory");
    memcpy(copy, w, offsetof(struct lab_world, trace) + w->trace_size);
    idm_sim_copy(&copy->sim, &w->sim);
    /* Whoever listens to this one does not hear the other. */
    if (w->sim.traced_self != w)
        copy->sim.traced = NULL;
    copy->sim.traced_self = copy;
    copy->sim.dead = w->sim.dead;
    for (size_t i = 0; i < LAB_SIM_SNAPSHOTS && copy->snapshots[i]; i++)
        copy->snapshots[i]->refs++;
    for (size_t i = 0; i < 2; i++)
        (void)idm_sim_blob_hold(copy->record_from[i]);
    *ret = copy;
    return 0;
}

static void unread(struct lab_world *w)
{
    w->unread = true;
}

static unsigned long writes(const struct lab_world *w)
{
    return w->writes;
}

const struct lab_world_ops lab_sim_world = {.name = "sim",
                                            .open = open_world,
                                            .close = close_world,
                                            .act = act,
                                            .see = lab_sim_see,
                                            .fork = fork_world,
                                            .unread = unread,
                                            .forks_cheaply = true,
                                            .key_lives = lab_sim_key_lives,
                                            .succession = lab_sim_succession,
                                            .writes = writes};
