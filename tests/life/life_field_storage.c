/* SPDX-License-Identifier: BSD-2-Clause */
/* What happened to files in the field (field-failures, by row): markers, records, torn and empty
 * files, wiped and unmounted directories, a clock that stood still. */
#include "tests/life/life_device.h"

#include <openssl/sha.h>

LIFE(field_storage);

#define YEAR_1970 1000
#define YEAR_2100 INT64_C(4102444800)

/* ---- rows 4, 5, 19: the marker ---- */

Test(field_storage, row_4_marker_is_never_there_before_the_identity)
{
    unsigned long steps;

    open_device(NULL);
    idm_device_cut_at(&device, 0);
    boot(0);
    steps = idm_device_steps(&device);
    cr_assert_gt(steps, 30);
    cr_assert(idm_device_exists(&device, MARKER));
    close_device();

    for (unsigned long n = 3; n < steps; n += 9) {
        open_device(NULL);
        idm_device_cut_at(&device, n);
        OK(idm_device_boot(&device));
        cr_assert(device.was_cut);
        if (idm_device_exists(&device, MARKER)) {
            cr_assert(idm_device_exists(&device, CONFIG_TPM));
            cr_assert(idm_device_exists(&device, CONFIG_TSS2));
            cr_assert(idm_device_exists(&device, PERSIST_TPM));
        }
        boot(0);
        cr_assert(idm_device_exists(&device, MARKER), "after a cut at step %lu", n);
        active();
        close_device();
    }
}

Test(field_storage, row_4_marker_returns_into_a_reformatted_directory)
{
    struct idm_device_identity before;

    open_device(NULL);
    boot(0);
    before = active();
    OK(idm_device_delete(&device, "/persist/config"));
    boot(0);
    cr_assert(idm_device_exists(&device, MARKER));
    status_is("tpm", "tpm-dual", "");
    still(&before);
}

Test(field_storage, row_5_stray_marker_goes_because_facts_win)
{
    struct idm_device_identity before;

    open_software_device(NULL, false);
    status_is("software", "software", "");
    before = active();
    cr_assert_not(idm_device_exists(&device, MARKER));
    OK(idm_device_write_text(&device, MARKER, "left over\n"));
    boot(0);
    cr_assert_not(idm_device_exists(&device, MARKER));
    traced("marker was ", true);
    status_is("software", "software", "");
    still(&before);
    boot(0);
    traced("marker was ", false);
}

Test(field_storage, row_5_missing_marker_returns_because_facts_win)
{
    struct idm_device_identity before;

    open_device(NULL);
    boot(0);
    before = active();
    boot(0);
    traced("marker was ", false);
    OK(idm_device_delete(&device, MARKER));
    boot(0);
    cr_assert(idm_device_exists(&device, MARKER));
    traced("marker was ", true);
    still(&before);
}

Test(field_storage, row_19_lost_mode_bits_and_a_wrong_marker_decide_nothing)
{
    struct idm_device_identity before;
    struct kept key;

    open_device(NULL);
    boot(0);
    before = active();
    key = keep(CONFIG_KEY);
    shell(0, "chmod 0 $ROOT" MARKER " $ROOT" CONFIG_KEY " $ROOT" PERSIST_RECORD
             "; printf software > $ROOT" MARKER "; rm $ROOT" CONFIG_RECORD);
    boot(0);
    status_is("tpm", "tpm-dual", "");
    still(&before);
    exact(&key);
    cr_assert(idm_device_exists(&device, CONFIG_RECORD));
    drop(&key);
}

