/* SPDX-License-Identifier: BSD-2-Clause */
/* The updater of hooks/shell/README.md: thirty lines of shell without hooks of its own. */
#include "tests/updaters/lives.h"

#include <string.h>

static const char *nothing_missing(void)
{
    return NULL;
}

#define UPDATER                                                                                    \
    "#!/bin/sh\n"                                                                                  \
    "set -eu\n"                                                                                    \
    "hook=$HOOKS/shell/idmode-hook\n"                                                              \
    "[ \"$HOOKED\" = yes ] || hook=true\n"                                                         \
    "slot=$SLOT_A\n"                                                                               \
    "[ \"$TARGET\" = A ] || slot=$SLOT_B\n"                                                        \
    "\"$hook\" pre-install \"$1/target\"\n"                                                        \
    "[ \"$FAULT\" != killed-before-write ] || kill -9 $$\n"                                        \
    "[ \"$FAULT\" != killed-writing ] || ulimit -S -f 8\n"                                         \
    "[ \"$FAULT\" != write-fails ] || { trap '' XFSZ; ulimit -S -f 8; }\n"                         \
    "if ! cat \"$1/image\" >\"$slot\"; then\n"                                                     \
    "    \"$hook\" install-failed \"$1/target\"\n"                                                 \
    "    exit 1\n"                                                                                 \
    "fi\n"                                                                                         \
    "[ \"$FAULT\" != killed-writing ] || kill -9 $$\n"                                             \
    "sync \"$slot\"\n"                                                                             \
    "if [ \"$FAULT\" = orphaned ]; then\n"                                                         \
    "    (timeout 120 cat go; \"$hook\" post-install \"$1/target\"; echo $? >ended) &\n"           \
    "    : >waiting; kill -9 $$\n"                                                                 \
    "fi\n"                                                                                         \
    "\"$hook\" post-install \"$1/target\"\n"                                                       \
    "[ \"$FAULT\" != killed-written ] || kill -9 $$\n"                                             \
    "[ \"$FAULT\" != post-fails ] || exit 1\n"                                                     \
    "printf '%%s\\n' bootslot=$TARGET upgrade_available=1 bootcount=0 >variables\n"                \
    "fw_setenv -s variables\n"

static void prepare(struct life *life)
{
    life_must(life, "mkfifo go");
    life_file(life, "updater", 0755, UPDATER);
}

static void shell_install(struct life *life, const struct update *update)
{
    life_must(life, "package=package-$(ls -d package-* 2>/dev/null | wc -l); mkdir $package; "
                    "cp image $package/; ln -sfn $package new");
    if (update->unsaid)
        life_must(life, "cp image new/target"); /* a text, and no word of it is one of ours */
    else
        life_file(life, "new/target", 0644, "aware=%s\nformat=%s\nversion=%s\n",
                  update->legacy ? "no" : "yes", update->legacy ? "none" : "1",
                  update->version != NULL ? update->version : "2.0");
    life_shell(life, update,
               update->without_hooks ? "HOOKED=no ./updater $(readlink new)"
                                     : "HOOKED=yes ./updater $(readlink new)");
}

static void shell_commit(struct life *life, bool hook)
{
    life_file(life, "variables", 0644, "upgrade_available=0\nbootcount=0\n");
    life_shell(life, NULL,
               hook ? "fw_setenv -s variables && \"$HOOKS\"/shell/idmode-hook commit"
                    : "fw_setenv -s variables");
}

static void shell_spurious(struct life *life)
{
    life_file(life, "any", 0644, "aware=yes\n");
    life_must(life, "\"$HOOKS\"/shell/idmode-hook post-install any");
}

/* Over the limit on trial, and the slot to go back to is none. */
static void condemn(struct life *life)
{
    life_file(life, "variables", 0644, "bootslot=-\nupgrade_available=1\nbootcount=4000\n");
    life_must(life, "fw_setenv -s variables");
}

static const struct updater shell = {
    .bootenv = LAB_BOOTENV_BOOTCOUNT,
    .missing = nothing_missing,
    .prepare = prepare,
    .install = shell_install,
    .commit = shell_commit,
    .spurious = shell_spurious,
    .condemn = condemn,
};

UPDATER_LIVES(shell, &shell)
