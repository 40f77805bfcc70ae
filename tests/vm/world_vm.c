/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/vm/world_vm.h"

#include "tests/lab/real.h"
#include "tests/vm/machine.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define IMAGES IDM_TEST_BUILD_DIR "/vm"
#define CHECKS IDM_TEST_SOURCE_DIR "/tests/vm/checks"
#define INSTANTS                                                                                   \
    80u /* where a cut may fall, from where the step begins to a fifth after its end … */
#define UNKNOWN_MS 8000u /* … or, before such a step was seen whole, in so many milliseconds */
#define SCRIPT_MAX 4096u

struct vm {
    struct lab_world real; /* first: what is seen of the machine */
    struct idm_machine machine;
    unsigned long changes;
    enum lab_action action;               /* of the step that is taken */
    unsigned long took[LAB_ACTION_COUNT]; /* ms, uncut and last; 0: not known */
    unsigned long cut_ms;                 /* 0: uncut */
    char note[LAB_SENTENCE_SIZE];
};

static struct vm *vm_of(struct lab_world *world)
{
    return (struct vm *)world;
}

static int broke(struct vm *vm)
{
    return idm_device_fail(&vm->real.device, "%s", vm->machine.error);
}

/* ---- on this side ---- */

static int here(struct vm *vm, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A script in BASE, with $ROOT, $VM and $IMAGES. */
static int here(struct vm *vm, const char *format, ...)
{
    _cleanup_run_ struct idm_run run = {0};
    char script[SCRIPT_MAX], base[320], root[320], machine[320];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(script, sizeof(script), format, arguments);
    va_end(arguments);
    snprintf(base, sizeof(base), "VM=%s/vm", vm->real.device.base);
    snprintf(root, sizeof(root), "ROOT=%s", vm->real.device.root);
    snprintf(machine, sizeof(machine), "IMAGES=%s", IMAGES);
    const char *const env[] = {base, root, machine, "SOURCE=" IDM_TEST_SOURCE_DIR, NULL};
    const struct idm_run_options options = {.env = env, .timeout_s = 600};
    if (idm_run(&run, &options, (const char *const[]){"bash", "-euc", script, NULL}) != 0)
        return idm_device_fail(&vm->real.device, "bash: %s", strerror(errno));
    if (run.exit_code == 0)
        return 0;
    return idm_device_fail(&vm->real.device, "%.200s: %.300s%.100s", script, run.err, run.out);
}

/* A slot: what the bootloader knows of it, then the files over the base system. */
static int put_slot(struct vm *vm, int slot, bool aware, const char *version)
{
    if (idm_device_put_image(&vm->real.device, slot, aware, version) != 0)
        return -1;
    return here(vm, "cat $IMAGES/%s.img >>$ROOT/slots/%c.img", aware ? "aware" : "legacy",
                "ab"[slot]);
}

/* ---- what the machine holds ---- */

/* The chip's memory, in a second chip that is asked instead. */
static int copy_chip(struct vm *vm)
{
    struct idm_device *device = &vm->real.device;

    idm_swtpm_stop(&device->tpm);
    if (here(vm, "rm -rf -- '%s'; cp -a $VM/tpm '%s'", device->tpm.state_dir,
             device->tpm.state_dir) != 0)
        return -1;
    return idm_swtpm_resume(&device->tpm) == 0 ? 0 : idm_device_fail(device, "the chip's copy");
}

/* Names and sizes are not enough: the same files are written anew by each copy. */
#define SUMS                                                                                       \
    "(cd $ROOT; find config persist -type f ! -path persist/config/tpm_in_use ! -name rauc.status" \
    " -print0 | sort -z | xargs -0 -r sha256sum)"

static int count_changes(struct vm *vm)
{
    char path[IDM_DEVICE_PATH_SIZE], line[512];
    FILE *lines;

    if (here(vm, SUMS ">$VM/after; diff $VM/before $VM/after | grep -c '^[<>]' >$VM/changes || :; "
                      "mv $VM/after $VM/before") != 0)
        return -1;
    snprintf(path, sizeof(path), "%s/vm/changes", vm->real.device.base);
    lines = fopen(path, "re");
    if (lines != NULL && fgets(line, sizeof(line), lines) != NULL)
        vm->changes = strtoul(line, NULL, 10);
    if (lines != NULL)
        fclose(lines);
    return 0;
}

static int empty_copies(struct vm *vm)
{
    return here(vm, "for at in config persist; do find $ROOT/$at -mindepth 1 -delete; done;"
                    "rm -rf $ROOT/run; mkdir $ROOT/run");
}

/* From the disks of a machine without power. */
static int copy_disks(struct vm *vm)
{
    /* A FAT whose plug was pulled may hold what mtools will not read and a kernel mends: it is read again then
     * from a copy that was mended. */
    if (empty_copies(vm) != 0 ||
        here(vm, "look() { mcopy -s -n -p -m -i $1 '::*' $ROOT/config/ 2>$VM/look.log ||"
                 "    [ -z \"$(mdir -b -i $1 :: 2>/dev/null)\" ]; }\n"
                 "look $VM/config.img || {\n"
                 "    cp $VM/config.img $VM/config.copy; fsck.fat -a $VM/config.copy "
                 ">>$VM/look.log || :\n"
                 "    find $ROOT/config -mindepth 1 -delete\n"
                 "    look $VM/config.copy || { cat $VM/look.log >&2; exit 1; }\n"
                 "}") != 0)
        return -1;
    return here(vm, "cp $VM/persist.img $VM/persist.copy; mkdir -p $VM/persist;"
                    "mount -o loop $VM/persist.copy $VM/persist;"
                    "cp -a $VM/persist/. $ROOT/persist/; umount $VM/persist; rm $VM/persist.copy");
}

/* From a running machine. */
static int copy_live(struct vm *vm)
{
    char path[IDM_DEVICE_PATH_SIZE], *out = NULL;
    size_t size = 0;
    int code = 0;

    /* What the agent gives back has both outputs in it: a word about a file that is just being replaced would
     * stand in the middle of the archive. */
    if (idm_machine_ask(&vm->machine,
                        "sync; cat /proc/sys/kernel/random/boot_id >/run/boot_id;"
                        "cd /; mkdir -p run/idmode; tar --exclude=lost+found --exclude=sign.sock "
                        "-c config persist run/idmode run/boot_id 2>/run/idm-vm.tar.log",
                        &code, &out, &size) != 0)
        return broke(vm);
    snprintf(path, sizeof(path), "%s/vm/live.tar", vm->real.device.base);
    FILE *tar = fopen(path, "we");
    size_t written = tar == NULL ? 0 : fwrite(out, 1, size, tar);
    if (tar != NULL)
        fclose(tar);
    free(out);
    if (code > 1 || written != size)
        return idm_device_fail(&vm->real.device, "tar in the machine: exit %d", code);
    return empty_copies(vm) != 0 ? -1
                                 : here(vm, "tar -xf $VM/live.tar -C $ROOT; mv $ROOT/run/boot_id "
                                            "$ROOT/proc/sys/kernel/random/boot_id;"
                                            "rmdir $ROOT/run/idmode 2>/dev/null || :");
}

static int look(struct vm *vm)
{
    bool on = vm->machine.qemu > 0;

    if ((on ? copy_live(vm) : copy_disks(vm)) != 0 || copy_chip(vm) != 0)
        return -1;
    return count_changes(vm);
}

/* ---- making it ---- */

static int set_paths(struct vm *vm)
{
    static const char *const names[IDM_MACHINE_DISKS] = {
        [3] = "config.img", [4] = "persist.img", [7] = "media.img"};
    struct idm_machine *m = &vm->machine;
    const struct idm_device *device = &vm->real.device;

    snprintf(m->dir, sizeof(m->dir), "%s/vm", device->base);
    snprintf(m->kernel, sizeof(m->kernel), "%s/vmlinux", IMAGES);
    snprintf(m->initrd, sizeof(m->initrd), "%s/initrd", IMAGES);
    snprintf(m->tpm_state, sizeof(m->tpm_state), "%s/vm/tpm", device->base);
    for (size_t i = 3; i < IDM_MACHINE_DISKS; i++)
        snprintf(m->disks[i], sizeof(m->disks[i]), "%s/vm/%s", device->base,
                 names[i] != NULL ? names[i] : "");
    snprintf(m->disks[0], sizeof(m->disks[0]), "%s/base.img", IMAGES);
    snprintf(m->disks[1], sizeof(m->disks[1]), "%s/slots/a.img", device->root);
    snprintf(m->disks[2], sizeof(m->disks[2]), "%s/slots/b.img", device->root);
    snprintf(m->disks[5], sizeof(m->disks[5]), "%s/boot/uboot.env", device->root);
    snprintf(m->disks[6], sizeof(m->disks[6]), "%s/boot/uboot-redund.env", device->root);
    snprintf(m->serial, sizeof(m->serial), "SN-%.8s", device->base + strlen(device->base) - 6);
    return access(m->kernel, R_OK) == 0
               ? 0
               : idm_device_fail(&vm->real.device, "%s is missing: ./dev test --label vm makes it",
                                 m->kernel);
}

static int furnish(struct vm *vm, const struct lab_device *device)
{
    if (set_paths(vm) != 0 ||
        here(vm,
             "mkdir -p $VM; cp -a '%s' $VM/tpm; echo '%s' "
             ">$ROOT/sys/class/dmi/id/product_serial;"
             "truncate -s 4M $VM/config.img; mkfs.vfat -n CONFIG $VM/config.img >/dev/null;"
             "truncate -s 16M $VM/persist.img; mkfs.ext4 -q -L persist $VM/persist.img;"
             "truncate -s 16M $VM/media.img; : >$VM/before;"
             "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "
             "-subj /CN=factory -days 30 -keyout $VM/sign.key -out $VM/sign.pem 2>/dev/null;"
             "for at in config persist; do mount --bind $ROOT/$at $ROOT/$at; done",
             vm->real.device.tpm.state_dir, vm->machine.serial) != 0)
        return -1;
    if (put_slot(vm, 0, device->aware, device->version) != 0)
        return -1;
    if (device->other_slot != LAB_SLOT_EMPTY)
        return put_slot(vm, 1, device->other_slot == LAB_SLOT_AWARE, device->version);
    return here(vm, "truncate -s $(stat -c %%s $ROOT/slots/a.img) $ROOT/slots/b.img");
}

static void vm_close(struct lab_world *world)
{
    char path[IDM_DEVICE_PATH_SIZE];

    if (world == NULL)
        return;
    idm_machine_off(&vm_of(world)->machine);
    idm_device_path(&world->device, "/config", path);
    (void)umount2(path, MNT_DETACH);
    idm_device_path(&world->device, "/persist", path);
    (void)umount2(path, MNT_DETACH);
    idm_device_close(&world->device);
    free(world);
}

static int vm_act(struct lab_world *world, const struct lab_step *step, const struct lab_cut *cut,
                  struct lab_result *ret);

static int vm_open(struct lab_world **ret, const struct lab_device *device,
                   char error[LAB_SENTENCE_SIZE])
{
    static const struct lab_step power_on = {.action = LAB_DO_boot};
    const struct idm_device_options options = {
        .legacy = !device->aware, .version = device->version, .scheme = IDM_BOOT_RAUC};
    struct vm *vm = calloc(1, sizeof(*vm));
    struct lab_result result;

    if (vm == NULL) {
        snprintf(error, LAB_SENTENCE_SIZE, "out of memory");
        return -1;
    }
    vm->machine.agent = -1;
    vm->real.chips = 1;
    vm->real.clock_good = vm->real.config_mounted = vm->real.persist_mounted = true;
    vm->real.chip = LAB_TPM_USABLE;
    if (idm_device_open(&vm->real.device, &options) == 0 && furnish(vm, device) == 0 &&
        (!device->provisioned || vm_act(&vm->real, &power_on, NULL, &result) == 0)) {
        *ret = &vm->real;
        return 0;
    }
    snprintf(error, LAB_SENTENCE_SIZE, "%.*s", (int)LAB_SENTENCE_SIZE - 1, vm->real.device.error);
    vm_close(&vm->real);
    return -1;
}

/* ---- acting ---- */

static unsigned long now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (unsigned long)now.tv_sec * 1000 + (unsigned long)now.tv_nsec / 1000000;
}