Test(field_storage, row_19_ambiguous_evidence_is_held_whatever_the_marker_says)
{
    struct kept cert, key;

    open_device(NULL);
    boot(0);
    cert = keep(CONFIG_CERT);
    key = keep(CONFIG_KEY);
    OK(idm_device_tear(&device, CONFIG_RECORD));
    OK(idm_device_tear(&device, PERSIST_RECORD));
    for (int i = 0; i < 4; i++) {
        if (i == 2) {
            OK(idm_device_delete(&device, CONFIG_RECORD));
            OK(idm_device_delete(&device, PERSIST_RECORD));
        }
        if (i % 2 == 0)
            OK(idm_device_write_text(&device, MARKER, "tpm\n"));
        else
            OK(idm_device_delete(&device, MARKER));
        boot(3);
        held_for("none", "record-corrupt");
        exact(&cert);
        exact(&key);
    }
    drop(&cert);
    drop(&key);
}

/* ---- rows 14 and 15: what is durable, and when ---- */

/* The calls of one run, as strace saw them: "renameat DIR/NAME" and "fsync PATH", paths as the device
 * sees them. Children are not followed: they write no file of ours, and a sanitizer fails in them
 * when it is traced. */
struct call {
    bool rename;
    char path[256];
};
#define CALLS_MAX 512

static size_t parse_calls(const char *text, struct call calls[CALLS_MAX])
{
    size_t root = strlen(device.root), count = 0;

    for (const char *line = text; *line != '\0'; line += strcspn(line, "\n"), line += *line != 0) {
        char dir[512], name[128];
        struct call *call = &calls[count];
        int fd;

        cr_assert_lt(count, CALLS_MAX);
        if (sscanf(line, "renameat(%*d<%*[^>]>, \"%*[^\"]\", %d<%511[^>]>, \"%127[^\"]\") = 0", &fd,
                   dir, name) == 3)
            call->rename = true;
        else if (sscanf(line, "fsync(%d<%511[^>]>) = 0", &fd, dir) == 2)
            call->rename = false;
        else
            continue;
        cr_assert_eq(strncmp(dir, device.root, root), 0, "%s", line);
        snprintf(call->path, sizeof(call->path), "%s%s%s", dir + root, call->rename ? "/" : "",
                 call->rename ? name : "");
        count++;
    }
    return count;
}

static size_t traced_boot(struct call calls[CALLS_MAX])
{
    char *text;

    shell(0, "strace -y -s 256 -e trace=renameat,rename,renameat2,fsync,fdatasync "
             "-o $ROOT/strace $IDMODE --root $ROOT --tcti $TCTI boot");
    OK(idm_device_read(&device, "/strace", &text, NULL));
    size_t count = parse_calls(text, calls);
    free(text);
    return count;
}

static size_t last_rename(const struct call *calls, size_t count, const char *path)
{
    while (count > 0 && !(calls[count - 1].rename && strcmp(calls[count - 1].path, path) == 0))
        count--;
    return count; /* 0: never */
}

static bool on_disk(const char *path)
{
    return strncmp(path, "/config", 7) == 0 || strncmp(path, "/persist", 8) == 0;
}

Test(field_storage, row_14_durable_before_it_is_marked_and_published)
{
    static const char *const first[] = {PERSIST_RECORD, CONFIG_RECORD, PERSIST_TSS2, CONFIG_TSS2,
                                        PERSIST_TPM,    CONFIG_TPM,    CONFIG_KEY,   CONFIG_CERT};
    static struct call calls[CALLS_MAX];
    size_t count, marker, status, mode;

    open_device(NULL);
    idm_device_cut_at(&device, 1); /* the power is on, nothing is made yet */
    OK(idm_device_boot(&device));
    cr_assert(device.was_cut);
    count = traced_boot(calls);
    status_is("tpm", "tpm-dual", "");

    marker = last_rename(calls, count, MARKER);
    status = last_rename(calls, count, "/run/idmode/status.json");
    mode = last_rename(calls, count, "/run/idmode/mode");
    cr_assert_gt(marker, 0);
    cr_assert_gt(status, marker);
    cr_assert_gt(mode, marker);
    for (size_t i = 0; i < sizeof(first) / sizeof(first[0]); i++) {
        size_t at = last_rename(calls, count, first[i]);

        cr_assert(at > 0 && at < marker, "%s: %zu, the marker: %zu", first[i], at, marker);
    }
}

