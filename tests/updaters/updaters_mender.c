/* SPDX-License-Identifier: BSD-2-Clause */
/* Mender, the packaged client and mender-artifact: signed artifacts with a root file system, installed
 * by `mender install` through hooks/mender, its state scripts and those in the artifact, into the slot
 * behind a loop device; U-Boot's environment by fw_setenv.
 *
 * Mender names slots by the number at the end of their device, here 2 and 3, in mender_boot_part. The
 * model's bootloader calls it bootslot: `run` writes each into the other, as its U-Boot scripts would.
 * Which device is mounted at / Mender learns from `mount`, which is one of the tools here. */
#include "tests/updaters/lives.h"

#include <string.h>

static const char *mender_missing(void)
{
    if (system("command -v mender mender-artifact >/dev/null") != 0)
        return "mender-client or mender-artifact is not installed";
    if (system(
            "unshare --mount sh -ec 'mount -t tmpfs none /mnt; mkdir /mnt/u /mnt/w;"
            " mount -t overlay none -o lowerdir=/var/lib,upperdir=/mnt/u,workdir=/mnt/w /var/lib'"
            " 2>/dev/null && losetup -f >/dev/null 2>&1") != 0)
        return "Mender's directories are laid over the machine's, and it writes to block devices: "
               "no overlay or no loop device here";
    return NULL;
}

#define CONFIGURATION                                                                              \
    "{\n"                                                                                          \
    "  \"RootfsPartA\": \"%s/updater/part2\",\n"                                                   \
    "  \"RootfsPartB\": \"%s/updater/part3\",\n"                                                   \
    "  \"ArtifactVerifyKey\": \"%s/updater/public.pem\",\n"                                        \
    "  \"ServerURL\": \"https://nowhere.invalid\"\n"                                               \
    "}\n"

/* Directories laid over /etc/mender and /var/lib/mender, the device behind the slot, variables both
 * ways; then Mender with the arguments. */
#define RUN                                                                                        \
    "#!/bin/sh\n"                                                                                  \
    "cd \"$W\" && mkdir -p over && mount -t tmpfs none over && mkdir over/u over/w &&\n"           \
    "    mount -t overlay none -o lowerdir=/var/lib,upperdir=over/u,workdir=over/w /var/lib &&\n"  \
    "    rm -rf /var/lib/mender && ln -s \"$W\"/data /var/lib/mender &&\n"                         \
    "    mount --bind \"etc-$HOOKED\" /etc/mender || exit 125\n"                                   \
    "slot=$SLOT_A number=3 other=2\n"                                                              \
    "[ $TARGET = A ] || slot=$SLOT_B number=2 other=3\n"                                           \
    "device=$(losetup -f --show \"$slot\") && trap 'losetup -d $device' EXIT || exit 125\n"        \
    "ln -sfn $device part$other && ln -sfn /dev/null part$number\n"                                \
    "put() { printf '%%s\\n' \"$@\" >variables && FAULT=none fw_setenv -s variables; }\n"          \
    "put mender_boot_part=$number mender_boot_part_hex=$number || exit 125\n"                      \
    "sh -c 'echo $$ >pid; exec mender --no-syslog \"$@\"' - \"$@\" >log 2>&1; code=$?\n"           \
    "cat log\n"                                                                                    \
    "[ $(fw_printenv -n mender_boot_part) = $number ] || put bootslot=$TARGET\n"                   \
    "exit $code\n"

static void make_mender(struct life *life)
{
    const char *base = life->world->device.base;

    life_must(life,
              "mkdir -p data etc-yes/scripts etc-no; mkfifo go half\n"
              "echo device_type=test >data/device_type\n"
              "for etc in etc-yes etc-no; do echo artifact_name=1.0 >$etc/artifact_info; done\n"
              "echo 3 >etc-yes/scripts/version\n"
              "cp \"$HOOKS\"/mender/rootfs/* etc-yes/scripts/\n"
              "openssl genrsa -traditional -out key.pem 2048 2>/dev/null\n"
              "openssl rsa -in key.pem -pubout -out public.pem 2>/dev/null");
    life_file(life, "etc-yes/mender.conf", 0644, CONFIGURATION, base, base, base);
    life_file(life, "etc-no/mender.conf", 0644, CONFIGURATION, base, base, base);
    life_file(life, "tools/mount", 0755,
              "#!/bin/sh\n"
              "[ $# = 0 ] || exec /bin/mount \"$@\"\n"
              "number=2; [ $RUNNING = A ] || number=3\n"
              "echo \"$W/part$number on / type ext4\"\n");
    life_file(life, "run", 0755, RUN);
}

