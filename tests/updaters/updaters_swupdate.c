/* SPDX-License-Identifier: BSD-2-Clause */
/* SWUpdate, the packaged one, installs signed .swu files through hooks/swupdate: `swupdate -i`, images
 * streamed into the slot, libubootenv on the device's redundant environment, whose configuration is laid
 * over /etc.
 *
 * Success is what SWUpdate says, not its exit code: of successful installations one in five ends with 1,
 * before it has run postupdatecmd (README.md). */
#include "tests/updaters/lives.h"

#include <string.h>

static const char *swupdate_missing(void)
{
    if (system("command -v swupdate cpio >/dev/null") != 0)
        return "swupdate or cpio is not installed";
    if (system("unshare --mount sh -ec 'mount -t tmpfs none /mnt; mkdir /mnt/u /mnt/w;"
               " mount -t overlay none -o lowerdir=/etc,upperdir=/mnt/u,workdir=/mnt/w /etc'"
               " 2>/dev/null") != 0)
        return "the boot environment's configuration is laid over /etc: no overlay can be mounted "
               "here";
    return NULL;
}

static void prepare(struct life *life)
{
    life_must(life, "mkdir tmp; mkfifo go\n"
                    "openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj /CN=updates "
                    "-addext extendedKeyUsage=emailProtection -keyout key.pem -out cert.pem 2>&1");
    const char *base = life->world->device.base;
    for (int hooks = 0; hooks < 2; hooks++)
        life_file(life, hooks ? "swupdate.cfg" : "bare.cfg", 0644,
                  "globals :\n{\n"
                  "    verbose = true;\n"
                  "    loglevel = 5;\n"
                  "    bootloader = \"uboot\";\n"
                  "    public-key-file = \"%s/updater/cert.pem\";\n"
                  "    %s%s%s\n"
                  "};\n",
                  base, hooks ? "preupdatecmd = \"" : "", hooks ? base : "",
                  hooks ? "/updater/pre-update\";" : "");
    life_file(life, "pre-update", 0755,
              "#!/bin/sh\n"
              "\"$HOOKS\"/swupdate/pre-update || exit\n"
              "[ \"$FAULT\" != killed-before-write ] || kill -9 $(cat \"$W/pid\")\n");
    /* A script of the product's own, after ours or, for a handler that is late, around it. */
    life_file(life, "product", 0755,
              "#!/bin/sh\n"
              "case $1,$FAULT in\n"
              "postinst,killed-written) kill -9 $(cat \"$W/pid\") ;;\n"
              "postinst,post-fails) exit 1 ;;\n"
              "postinst,orphaned)\n"
              "    cd \"$W\"; : >waiting; kill -9 $(cat pid); timeout 120 cat go >/dev/null\n"
              "    \"$HOOKS\"/swupdate/idmode-target \"$@\"; echo $? >ended ;;\n"
              "esac\n");
    /* /etc with the device's fw_env.config. The limit lies in the middle of the image; ignored, the
     * write fails, else it is deadly. */
    life_file(life, "run", 0755,
              "#!/bin/sh\n"
              "mkdir -p over && mount -t tmpfs none over && mkdir over/u over/w &&\n"
              "    mount -t overlay none -o lowerdir=/etc,upperdir=over/u,workdir=over/w /etc &&\n"
              "    cp \"$FW_CONFIG\" /etc/fw_env.config || exit 125\n"
              "[ \"$FAULT\" != write-fails ] || trap '' XFSZ\n"
              "marker=\n"
              "case $FAULT in write-fails | killed-writing) ulimit -S -f 8; marker=-M ;; esac\n"
              "echo $$ >pid\n"
              "export TMPDIR=$W/tmp\n"
              "exec swupdate -f $1 $marker -k cert.pem -H test:1.0 -e stable,copy-$TARGET -i "
              "update.swu\n");
}

/* One script in sw-description. */
static void describe_script(struct life *life, const char *name, const char *data)
{
    char script[512];

    snprintf(
        script, sizeof(script),
        "printf '{ filename = \"%%s\"; type = \"shellscript\"; data = \"%%s\"; sha256 = \"%%s\"; "
        "}\\n' %s '%s' $(sha256sum <%s | cut -c 1-64) >>scripts",
        name, data, name);
    life_must(life, script);
}

