/* SPDX-License-Identifier: BSD-2-Clause */
/* Where are the bytes of the legacy key? Every file of the device is looked through, and every byte
 * that a program writes anywhere (strace); the same look finds them where they belong. */
#include "tests/life/life_device.h"
#include "tests/support/seek.h"

LIFE_IN_MEMORY(exposure);

#define LEGACY_DOWNGRADE "hook", "pre-install", "--target-aware", "no", "--target-slot", "B"

static struct idm_seek learn(const char *path)
{
    struct kept pem = keep(path);
    struct idm_seek seek;

    cr_assert_eq(idm_seek_learn(&seek, pem.data, pem.size), 0, "%s is no plain P-256 key", path);
    drop(&pem);
    return seek;
}

/* Files of the disk that hold the key; `below` NULL: of all of it, /run included. */
static void files_with(const struct idm_seek *key, const char *below, int wanted)
{
    char where[IDM_SEEK_WHERE_SIZE], real[IDM_DEVICE_PATH_SIZE];

    idm_device_path(&device, below != NULL ? below : "", real);
    int found = idm_seek_tree(key, real, where);
    cr_assert_eq(found, wanted, "%d files with the key, not %d:%s", found, wanted, where);
}

/* ---- the look itself ---- */

Test(exposure, every_way_to_write_a_key_is_found)
{
    static const char *const ways[] = {
        "cp key $ROOT/found",
        "openssl pkcs8 -topk8 -nocrypt -in key -out $ROOT/found",
        "openssl ec -in key -out $ROOT/found 2> /dev/null",
        "openssl ec -in key -outform DER -out $ROOT/found 2> /dev/null",
        "openssl pkcs8 -topk8 -nocrypt -in key -outform DER -out $ROOT/found",
        "openssl pkey -in key -noout -text > $ROOT/found",
        "cat scalar > $ROOT/found",
        "(echo x; cat scalar; echo y) > $ROOT/found",
        "head -c 16 scalar > $ROOT/found",
        "tail -c 16 scalar > $ROOT/found",
        "(printf x; cat scalar) | base64 -w 7 > $ROOT/found",
        "(printf xy; cat scalar) | base64 -w 0 > $ROOT/found",
        "(cat der; head -c 100 /dev/zero) | base64 | head -n -1 > $ROOT/found",
        "xxd -p scalar 2> /dev/null > $ROOT/found || od -An -tx1 scalar > $ROOT/found",
        "od -An -tx1 scalar | tr a-f A-F > $ROOT/found",
        "od -An -v -tx1 -w1 scalar | tac | while read b; do printf \"\\\\x$b\"; done > hex;"
        "bash -c 'printf \"$(cat hex)\"' > $ROOT/found",
    };
    struct idm_seek key;
    char path[IDM_DEVICE_PATH_SIZE];

    open_device(&(struct idm_device_options){.without_tpm = true});
    shell(0, "openssl ecparam -name prime256v1 -genkey -out key; cp key $ROOT/key;"
             "openssl ec -in key -outform DER -out der 2> /dev/null");
    key = learn("/key");
    OK(idm_device_write(&device, "/scalar", key.scalar, sizeof(key.scalar)));
    shell(0, "mv $ROOT/scalar .; rm $ROOT/key");
    files_with(&key, NULL, 0);
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        shell(0, "%s", ways[i]);
        char where[IDM_SEEK_WHERE_SIZE];
        cr_assert_eq(idm_seek_tree(&key, device.root, where), 1, "not found: %s", ways[i]);
        idm_device_path(&device, "/found", path);
        cr_assert_eq(unlink(path), 0);
    }
    /* Its public half is no secret. */
    shell(0, "openssl pkey -in key -pubout -outform DER | base64 > $ROOT/found;"
             "openssl req -x509 -key key -subj /CN=x -out $ROOT/also");
    files_with(&key, NULL, 0);
}

/* ---- at rest ---- */

/* The other slot gets an image that knows idmode, hooks and all. */
static void upgrade(const char *version)
{
    OK(idm_device_install(&device,
                          &(struct idm_device_install){.aware = true, .version = version}));
    boot(0);
    OK(idm_device_commit(&device, true));
    cr_assert_eq(device.exit_code, 0);
}

static void seals_without_a_trace(const char *path)
{
    struct idm_seek key = learn(path);
    struct idm_device_identity pair = legacy_pair();

    upgrade("3.0");
    files_with(&key, NULL, 2); /* the config directory's and the store's */
    boot(0);
    status_is("tpm", "tpm", "");
    files_with(&key, NULL, 0);
    shell(0, "ls $ROOT/persist/idmode/*seal* $ROOT/config/idmode/*seal* > /dev/null");
    boot(0);
    cr_assert_eq(RUN("doctor"), 0);
    files_with(&key, NULL, 0);

    cr_assert_eq(RUN(LEGACY_DOWNGRADE), 0);
    files_with(&key, "/config", 1);
    files_with(&key, "/persist", 1);
    cr_assert_str_eq(legacy_pair().cert_sha256, pair.cert_sha256);
}