/* Since `start`, when the step began. */
static int pull_the_plug(struct vm *vm, unsigned long start, unsigned long instant)
{
    unsigned long took = vm->took[vm->action];
    unsigned long at = start + (took != 0 ? took * 6 / 5 : UNKNOWN_MS) * instant / INSTANTS;

    while (now_ms() < at) {
        const struct timespec step = {.tv_nsec = 2000000};

        nanosleep(&step, NULL);
    }
    idm_machine_off(&vm->machine);
    vm->real.device.was_cut = true;
    vm->cut_ms = now_ms() - start;
    return 0;
}

/* Has the machine do it, or pulls the plug in its middle. */
static int there(struct vm *vm, const struct lab_cut *cut, const char *script)
{
    struct idm_device *device = &vm->real.device;
    char *out = NULL;
    size_t size;

    unsigned long start = now_ms();
    if (idm_machine_begin(&vm->machine, script) != 0)
        return broke(vm);
    if (cut != NULL && cut->kind == LAB_CUT_AT)
        return pull_the_plug(vm, start, cut->at);
    if (idm_machine_end(&vm->machine, &device->exit_code, &out, &size) != 0)
        return broke(vm);
    snprintf(device->said, sizeof(device->said), "%.*s", (int)sizeof(device->said) - 1, out);
    free(out);
    if (cut != NULL && vm->action != LAB_DO_boot)
        vm->took[vm->action] = now_ms() - start;
    return 0;
}