static void pack(struct life *life, const struct update *update)
{
    char data[128];
    bool told = !update->unsaid && !update->without_hooks;
    bool orphaned = update->end == UPDATE_orphaned;

    snprintf(data, sizeof(data), "idmode aware=%s format=%s version=%s",
             update->legacy ? "no" : "yes", update->legacy ? "none" : "1",
             update->version != NULL ? update->version : "2.0");
    life_must(life, "rm -f scripts update.swu; cp \"$HOOKS\"/swupdate/idmode-target .; : >scripts");
    if (told && !orphaned)
        describe_script(life, "idmode-target", data);
    if (!update->without_hooks)
        describe_script(life, "product", orphaned && told ? data : "");
    life_must(life,
              "slot=$SLOT_A; [ $TARGET = A ] || slot=$SLOT_B\n"
              "cat >sw-description <<END\n"
              "software =\n{\n"
              "    version = \"1\";\n"
              "    hardware-compatibility = [ \"1.0\" ];\n"
              "    stable: { copy-$TARGET: {\n"
              "        images: ({ filename = \"image\"; device = \"$slot\"; type = \"raw\";\n"
              "            installed-directly = true; sha256 = \"$(sha256sum <image | cut -c "
              "1-64)\"; });\n"
              "        scripts: ($(paste -s -d , scripts));\n"
              "        bootenv: ({ name = \"bootslot\"; value = \"$TARGET\"; },\n"
              "            { name = \"upgrade_available\"; value = \"1\"; },\n"
              "            { name = \"bootcount\"; value = \"0\"; });\n"
              "    }; };\n"
              "}\n"
              "END\n"
              "openssl cms -sign -in sw-description -out sw-description.sig -signer cert.pem "
              "-inkey key.pem -outform DER -nosmimecap -binary\n"
              "printf '%s\\n' sw-description sw-description.sig idmode-target product image | "
              "cpio -o -H crc --quiet >update.swu");
}

/* On a busy machine SWUpdate 2022.12 may end without a word before it began: then nothing was done, and it is called
 * again. Its exit code says nothing, nor does its last word, "SWUpdate was successful": its client asks for a result
 * while the installer writes it, and either may be first. What the installer itself says in the log counts. */
static void swupdate_install(struct life *life, const struct update *update)
{
    pack(life, update);
    life_file(life, "begin", 0755,
              "#!/bin/sh\n"
              "for attempt in 1 2 3; do\n"
              "    ./run $1 >log 2>&1 || true\n"
              "    ! grep -q 'Software Update started' log || break\n"
              "done\n"
              "cat log\n"
              "! grep -q 'SWUPDATE failed' log &&\n"
              "    grep -Eq 'SWUPDATE successful|SWUpdate was successful' log\n");
    life_shell(life, update, update->without_hooks ? "./begin bare.cfg" : "./begin swupdate.cfg");
}

/* What an image does that is content with itself. */
static void swupdate_commit(struct life *life, bool hook)
{
    life_file(life, "variables", 0644, "upgrade_available=0\nbootcount=0\nustate=0\n");
    life_shell(life, NULL,
               hook ? "fw_setenv -s variables && idmode -q hook commit" : "fw_setenv -s variables");
}

static void swupdate_spurious(struct life *life)
{
    life_must(life, "\"$HOOKS\"/swupdate/idmode-target postinst idmode aware=yes format=1");
}

/* Over the limit on trial, and the slot to go back to is none. */
static void condemn(struct life *life)
{
    life_file(life, "variables", 0644,
              "bootslot=-\nupgrade_available=1\nbootcount=4000\nustate=3\n");
    life_must(life, "fw_setenv -s variables");
}

static const struct updater swupdate = {
    .bootenv = LAB_BOOTENV_BOOTCOUNT,
    .missing = swupdate_missing,
    .prepare = prepare,
    .install = swupdate_install,
    .commit = swupdate_commit,
    .spurious = swupdate_spurious,
    .condemn = condemn,
};

UPDATER_LIVES(swupdate, &swupdate)