static void prepare(struct life *life)
{
    make_mender(life);
    /* Scripts of the product's own. */
    life_file(life, "etc-yes/scripts/Download_Enter_50_product", 0755,
              "#!/bin/sh\n[ \"$FAULT\" != killed-before-write ] || kill -9 $PPID\n");
    life_file(life, "ArtifactInstall_Enter_50_product", 0755,
              "#!/bin/sh\n[ \"$FAULT\" != post-fails ]\n");
    /* Mender, about to say that the new slot may be tried. */
    life_file(life, "before-setenv", 0755,
              "#!/bin/sh\n"
              "if [ \"$FAULT\" = killed-written ]; then kill -9 $1; exit 1; fi\n");
    /* The script is under way when Mender dies, and its call arrives late. */
    life_file(
        life, "before-idmode", 0755,
        "#!/bin/sh\n"
        "case \"$FAULT $*\" in orphaned*post-install*)\n"
        "    cd \"$W\"; : >waiting; kill -9 $(cat pid); timeout 120 cat go >/dev/null; exit 1 ;;\n"
        "esac\n");
}

static void pack(struct life *life, const struct update *update)
{
    char script[1024];

    snprintf(
        script, sizeof(script),
        "rm -rf scripts update; mkdir scripts\n"
        "if [ %s = yes ]; then\n"
        "    cp \"$HOOKS\"/mender/artifact/* ArtifactInstall_Enter_50_product scripts/\n"
        "    [ '%s' = '' ] || sed -i \"s/^said=.*/said='%s'/\" "
        "scripts/ArtifactInstall_Enter_00_idmode\n"
        "fi\n"
        "mender-artifact write rootfs-image -n %s -t test -f image -k key.pem --compression none "
        "--no-progress -o update $(for i in scripts/*; do [ ! -e $i ] || echo \"-s $i\"; done)",
        update->without_hooks ? "no" : "yes",
        update->unsaid   ? ""
        : update->legacy ? "aware=no format=none"
                         : "aware=yes format=1",
        update->legacy ? "aware=no format=none" : "aware=yes format=1",
        update->version != NULL ? update->version : "2.0");
    life_must(life, script);
}

/* What of an artifact arrives: all, half of its image, or that half and then nothing more. */
#define INSTALL                                                                                    \
    "half=$(($(grep -abo 'idmode test' update | head -n 1 | cut -d : -f 1) + 4096))\n"             \
    "case $FAULT in\n"                                                                             \
    "write-fails) head -c $half update >cut; ./run install cut ;;\n"                               \
    "killed-writing)\n"                                                                            \
    "    rm -f log; ./run install half & pid=$!\n"                                                 \
    "    exec 3>half; head -c $half update >&3\n"                                                  \
    "    for i in $(seq 600); do ! grep -q 'Opening device' log || break; sleep 0.1; done\n"       \
    "    kill -9 $(cat pid); wait $pid ;;\n"                                                       \
    "*) ./run install update ;;\n"                                                                 \
    "esac"

static void mender_install(struct life *life, const struct update *update)
{
    pack(life, update);
    life_shell(life, update,
               update->without_hooks ? "export HOOKED=no\n" INSTALL
                                     : "export HOOKED=yes\n" INSTALL);
}

static void mender_commit(struct life *life, bool hook)
{
    life_shell(life, NULL, hook ? "HOOKED=yes ./run commit" : "HOOKED=no ./run commit");
}

static void mender_spurious(struct life *life)
{
    life_must(life, "\"$HOOKS\"/mender/artifact/ArtifactInstall_Enter_00_idmode");
}

/* Over the limit on trial, and the slot to go back to is none. */
static void condemn(struct life *life)
{
    life_file(life, "variables", 0644, "bootslot=-\nupgrade_available=1\nbootcount=4000\n");
    life_must(life, "fw_setenv -s variables");
}

static const struct updater mender = {
    .bootenv = LAB_BOOTENV_BOOTCOUNT,
    .missing = mender_missing,
    .prepare = prepare,
    .install = mender_install,
    .commit = mender_commit,
    .spurious = mender_spurious,
    .condemn = condemn,
};

UPDATER_LIVES(mender, &mender)
