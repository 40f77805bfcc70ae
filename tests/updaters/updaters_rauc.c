/* SPDX-License-Identifier: BSD-2-Clause */
/* RAUC, the packaged one, installs signed bundles through hooks/rauc: with its U-Boot backend on the
 * redundant environment, and with a custom bootloader backend that keeps a trial marker.
 *
 * The service is started by a message bus of its own when `rauc install` asks for it, so nothing has
 * to be waited for, and it ends with that bus. Bundles are `plain`: no device mapper is needed. */
#include "tests/updaters/lives.h"

#include <string.h>

static const char *rauc_missing(void)
{
    if (system("command -v rauc dbus-run-session mksquashfs >/dev/null") != 0)
        return "rauc, rauc-service, dbus-daemon or squashfs-tools is not installed";
    if (system("losetup -f >/dev/null 2>&1 && unshare --mount true 2>/dev/null") != 0)
        return "RAUC mounts bundles: no loop device or no mount namespace here";
    return NULL;
}

#define BUS                                                                                        \
    "<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN\"\n"         \
    " \"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">\n"                          \
    "<busconfig><type>session</type><listen>unix:dir=/tmp</listen>\n"                              \
    "<servicedir>%s/updater/services</servicedir><policy context=\"default\">\n"                   \
    "<allow send_destination=\"*\" eavesdrop=\"true\"/><allow eavesdrop=\"true\"/>\n"              \
    "<allow own=\"*\"/></policy></busconfig>\n"

/* Handlers of the product, which call ours: see README.md, "Handlers that exist already". */
static void make_handlers(struct life *life)
{
    life_file(life, "pre-install", 0755,
              "#!/bin/sh\n"
              "[ \"$HOOKED\" = yes ] || exit 0\n"
              "\"$HOOKS\"/rauc/pre-install || exit\n"
              "[ \"$FAULT\" != killed-before-write ] || kill -9 $PPID\n");
    life_file(life, "post-install", 0755,
              "#!/bin/sh\n"
              "[ \"$HOOKED\" = yes ] || exit 0\n"
              "if [ \"$FAULT\" = orphaned ]; then\n"
              "    : >waiting; kill -9 $PPID\n"
              "    timeout 120 cat go >/dev/null\n"
              "    \"$HOOKS\"/rauc/post-install\n"
              "    echo $? >ended\n"
              "    exit\n"
              "fi\n"
              "\"$HOOKS\"/rauc/post-install\n"
              "[ \"$FAULT\" != post-fails ]\n");
}

static void make_service(struct life *life)
{
    const char *base = life->world->device.base;

    life_must(life, "mkdir services bundle; mkfifo go");
    life_file(life, "bus.conf", 0644, BUS, base);
    life_file(life, "services/de.pengutronix.rauc.service", 0644,
              "[D-BUS Service]\nName=de.pengutronix.rauc\nExec=%s/updater/service\n", base);
    /* The limit lies in the middle of the image. Ignored, the write fails; else it is deadly. */
    life_file(life, "service", 0755,
              "#!/bin/sh\n"
              "cd \"$W\" || exit\n"
              "[ \"$FAULT\" != write-fails ] || trap '' XFSZ\n"
              "case $FAULT in write-fails | killed-writing) ulimit -S -f 8 ;; esac\n"
              "exec rauc --conf=system.conf service --override-boot-slot=\"$RUNNING\"\n");
}

static void prepare(struct life *life, const char *bootloader)
{
    char backend[PATH_MAX] = "";

    if (strcmp(bootloader, "custom") == 0)
        snprintf(backend, sizeof(backend), "bootloader-custom-backend=%s/updater/backend\n",
                 life->world->device.base);
    life_must(life, "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
                    " -days 3650 -subj /CN=bundles -keyout key.pem -out cert.pem 2>&1");
    make_service(life);
    make_handlers(life);
    const char *base = life->world->device.base, *root = life->world->device.root;
    life_file(life, "system.conf", 0644,
              "[system]\n"
              "compatible=test\n"
              "bootloader=%s\n"
              "statusfile=%s/updater/status\n"
              "mountprefix=%s/updater/mnt\n"
              "[keyring]\n"
              "path=%s/updater/cert.pem\n"
              "[handlers]\n"
              "pre-install=%s/updater/pre-install\n"
              "post-install=%s/updater/post-install\n"
              "%s"
              "[slot.system.0]\ndevice=%s/slots/a.img\ntype=raw\nbootname=A\n"
              "[slot.system.1]\ndevice=%s/slots/b.img\ntype=raw\nbootname=B\n",
              bootloader, base, base, base, base, base, backend, root, root);
}