/* After a boot: what the unit of idmode ended with; whether an old image made a pair; and a handshake by
 * somebody who is neither root nor may touch the TPM, with whatever identity is in use. */
static int learn(struct vm *vm)
{
    struct idm_device *device = &vm->real.device;

    if (!device->image.aware) {
        if (there(vm, NULL, "test -e /run/legacy-minted") != 0)
            return -1;
        device->minted = device->exit_code == 0;
        return 0;
    }
    device->runs++;
    if (there(vm, NULL,
              "case $(cat /run/idmode/mode) in tpm|software) /usr/lib/idm-vm/handshake;; "
              "esac") != 0)
        return -1;
    if (device->exit_code != 0)
        return idm_device_fail(device, "TLS in the machine: %.500s", device->said);
    return there(vm, NULL, "exit $(systemctl show -p ExecMainStatus --value idmode-boot.service)");
}

static int boot(struct vm *vm, const struct lab_cut *cut)
{
    struct idm_device *device = &vm->real.device;
    bool has_image[IDM_DEVICE_SLOTS];

    idm_machine_off(&vm->machine);
    for (int slot = 0; slot < IDM_DEVICE_SLOTS; slot++)
        has_image[slot] = idm_device_slot(device, slot).present;
    if (idm_bootloader_pick(&device->bootloader, has_image, &device->slot) != 0)
        return idm_device_fail(device, "the bootloader finds nothing to boot");
    device->image = idm_device_slot(device, device->slot);
    device->boots++;
    vm->real.powered = true;
    snprintf(vm->machine.command_line, sizeof(vm->machine.command_line),
             "rauc.slot=%c idm.slot=/dev/vd%c", "AB"[device->slot], "bc"[device->slot]);
    if (idm_machine_on(&vm->machine) != 0 || idm_machine_begins(&vm->machine) != 0)
        return broke(vm);
    unsigned long start = now_ms();
    if (cut != NULL && cut->kind == LAB_CUT_AT)
        return pull_the_plug(vm, start, cut->at);
    if (idm_machine_ready(&vm->machine) != 0)
        return broke(vm);
    vm->took[LAB_DO_boot] = now_ms() - start;
    return learn(vm);
}