Test(exposure, a_pair_made_beside_a_tpm_identity_is_nowhere_once_it_is_sealed)
{
    open_device(NULL);
    boot(0);
    status_is("tpm", "tpm-dual", "");
    seals_without_a_trace(CONFIG_KEY);
}

Test(exposure, a_pair_that_an_old_image_minted_is_nowhere_once_it_is_sealed)
{
    open_software_device(NULL, false);
    cr_assert_eq(RUN("migrate", "prepare"), 0);
    cr_assert_eq(RUN("migrate", "commit"), 0);
    seals_without_a_trace(CONFIG_KEY);
}

/* ---- on its way ---- */

#define WRITTEN "/../written"
/* All that can put bytes into a file or a socket. */
#define WRITES                                                                                     \
    "write,pwrite64,writev,pwritev,pwritev2,sendto,sendmsg,sendmmsg,sendfile,copy_file_range,"     \
    "splice,vmsplice,tee,process_vm_writev,io_uring_setup,io_submit"

/* The strings of a call, decoded, one after the other; what follows the call goes on there. */
static size_t decode(const char *line, unsigned char *to)
{
    size_t n = 0;
    unsigned byte;

    for (const char *at = strchr(line, '"'); at != NULL && *at != '\n' && *at != '\0'; at++) {
        if (sscanf(at, "\\x%2x", &byte) == 1) {
            to[n++] = (unsigned char)byte;
            at += 3;
        }
    }
    return n;
}

/* Whether the key was among what idmode and its children wrote since `trace_writes`. */
static const char *was_written(const struct idm_seek *key, size_t *ret_size)
{
    char *log;
    size_t size;
    const char *found;

    OK(idm_device_read(&device, WRITTEN, &log, &size));
    unsigned char *bytes = malloc(size + 1);
    cr_assert_not_null(bytes);
    *ret_size = 0;
    for (const char *line = log; *line != '\0'; line += strcspn(line, "\n"), line += *line != 0) {
        size_t length = strcspn(line, "\n");

        cr_assert_null(memmem(line, length, "\"...", 4), "a write was not recorded whole");
        *ret_size += decode(line, bytes + *ret_size);
    }
    found = idm_seek_in(key, bytes, *ret_size);
    free(bytes);
    free(log);
    return found;
}

/* Nothing may go past the trace: no file is mapped to be written, but the page that idmode
 * publishes. */
static void trace_writes(const char *command)
{
    shell(0,
          "strace -f -xx -y -s 1048576 -e trace=" WRITES " -o written $IDMODE --root $ROOT"
          " --tcti $TCTI %s;"
          "! grep -E 'sendfile|copy_file_range|splice|vmsplice|tee\\(|io_' written",
          command);
}

/* But the page of 4096 bytes that says the mode. */
static void maps_nothing_else_to_write(const char *command)
{
    shell(0,
          "strace -f -y -e trace=mmap,mprotect -o mapped $IDMODE --root $ROOT --tcti $TCTI %s;"
          "! grep 'PROT_WRITE.*MAP_SHARED, [0-9]' mapped |"
          "  grep -v \"mmap(NULL, 4096, .*<$ROOT/run/idmode/[.]*page[.tmp]*>\"",
          command);
}

static void power_on_without_a_step(void)
{
    idm_device_cut_at(&device, 1);
    OK(idm_device_boot(&device));
    cr_assert(device.was_cut);
}

Test(exposure, a_pair_that_is_born_sealed_never_touches_storage)
{
    size_t size;

    open_device(
        &(struct idm_device_options){.conf = NO_OTHER_SLOT "[identity]\nlegacy-key = seal\n"});
    power_on_without_a_step();
    trace_writes("boot");
    status_is("tpm", "tpm", "");
    shell(0, "mv written born; cp -a $ROOT sealed");
    boot(0);
    shell(0, "cp -a $ROOT settled");
    trace_writes("hook pre-install --target-aware no --target-slot B");

    struct idm_seek key = learn(CONFIG_KEY);
    cr_assert_not_null(was_written(&key, &size), "the trace does not see what is written");
    files_with(&key, NULL, 2);
    shell(0, "mv born written");
    cr_assert_null(was_written(&key, &size));
    cr_assert_gt(size, 8192, "only %zu bytes were traced", size);
    files_with(&key, "/../sealed", 0);
    files_with(&key, "/../settled", 0);
    cr_assert_eq(RUN("hook", "install-failed", "--target-slot", "B"), 0);
}

Test(exposure, nothing_is_written_by_way_of_memory)
{
    open_device(&(struct idm_device_options){.conf = NO_OTHER_SLOT});
    power_on_without_a_step();
    maps_nothing_else_to_write("boot");
    maps_nothing_else_to_write("hook pre-install --target-aware no --target-slot B");
}