static void prepare_uboot(struct life *life)
{
    prepare(life, "uboot");
    /* RAUC, about to say that the new slot may be tried. */
    life_file(
        life, "before-setenv", 0755,
        "#!/bin/sh\n"
        "if [ \"$FAULT\" = killed-written ] && [ \"$3\" = 3 ]; then kill -9 $1; exit 1; fi\n");
}

static void prepare_custom(struct life *life)
{
    prepare(life, "custom");
    life_file(life, "backend", 0755,
              "#!/bin/sh\n"
              "set_all() { printf '%%s\\n' \"$@\" >variables && fw_setenv -s variables; }\n"
              "case $1 in\n"
              "get-primary) fw_printenv -n bootslot ;;\n"
              "get-state) echo good ;;\n"
              "set-primary)\n"
              "    if [ \"$FAULT\" = killed-written ]; then kill -9 $PPID; exit 1; fi\n"
              "    set_all bootslot=$2 upgrade_available=1 bootcount=0 ;;\n"
              "set-state)\n"
              "    [ \"$2 $3\" != \"$RUNNING good\" ] || set_all upgrade_available=0 bootcount=0\n"
              "    [ \"$2 $3\" != \"$RUNNING bad\" ] ||\n"
              "        set_all bootslot=$TARGET upgrade_available=0 bootcount=0 ;;\n"
              "esac\n");
}

#define RAUC                                                                                       \
    "dbus-run-session --config-file=bus.conf -- env DBUS_STARTER_BUS_TYPE=session "                \
    "rauc --conf=system.conf "

static void rauc_install(struct life *life, const struct update *update)
{
    life_must(life, "rm -rf bundle bundle.raucb; mkdir bundle; cp image bundle/system.img");
    life_file(life, "bundle/manifest.raucm", 0644,
              "[update]\ncompatible=test\nversion=%s\n[bundle]\nformat=plain\n"
              "[image.system]\nfilename=system.img\n",
              update->version != NULL ? update->version : "2.0");
    if (!update->unsaid)
        life_file(life, "bundle/idmode.target", 0644, "aware=%s\nformat=%s\n",
                  update->legacy ? "no" : "yes", update->legacy ? "none" : "1");
    life_must(life, "rauc bundle --cert=cert.pem --key=key.pem bundle bundle.raucb 2>&1");
    life_shell(life, update,
               update->without_hooks ? "HOOKED=no " RAUC "install bundle.raucb"
                                     : "HOOKED=yes " RAUC "install bundle.raucb");
}

static void rauc_commit(struct life *life, bool hook)
{
    life_shell(life, NULL,
               hook ? RAUC "status mark-good && \"$HOOKS\"/rauc/mark-good"
                    : RAUC "status mark-good");
}

/* As RAUC calls it, for a slot that it does not install. */
static void rauc_spurious(struct life *life)
{
    life_must(life, "RAUC_TARGET_SLOTS=1 RAUC_SLOT_BOOTNAME_1=\"$TARGET\" "
                    "RAUC_IMAGE_CLASS_1=system RAUC_BUNDLE_MOUNT_POINT=/nowhere "
                    "\"$HOOKS\"/rauc/post-install");
}

static void condemn(struct life *life)
{
    life_must(life, RAUC "status mark-bad other");
    life_must(life, RAUC "status mark-bad booted");
}

static void condemn_uboot(struct life *life)
{
    condemn(life);
    life_env(life, "BOOT_ORDER", "");
    life_env(life, "BOOT_A_LEFT", "0");
    life_env(life, "BOOT_B_LEFT", "0");
}

static const struct updater with_uboot = {
    .bootenv = LAB_BOOTENV_RAUC,
    .armed_before_post = true,
    .missing = rauc_missing,
    .prepare = prepare_uboot,
    .install = rauc_install,
    .commit = rauc_commit,
    .spurious = rauc_spurious,
    .condemn = condemn_uboot,
};

static const struct updater with_custom = {
    .bootenv = LAB_BOOTENV_BOOTCOUNT,
    .armed_before_post = true,
    .missing = rauc_missing,
    .prepare = prepare_custom,
    .install = rauc_install,
    .commit = rauc_commit,
    .spurious = rauc_spurious,
    .condemn = condemn,
};

UPDATER_LIVES(rauc_uboot, &with_uboot)
UPDATER_LIVES(rauc_custom, &with_custom)
