/* SPDX-License-Identifier: BSD-2-Clause */
/* life.h - a device of the real world (tests/lab/real.h) whose images are installed by somebody else's
 * updater, through our hooks; after each step the invariants are judged by the oracle of tests/lab.
 *
 *     BASE/updater/            the updater's own files; it works in them
 *          ├ tools/            first in its PATH: fw_printenv, fw_setenv on the device's environment
 *          ├ aware/idmode      in its PATH where the running image has idmode: the shipped one, and
 *          ├ heard             ← a line for each of its calls: "ARGUMENTS -> EXIT CODE"
 *          └ image             what is packed: the image that lands in the slot
 *
 * The updater runs in a mount namespace of its own. It finds in its environment: IDMODE_ROOT,
 * IDMODE_TCTI, W (BASE/updater), HOOKS (hooks/ of the sources), RUNNING and TARGET (A or B), SLOT_A
 * and SLOT_B (paths), FW_CONFIG, and FAULT, a word of enum update_end. Everything here ends the test
 * by an assertion when it fails.
 */
#ifndef IDM_TESTS_UPDATERS_LIFE_H
#define IDM_TESTS_UPDATERS_LIFE_H

#include "tests/lab/oracle.h"
#include "tests/lab/real.h"

struct life {
    struct lab_device about; /* the oracle keeps a pointer to it */
    struct lab_world *world;
    struct lab_oracle *oracle;
    struct lab_sight sight; /* after the last step */
    struct idm_run run;     /* the updater's last run */
};

/* What happens to an update; the word is FAULT. */
#define UPDATE_ENDS(X)                                                                             \
    X(well, "none")                                                                                \
    X(write_fails, "write-fails") /* the slot takes half of the image */                           \
    X(post_fails, "post-fails")   /* a handler after ours fails */                                 \
    X(killed_before_write, "killed-before-write")                                                  \
    X(killed_writing, "killed-writing")                                                            \
    X(killed_written, "killed-written") /* the image is whole, and not yet to boot */              \
    X(orphaned, "orphaned") /* killed while post-install runs, which goes on at life_release */

enum update_end {
#define UPDATE_ENUM(name, word) UPDATE_##name,
    UPDATE_ENDS(UPDATE_ENUM)
#undef UPDATE_ENUM
        UPDATE_END_COUNT
};

struct update {
    bool legacy;         /* kind of the new image */
    bool unsaid;         /* its package does not say which */
    const char *version; /* NULL: "2.0" */
    bool without_hooks;  /* the updater is not set up to call them */
    enum update_end end;
};

/* One updater, with one way of setting it up. */
struct updater {
    enum lab_bootenv bootenv;
    bool armed_before_post; /* a failing post-install comes too late */
    /* Why it cannot run here; NULL: it can. */
    const char *(*missing)(void);
    /* Its configuration, keys and handlers in BASE/updater. Once for each device. */
    void (*prepare)(struct life *life);
    /* Packs BASE/updater/image, signs it, installs it into the slot that does not run. Sets life->run,
     * whose exit code is the updater's. */
    void (*install)(struct life *life, const struct update *update);
    /* The updater accepts the running image; `hook`: as we say that it is to be set up. */
    void (*commit)(struct life *life, bool hook);
    /* The shim that the updater calls after an installation, out of the blue. */
    void (*spurious)(struct life *life);
    /* Both slots are given up, by the updater's or the bootloader's own means. */
    void (*condemn)(struct life *life);
};

void life_open(struct life *life, const struct updater *updater, const struct lab_device *about);
void life_close(struct life *life);

/* ---- steps: each is judged ---- */
void life_boot(struct life *life);
void life_act(struct life *life, struct lab_step step);
#define LIFE_ACT(life, what, ...)                                                                  \
    life_act(life, (struct lab_step){.action = LAB_DO_##what, ##__VA_ARGS__})
/* 0 when the updater says that it succeeded. */
int life_install(struct life *life, const struct updater *updater, const struct update *update);
void life_commit(struct life *life, const struct updater *updater, bool hook);
void life_spurious(struct life *life, const struct updater *updater);
void life_condemn(struct life *life, const struct updater *updater);
/* Is there an orphaned handler? It goes on, and ends. */
bool life_waits(const struct life *life);
void life_release(struct life *life);

/* ---- for updaters ---- */
/* A shell script in BASE/updater, in the updater's surroundings; its exit code stands in life->run. */
void life_shell(struct life *life, const struct update *update, const char *script);
/* The same for what must succeed. */
void life_must(struct life *life, const char *script);
/* A file below BASE/updater; `mode` 0755: a script. */
void life_file(struct life *life, const char *name, unsigned int mode, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
const char *life_end_word(enum update_end end);

/* ---- looking ---- */
/* How often idmode heard a hook, by the beginning of its arguments; and since the last step. */
unsigned int life_heard(const struct life *life, const char *beginning);
void life_is(const struct life *life, const char *mode, const char *state);
bool life_has(const struct life *life, enum idm_reason reason);
void life_runs(const struct life *life, int slot, const char *version);
/* What the environment says; "" when it is not set. */
void life_env(const struct life *life, const char *name, const char *value);

#endif