Test(field_storage, row_15_content_before_its_name_and_the_directory_after_it)
{
    static struct call calls[CALLS_MAX];
    size_t count, renames = 0;

    open_device(NULL);
    idm_device_cut_at(&device, 1);
    OK(idm_device_boot(&device));
    count = traced_boot(calls);
    for (size_t i = 0; i < count; i++) {
        char dir[256], temp[300];
        char *slash;

        if (!calls[i].rename || !on_disk(calls[i].path))
            continue;
        renames++;
        snprintf(dir, sizeof(dir), "%s", calls[i].path);
        slash = strrchr(dir, '/');
        *slash = '\0';
        snprintf(temp, sizeof(temp), "%s/.%s.tmp", dir, slash + 1);
        cr_assert(i > 0 && !calls[i - 1].rename && strcmp(calls[i - 1].path, temp) == 0,
                  "%s gets its name before its content is synced", calls[i].path);
        cr_assert(i + 1 < count && !calls[i + 1].rename && strcmp(calls[i + 1].path, dir) == 0,
                  "%s is not synced after %s got its name", dir, calls[i].path);
    }
    cr_assert_gt(renames, 10);
}

/* One file at a time is made empty, torn or missing; the next boot has its bytes again. */
static void heal(const char *const paths[], size_t count)
{
    struct idm_device_identity before = active();
    struct idm_device_identity pair = legacy_pair();

    for (size_t i = 0; i < count; i++) {
        struct kept kept = keep(paths[i]);

        for (int damage = 0; damage < 2; damage++) {
            if (damage == 0)
                OK(idm_device_write_text(&device, paths[i], ""));
            else
                OK(idm_device_tear(&device, paths[i]));
            cr_assert_eq(RUN("boot"), 0, "%s", paths[i]);
            exact(&kept);
        }
        drop(&kept);
    }
    still(&before);
    struct idm_device_identity now = legacy_pair();
    cr_assert_str_eq(now.cert_sha256, pair.cert_sha256);
}

Test(field_storage, row_15_empty_and_torn_files_get_their_bytes_back)
{
    static const char *const dual[] = {CONFIG_CERT,  CONFIG_KEY,  CONFIG_TSS2, CONFIG_TPM,
                                       PERSIST_TSS2, PERSIST_TPM, PERSIST_KEY, PERSIST_CERT};
    static const char *const software[] = {CONFIG_CERT, CONFIG_KEY, PERSIST_KEY, PERSIST_CERT};

    open_device(NULL);
    boot(0);
    heal(dual, sizeof(dual) / sizeof(dual[0]));
    status_is("tpm", "tpm-dual", "");
    cr_assert_eq(status_epoch(), 1);
    close_device();

    /* A usable chip: an empty certificate must not be taken for a deleted one. */
    open_software_device(NULL, false);
    heal(software, sizeof(software) / sizeof(software[0]));
    status_is("software", "software", "");
    cr_assert_eq(status_epoch(), 1);
}

Test(field_storage, row_15_damaged_record_is_written_anew_from_the_other_copy)
{
    static const char *const copies[] = {PERSIST_RECORD, CONFIG_RECORD};
    struct idm_device_identity before;

    open_device(NULL);
    boot(0);
    before = active();
    for (int i = 0; i < 4; i++) {
        if (i % 2 == 0)
            OK(idm_device_write_text(&device, copies[i / 2], ""));
        else
            OK(idm_device_tear(&device, copies[i / 2]));
        cr_assert_eq(RUN("boot"), 0);
        shell(0,
              "test -s $ROOT" PERSIST_RECORD " && cmp $ROOT" PERSIST_RECORD " $ROOT" CONFIG_RECORD);
        status_is("tpm", "tpm-dual", "");
    }
    still(&before);
    cr_assert_eq(status_epoch(), 1);
}

/* ---- rows 12 and 16: directories ---- */