/* A bundle on the medium, signed; the machine's RAUC installs it through its handlers. */
static int install(struct vm *vm, const struct lab_install *install, const struct lab_cut *cut)
{
    struct idm_device *device = &vm->real.device;
    bool aware = install->image == LAB_SLOT_AWARE;

    device->installs++;
    device->target_slot = !device->slot;
    device->runs += device->image.aware;
    if (here(vm,
             "rm -rf $VM/bundle $VM/medium; mkdir $VM/bundle $VM/medium;"
             "printf 'idmode test image\\nkind=%s\\nversion=%s\\n' >$VM/bundle/system.img;"
             "truncate -s 8188 $VM/bundle/system.img; echo end >>$VM/bundle/system.img;"
             "cat $IMAGES/%s.img >>$VM/bundle/system.img;"
             "printf 'aware=%s\\nversion=%s\\n' >$VM/bundle/idmode.target;"
             "printf '[update]\\ncompatible=gateway\\nversion=%s\\n[bundle]\\nformat=plain\\n"
             "[image.system]\\nfilename=system.img\\n' >$VM/bundle/manifest.raucm;"
             "rauc bundle --cert=$VM/sign.pem --key=$VM/sign.key $VM/bundle "
             "$VM/medium/bundle.raucb >/dev/null 2>&1; cp $VM/sign.pem $VM/medium/;"
             "mkfs.ext4 -q -F -d $VM/medium $VM/medium.img 16M;"
             "dd if=$VM/medium.img of=$VM/media.img conv=notrunc status=none",
             aware ? "aware" : "legacy", install->version, aware ? "aware" : "legacy",
             install->image_unsaid ? "unknown"
             : aware               ? "yes"
                                   : "no",
             install->version, install->version) != 0)
        return -1;
    if (there(vm, cut,
              "mount /dev/vdh /media && cp /media/sign.pem /etc/rauc/keyring.pem && "
              "rauc install /media/bundle.raucb; code=$?; sync; umount /media; exit $code") != 0)
        return -1;
    if (device->was_cut)
        return 0;
    /* An old image has nobody who could refuse. */
    if (device->exit_code != 0)
        return device->image.aware ? 0 : idm_device_fail(device, "RAUC: %.500s", device->said);
    return idm_bootloader_noted(&device->bootloader, device->target_slot, true);
}