Test(field_storage, row_12_nothing_is_derived_without_the_config_directory)
{
    _cleanup_run_ struct idm_run run = {0};

    open_device(NULL);
    boot(0);
    shell(0, "rm -r $ROOT/run; mv $ROOT/config $ROOT/hidden; mkdir $ROOT/run");
    OK(idm_device_idmode(&device, &run, "mode", NULL));
    cr_assert_eq(device.exit_code, 0);
    cr_assert_str_eq(run.out, "unknown\n");
    cr_assert_eq(RUN("boot"), 3);
    held_for("tpm-dual", "config-dir-unreadable");
    cr_assert_not(idm_device_exists(&device, "/config"));
    cr_assert_eq(RUN("sign"), 3);
    shell(0, "mv $ROOT/hidden $ROOT/config");
    cr_assert_eq(RUN("boot"), 0);
    status_is("tpm", "tpm-dual", "");
}

static void config_emptied(const char *mode, const char *state, const char *const paths[],
                           size_t count)
{
    struct idm_device_identity before = active();
    struct kept kept[8];

    for (size_t i = 0; i < count; i++)
        kept[i] = keep(paths[i]);
    shell(0, "rm -r $ROOT/config/*");
    boot(0);
    status_is(mode, state, "config-dir-corrupt");
    still(&before);
    for (size_t i = 0; i < count; i++)
        exact(&kept[i]);
    boot(0);
    status_is(mode, state, "");
    for (size_t i = 0; i < count; i++)
        drop(&kept[i]);
}

Test(field_storage, row_16_empty_config_directory_is_no_deletion)
{
    static const char *const dual[] = {CONFIG_CERT, CONFIG_KEY, CONFIG_TSS2, CONFIG_TPM};

    open_device(NULL);
    boot(0);
    config_emptied("tpm", "tpm-dual", dual, 4);
    close_device();

    open_software_device(NULL, false);
    config_emptied("software", "software", dual, 2);
}

Test(field_storage, row_16_config_directory_that_is_not_mounted_is_held)
{
    struct idm_device_identity before;

    open_software_device(NULL, false);
    before = active();
    OK(idm_device_write_text(&device, "/etc/fstab", "/dev/mmcblk0p3 /config vfat rw,sync 0 2\n"));
    shell(0, "mv $ROOT/config $ROOT/hidden; mkdir $ROOT/config");
    boot(3);
    held_for("software", "config-dir-unreadable");
    cr_assert_not(idm_device_exists(&device, CONFIG_CERT));
    cr_assert_not(idm_device_exists(&device, "/config/idmode"));
    shell(0, "rmdir $ROOT/config; mv $ROOT/hidden $ROOT/config; rm $ROOT/etc/fstab");
    boot(0);
    status_is("software", "software", "");
    still(&before);
}

/* ---- row 9: the clock ---- */

Test(field_storage, row_9_nothing_is_issued_under_a_clock_that_stood_still)
{
    open_device(NULL);
    idm_device_clock(&device, YEAR_1970);
    for (int i = 0; i < 2; i++) {
        boot(3);
        status_is("none", "none", "clock");
        cr_assert_not(idm_device_exists(&device, CONFIG_CERT));
        cr_assert_not(idm_device_exists(&device, PERSIST_RECORD));
        cr_assert_not(idm_device_exists(&device, MARKER));
    }
    idm_device_clock_real(&device);
    boot(0);
    status_is("tpm", "tpm-dual", "");
    active();
}

static void keeps_identity_at(int64_t clock, const char *mode, const char *state)
{
    struct idm_device_identity before = active();
    struct kept cert = keep(CONFIG_CERT);

    idm_device_clock(&device, clock);
    for (int i = 0; i < 2; i++) {
        boot(0);
        status_is(mode, state, "");
        still(&before);
        exact(&cert);
    }
    idm_device_clock_real(&device);
    boot(0);
    status_is(mode, state, "");
    still(&before);
    drop(&cert);
}