static int commit(struct vm *vm, const struct lab_step *step, const struct lab_cut *cut)
{
    struct idm_device *device = &vm->real.device;

    device->runs += device->image.aware && step->hooks;
    if (there(vm, cut,
              device->image.aware && step->hooks ? "/usr/lib/idm-vm/mark-good"
                                                 : "rauc status mark-good") != 0)
        return -1;
    if (device->was_cut || device->exit_code != 0)
        return 0;
    return idm_bootloader_noted(&device->bootloader, device->slot, false);
}

static int fall_back(struct vm *vm)
{
    idm_machine_off(&vm->machine);
    vm->real.powered = false;
    return idm_device_fallback(&vm->real.device);
}

static int command(struct vm *vm, const struct lab_step *step, const struct lab_cut *cut)
{
    char script[SCRIPT_MAX] = "idmode";
    size_t used = strlen(script);

    if (!vm->real.device.image.aware)
        return 0;
    vm->real.device.runs++;
    if (step->action == LAB_DO_factory_reset)
        snprintf(script, sizeof(script), "idmode factory-reset --yes%s%s",
                 step->word[0] != '\0' ? " --reset " : "", step->word);
    else if (step->action == LAB_DO_migrate)
        snprintf(script, sizeof(script), "idmode migrate %s", step->word);
    else if (step->action == LAB_DO_hold_clear)
        snprintf(script, sizeof(script), "idmode hold clear --reason %s --to %s --yes",
                 idm_reason_word(step->reason), step->word);
    else
        for (size_t i = 0; i < step->words_count && used < sizeof(script); i++)
            used += (size_t)snprintf(script + used, sizeof(script) - used, " '%s'", step->words[i]);
    return there(vm, cut, script);
}