Test(field_storage, row_9_certificate_is_never_replaced_for_its_dates)
{
    open_device(NULL);
    boot(0);
    keeps_identity_at(YEAR_1970, "tpm", "tpm-dual");
    keeps_identity_at(YEAR_2100, "tpm", "tpm-dual");
    cr_assert_eq(status_epoch(), 1);
    close_device();

    open_software_device(NULL, false);
    keeps_identity_at(YEAR_1970, "software", "software");
    keeps_identity_at(YEAR_2100, "software", "software");
    cr_assert_eq(status_epoch(), 1);
}

Test(field_storage, row_9_deleted_certificate_waits_for_the_clock)
{
    struct idm_device_identity before;

    open_software_device(NULL, false);
    before = active();
    OK(idm_device_delete(&device, CONFIG_CERT));
    idm_device_clock(&device, YEAR_1970);
    boot(0);
    status_is("software", "software", "clock");
    still(&before);
    legacy_pair();
    idm_device_clock_real(&device);
    boot(0);
    status_is("tpm", "tpm-dual", "");
    legacy_pair();
}

/* ---- row 26: a record from the future ---- */

/* The header of record.h: magic, version, min_reader, size; SHA-256 over all before it at the end.
 */
static void write_future_record(const char *path, uint16_t version, uint16_t min_reader)
{
    struct kept kept = keep(path);
    unsigned char *record = (unsigned char *)kept.data;

    cr_assert_eq(memcmp(record, "IDMODEREC", 9), 0);
    record[9] = (unsigned char)version;
    record[10] = (unsigned char)(version >> 8);
    record[11] = (unsigned char)min_reader;
    record[12] = (unsigned char)(min_reader >> 8);
    SHA256(record, kept.size - SHA256_DIGEST_LENGTH, record + kept.size - SHA256_DIGEST_LENGTH);
    OK(idm_device_write(&device, path, record, kept.size));
    drop(&kept);
}

Test(field_storage, row_26_newer_record_is_refused_and_kept)
{
    struct kept before, a, b;

    open_device(NULL);
    boot(0);
    before = keep(PERSIST_RECORD);
    write_future_record(PERSIST_RECORD, 300, 2);
    write_future_record(CONFIG_RECORD, 300, 2);
    a = keep(PERSIST_RECORD);
    b = keep(CONFIG_RECORD);
    for (int i = 0; i < 2; i++) {
        boot(3);
        held_for("none", "record-newer");
        cr_assert_eq(RUN("sign"), 3);
        cr_assert_eq(RUN("migrate", "prepare"), 1);
        cr_assert_eq(RUN("factory-reset", "--yes"), 1);
        cr_assert_eq(RUN("hook", "pre-install", "--target-aware", "yes"), 0);
        exact(&a);
        exact(&b);
    }
    cr_assert(idm_device_exists(&device, MARKER));
    OK(idm_device_write(&device, PERSIST_RECORD, before.data, before.size));
    OK(idm_device_write(&device, CONFIG_RECORD, before.data, before.size));
    boot(0);
    status_is("tpm", "tpm-dual", "");
    drop(&before);
    drop(&a);
    drop(&b);
}

Test(field_storage, row_26_one_newer_copy_is_enough_to_write_nothing)
{
    struct kept newer, older;

    open_device(NULL);
    boot(0);
    write_future_record(CONFIG_RECORD, 2, 2);
    newer = keep(CONFIG_RECORD);
    older = keep(PERSIST_RECORD);
    boot(3);
    held_for("none", "record-newer");
    exact(&newer);
    exact(&older);
    drop(&newer);
    drop(&older);
}

Test(field_storage, row_26_newer_version_that_old_programs_may_read_is_read)
{
    open_device(NULL);
    boot(0);
    write_future_record(PERSIST_RECORD, 9, 1);
    write_future_record(CONFIG_RECORD, 9, 1);
    boot(0);
    status_is("tpm", "tpm-dual", "");
}