/* As somebody with a shell on the machine does it; what is not written back is lost with a cut. */
static int remove_file(struct vm *vm, const struct lab_step *step)
{
    const char *path = step->what == LAB_CERT     ? "/config/device.cert.pem"
                       : step->what == LAB_KEY    ? "/config/device.key.pem"
                       : step->what == LAB_MARKER ? "/persist/config/tpm_in_use"
                                                  : NULL;
    char script[256];

    if (path == NULL || step->action != LAB_DO_delete)
        return idm_device_fail(&vm->real.device,
                               "a machine's files: only cert, key, marker, deleted");
    snprintf(script, sizeof(script), "rm -f %s; sync", path);
    return there(vm, NULL, script);
}

static int set_chip(struct vm *vm, const struct lab_step *step)
{
    if (step->tpm != LAB_TPM_USABLE && step->tpm != LAB_TPM_ABSENT)
        return idm_device_fail(&vm->real.device, "a machine's chip is usable or absent");
    vm->real.chip = step->tpm;
    if (step->tpm == LAB_TPM_ABSENT)
        vm->machine.tpm_state[0] = '\0';
    else
        snprintf(vm->machine.tpm_state, sizeof(vm->machine.tpm_state), "%s/vm/tpm",
                 vm->real.device.base);
    return 0;
}

/* A board without a battery, until somebody says what time it is. A bad clock is one of the next boot. */
static int set_clock(struct vm *vm, bool good)
{
    struct idm_device *device = &vm->real.device;
    char script[64];

    vm->machine.no_battery = !good;
    vm->real.clock_good = good;
    if (!good || vm->machine.qemu == 0)
        return 0;
    snprintf(script, sizeof(script), "date -s @%lld", (long long)time(NULL));
    if (there(vm, NULL, script) != 0)
        return -1;
    return device->exit_code == 0 ? 0 : idm_device_fail(device, "date: %.500s", device->said);
}

/* A script of tests/vm/checks, run in the machine: its last line says what it found, or it fails. */
static int check(struct vm *vm, const char *name)
{
    struct idm_device *device = &vm->real.device;
    char path[512], script[SCRIPT_MAX] = "";
    FILE *file;

    snprintf(path, sizeof(path), CHECKS "/%s.sh", name);
    file = fopen(path, "re");
    if (file == NULL)
        return idm_device_fail(device, "%s: %s", path, strerror(errno));
    size_t size = fread(script, 1, sizeof(script) - 1, file);
    bool whole = feof(file) != 0;
    fclose(file);
    if (size == 0 || !whole)
        return idm_device_fail(device, "%s: empty, or longer than %u bytes", path, SCRIPT_MAX);
    if (there(vm, NULL, script) != 0)
        return -1;
    if (device->exit_code != 0)
        return idm_device_fail(device, "check %s: %.500s", name, device->said);
    size_t length = strlen(device->said);
    while (length > 0 && device->said[length - 1] == '\n')
        device->said[--length] = '\0';
    const char *last = strrchr(device->said, '\n');
    snprintf(vm->note, sizeof(vm->note), "%.*s", (int)sizeof(vm->note) - 1,
             last != NULL ? last + 1 : device->said);
    return 0;
}

static int do_it(struct vm *vm, const struct lab_step *step, const struct lab_cut *cut)
{
    switch (step->action) {
    case LAB_DO_boot:
        return boot(vm, cut);
    case LAB_DO_install:
        return install(vm, &step->install, cut);
    case LAB_DO_commit:
        return commit(vm, step, cut);
    case LAB_DO_fallback:
        return fall_back(vm);
    case LAB_DO_factory_reset:
    case LAB_DO_migrate:
    case LAB_DO_hold_clear:
    case LAB_DO_command:
        return command(vm, step, cut);
    case LAB_DO_delete:
    case LAB_DO_empty:
    case LAB_DO_tear:
        return remove_file(vm, step);
    case LAB_DO_tpm:
        return set_chip(vm, step);
    case LAB_DO_clock:
        return set_clock(vm, step->clock_good);
    case LAB_DO_check:
        return check(vm, step->word);
    case LAB_DO_label:
    case LAB_DO_nothing:
        return 0;
    case LAB_DO_hook:
    case LAB_DO_disk:
    case LAB_DO_mount:
    case LAB_DO_snapshot:
    case LAB_DO_restore:
    case LAB_DO_move_disk:
    case LAB_ACTION_COUNT:
        break;
    }
    return idm_device_fail(&vm->real.device, "a whole machine does not do this step");
}

static int64_t recorded_epoch(struct vm *vm)
{
    struct idm_record record;

    return lab_real_record(&vm->real, &record) ? (int64_t)record.epoch : -1;
}

static int vm_act(struct lab_world *world, const struct lab_step *step, const struct lab_cut *cut,
                  struct lab_result *ret)
{
    struct vm *vm = vm_of(world);
    struct idm_device *device = &vm->real.device;
    unsigned long runs = device->runs;
    int64_t epoch = recorded_epoch(vm);

    *ret = (struct lab_result){.issued = -1};
    vm->real.seen_valid = false;
    vm->real.trace_start = 0;
    vm->changes = vm->cut_ms = 0;
    vm->action = step->action;
    vm->note[0] = '\0';
    device->was_cut = device->minted = false;
    if (step->action != LAB_DO_boot && lab_runs_idmode(step->action) && vm->machine.qemu == 0)
        (void)idm_device_fail(device, "the machine has no power: boot it first");
    else if (do_it(vm, step, cut) == 0 && look(vm) == 0) {
        vm->real.powered = vm->machine.qemu > 0;
        ret->was_cut = device->was_cut;
        ret->cut_ms = vm->cut_ms;
        snprintf(ret->note, sizeof(ret->note), "%s", vm->note);
        ret->minted = device->minted;
        ret->durable = lab_runs_idmode(step->action) ? INSTANTS : 0;
        ret->judged_exit = device->runs != runs && !device->was_cut;
        ret->exit_code = device->exit_code;
        if (recorded_epoch(vm) != epoch)
            vm->real.made_in = vm->real.chips;
        return 0;
    }
    snprintf(ret->error, sizeof(ret->error), "%.*s", (int)sizeof(ret->error) - 1, device->error);
    return -1;
}

static int vm_fork(struct lab_world **ret, struct lab_world *world, char error[LAB_SENTENCE_SIZE])
{
    (void)ret;
    (void)world;
    snprintf(error, LAB_SENTENCE_SIZE, "a running machine has no copy");
    return -1;
}

static unsigned long vm_writes(const struct lab_world *world)
{
    return ((const struct vm *)world)->changes;
}

const struct lab_world_ops lab_vm_world = {
    .name = "vm",
    .open = vm_open,
    .close = vm_close,
    .act = vm_act,
    .see = lab_real_see,
    .fork = vm_fork,
    .forks_cheaply = false,
    .blind_cuts = INSTANTS,
    .key_lives = lab_real_key_lives,
    .writes = vm_writes,
};
