/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/platform/fingerprint.h"
#include "backends/platform/machine.h"
#include "backends/platform/trace.h"
#include "tests/unit/store_scratch.h"

#include <time.h>

static struct idm_settings settings;
static struct idm_platform machine;
static struct idm_error err;

static void set_up(void)
{
    scratch_make();
    memset(&settings, 0, sizeof settings);
    (void)snprintf(settings.version, sizeof settings.version, "os-release");
}

TestSuite(platform_machine, .init = set_up, .fini = scratch_remove, .timeout = 60);

static void read_machine(void)
{
    err = (struct idm_error){0};
    cr_assert_eq(idm_machine_read(root, &settings, &machine, &err), 0, "%s", err.why);
}

#define DMI        "/sys/class/dmi/id/product_serial"
#define MACHINE_ID "0123456789abcdef0123456789abcdef"

Test(platform_machine, a_bare_root_borrows_nothing_but_the_boot_id)
{
    char host[64] = "";
    FILE *stream = fopen("/proc/sys/kernel/random/boot_id", "re");
    cr_assert_not_null(stream);
    cr_assert_eq(fscanf(stream, "%63s", host), 1);
    (void)fclose(stream);
    time_t before = time(NULL);
    read_machine();
    cr_expect_str_eq(machine.boot_id, host);
    cr_expect_eq(machine.serial_kind, IDM_SERIAL_NONE);
    cr_expect_str_empty(machine.serial);
    cr_expect_str_empty(machine.machine_id);
    cr_expect_str_empty(machine.image_version);
    cr_expect(machine.now >= before && machine.now <= time(NULL));
    cr_expect_gt(machine.not_before, 1577836800, "no build is older than 2020");
    cr_expect_leq(machine.not_before, machine.now);
    put("/proc/sys/kernel/random/boot_id", "11111111-2222-3333-4444-555555555555\n");
    read_machine();
    cr_expect_str_eq(machine.boot_id, "11111111-2222-3333-4444-555555555555");
    put("/proc/sys/kernel/random/boot_id", "torn");
    cr_expect_eq(idm_machine_read(root, &settings, &machine, &err), IDM_E_UNREADABLE);
    cr_expect_eq(idm_machine_read("/nowhere/at/all", &settings, &machine, &err), IDM_E_ABSENT);
}

Test(platform_machine, serial_sources_in_order)
{
    put("/etc/machine-id", MACHINE_ID "\n");
    read_machine();
    cr_expect_eq(machine.serial_kind, IDM_SERIAL_MACHINE_ID);
    cr_expect_str_eq(machine.serial, MACHINE_ID);
    put("/sys/firmware/devicetree/base/serial-number", "10000000deadbeef");
    read_machine();
    cr_expect_str_eq(machine.serial, "10000000deadbeef");
    make_dir("/proc");
    make_dir("/sys/firmware/devicetree/second");
    put("/sys/firmware/devicetree/second/serial-number", "pi");
    cr_assert_eq(symlink("/sys/firmware/devicetree/second", at("/proc/device-tree")), 0);
    read_machine();
    cr_expect_str_eq(machine.serial, "pi");
    put(DMI, " \tS/N 12-34\t \n");
    read_machine();
    cr_expect_eq(machine.serial_kind, IDM_SERIAL_HARDWARE);
    cr_expect_str_eq(machine.serial, "S/N 12-34");
    cr_expect_str_eq(machine.machine_id, MACHINE_ID);
}

Test(platform_machine, placeholders_are_no_serial_number)
{
    static const char *const none[] = {
        "To be filled by O.E.M.",
        "TO BE FILLED BY O.E.M.",
        "Default string",
        "0",
        "None",
        "System Serial Number",
        "Not Specified",
        "00000000-0000",
        "   ",
        "",
        "\n",
        "FFFFFFFF",
        "........",
        "\xff\xff\xff\xff",
        "0123456789",
    };
    static const char *const good[] = {"7", "0001", "1111", "None-1", "F00F", "1-1"};
    put("/etc/machine-id", MACHINE_ID "\n");
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        put(DMI, none[i]);
        read_machine();
        cr_expect_eq(machine.serial_kind, IDM_SERIAL_MACHINE_ID, "'%s'", none[i]);
    }
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        put(DMI, good[i]);
        read_machine();
        cr_expect_str_eq(machine.serial, good[i]);
        cr_expect_eq(machine.serial_kind, IDM_SERIAL_HARDWARE);
    }
}

Test(platform_machine, texts_are_bounded_and_printable)
{
    char longest[300];
    memset(longest, 'S', sizeof longest);
    put_bytes(DMI, longest, sizeof longest);
    read_machine();
    cr_expect_eq(strlen(machine.serial), sizeof machine.serial - 1);
    put(DMI, "A\033[31m\xc3\xa4");
    read_machine();
    cr_expect_str_eq(machine.serial, "A?[31m??");
}

Test(platform_machine, an_unreadable_serial_is_not_replaced_by_the_machine_id)
{
    put("/etc/machine-id", MACHINE_ID "\n");
    make_dir(DMI);
    read_machine();
    cr_expect_eq(machine.serial_kind, IDM_SERIAL_NONE);
    cr_expect_str_empty(machine.serial);
    cr_expect_str_eq(machine.machine_id, MACHINE_ID);
}

Test(platform_machine, machine_ids_that_are_none)
{
    static const char *const none[] = {"",
                                       "uninitialized\n",
                                       "0123\n",
                                       "00000000000000000000000000000000\n",
                                       "0123456789ABCDEF0123456789ABCDEF\n",
                                       "0123456789abcdef0123456789abcdef0\n"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        put("/etc/machine-id", none[i]);
        read_machine();
        cr_expect_str_empty(machine.machine_id, "%s", none[i]);
        cr_expect_eq(machine.serial_kind, IDM_SERIAL_NONE);
    }
}

static const struct {
    const char *os_release, *version;
} versions[] = {
    {"NAME=x\nVERSION_ID=12\n", "12"},
    {"VERSION_ID=\"2.0 beta\"\n", "2.0 beta"},
    {"VERSION_ID='a\\b'\n", "a\\b"},
    {"VERSION_ID=\"a\\\"b\"\n", "a\"b"},
    {"#VERSION_ID=1\nXVERSION_ID=2\nIMAGE_VERSION=33", "33"},
    {"VERSION_ID=\nIMAGE_VERSION=4\n", "4"},
    {"IMAGE_VERSION=4\nVERSION_ID=5\n", "5"},
    {"VERSION=9\n", ""},
    {"VERSION_ID=\"torn", "torn"},
};

Test(platform_machine, image_version)
{
    make_dir("/etc");
    cr_assert_eq(symlink("../usr/lib/os-release", at("/etc/os-release")), 0);
    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++) {
        put("/usr/lib/os-release", versions[i].os_release);
        read_machine();
        cr_expect_str_eq(machine.image_version, versions[i].version, "%zu: %s", i,
                         machine.image_version);
    }
    cr_assert_eq(unlink(at("/etc/os-release")), 0);
    put("/usr/lib/os-release", "VERSION_ID=7\n");
    read_machine();
    cr_expect_str_eq(machine.image_version, "7");
    (void)snprintf(settings.version, sizeof settings.version, "1.2.3");
    read_machine();
    cr_expect_str_eq(machine.image_version, "1.2.3");
}

/* ---- fingerprint ------------------------------------------------------------------------------*/

static void slot_a(const char *path)
{
    (void)snprintf(settings.slots[0].name, sizeof settings.slots[0].name, "A");
    (void)snprintf(settings.slots[0].path, sizeof settings.slots[0].path, "%s", path);
}

/* The definition, computed from the whole content. */
static void define(const uint8_t *data, size_t size, uint8_t ret_hash[IDM_SHA256_SIZE])
{
    static uint8_t all[8 + IDM_FINGERPRINT_HEAD + IDM_FINGERPRINT_TAIL];
    size_t head = size < IDM_FINGERPRINT_HEAD ? size : IDM_FINGERPRINT_HEAD;
    size_t tail = size < IDM_FINGERPRINT_TAIL ? size : IDM_FINGERPRINT_TAIL;
    for (unsigned int i = 0; i < 8; i++)
        all[i] = (uint8_t)((uint64_t)size >> (8 * i));
    if (size) {
        memcpy(all + 8, data, head);
        memcpy(all + 8 + head, data + size - tail, tail);
    }
    cr_assert_eq(idm_sha256(all, 8 + head + tail, ret_hash), 0);
}

Test(platform_machine, fingerprint_as_defined)
{
    static const size_t sizes[] = {0, 1, 65535, 65536, 65537, 1048576, 1048577, 1200000, 3000001};
    static uint8_t data[3000001];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 2654435761u >> 13);
    slot_a("/slots/a");
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        uint8_t found[IDM_SHA256_SIZE], wanted[IDM_SHA256_SIZE];
        put_bytes("/slots/a", data, sizes[i]);
        define(data, sizes[i], wanted);
        cr_assert_eq(idm_slot_fingerprint(root, &settings, "A", found, &err), 0, "%s", err.why);
        cr_expect_arr_eq(found, wanted, IDM_SHA256_SIZE, "size %zu", sizes[i]);
    }
}

Test(platform_machine, fingerprint_known_answer)
{
    uint8_t found[IDM_SHA256_SIZE];
    char hex[2 * IDM_SHA256_SIZE + 1];
    slot_a("/slots/a");
    put("/slots/a", "");
    cr_assert_eq(idm_slot_fingerprint(root, &settings, "A", found, &err), 0);
    idm_hex(found, sizeof found, hex);
    /* printf '\0\0\0\0\0\0\0\0' | sha256sum */
    cr_expect_str_eq(hex, "af5570f5a1810b7af78caf4bc70a660f0df51e42baf91d4de5b2328de0e83dfc");
}

Test(platform_machine, fingerprint_of_what_cannot_be_read)
{
    uint8_t hash[IDM_SHA256_SIZE] = {7};
    slot_a("/slots/a");
    cr_expect_eq(idm_slot_fingerprint(root, &settings, "", hash, &err), IDM_E_UNREADABLE);
    cr_expect_eq(idm_slot_fingerprint(root, &settings, "B", hash, &err), IDM_E_UNREADABLE);
    cr_expect_eq(idm_slot_fingerprint(root, &settings, "A", hash, &err), IDM_E_UNREADABLE);
    make_dir("/slots/a");
    cr_expect_eq(idm_slot_fingerprint(root, &settings, "A", hash, &err), IDM_E_UNREADABLE);
    cr_assert_eq(rmdir(at("/slots/a")), 0);
    cr_assert_eq(mkfifo(at("/slots/a"), 0600), 0);
    cr_expect_eq(idm_slot_fingerprint(root, &settings, "A", hash, &err), IDM_E_UNREADABLE);
    cr_assert_eq(unlink(at("/slots/a")), 0);
    cr_assert_eq(symlink("/etc/passwd", at("/slots/a")), 0);
    cr_expect_eq(idm_slot_fingerprint(root, &settings, "A", hash, &err), IDM_E_UNREADABLE,
                 "out of the root");
    cr_expect_eq(hash[0], 7);
}

/* ---- trace ------------------------------------------------------------------------------------*/

Test(platform_machine, trace_lines)
{
    idm_trace_line(root, IDM_TRACE_FILE, "one");
    idm_trace_line(root, IDM_TRACE_FILE, "two\nlines\033");
    cr_expect(holds("/run/idmode/trace", "one\ntwo?lines?\n"));
    cr_expect_eq(mode_of("/run/idmode"), 0755);
    idm_trace_line("/nowhere/at/all", IDM_TRACE_FILE, "lost");
    put("/elsewhere", "stranger");
    cr_assert_eq(unlink(at("/run/idmode/trace")), 0);
    cr_assert_eq(symlink("/elsewhere", at("/run/idmode/trace")), 0);
    idm_trace_line(root, IDM_TRACE_FILE, "lost");
    cr_expect(holds("/elsewhere", "stranger"));
    cr_assert_eq(unlink(at("/run/idmode/trace")), 0);
    cr_assert_eq(mkfifo(at("/run/idmode/trace"), 0644), 0);
    idm_trace_line(root, IDM_TRACE_FILE, "lost");
}

Test(platform_machine, trace_is_bounded_and_keeps_the_newest_whole_lines)
{
    char line[120], text[IDM_TRACE_MAX + 1];
    for (int i = 0; i < 2000; i++) {
        struct stat st;
        (void)snprintf(line, sizeof line, "line %06d %0100d", i, 0);
        idm_trace_line(root, IDM_TRACE_FILE, line);
        cr_assert_eq(stat(at("/run/idmode/trace"), &st), 0);
        cr_assert_leq(st.st_size, (off_t)IDM_TRACE_MAX);
        if (i > 1000)
            cr_assert_gt(st.st_size, (off_t)IDM_TRACE_MAX / 2 - 200, "more than half was lost");
    }
    int fd = open(at("/run/idmode/trace"), O_RDONLY | O_CLOEXEC);
    ssize_t n = read(fd, text, IDM_TRACE_MAX);
    cr_assert_gt(n, 0);
    cr_assert_eq(close(fd), 0);
    text[n] = 0;
    cr_expect_eq(strncmp(text, "line ", 5), 0);
    cr_expect_not_null(strstr(text, "line 001999 "));
    cr_expect_eq(mode_of("/run/idmode/trace"), 0644);
    cr_expect_not(there("/run/idmode/.trace.tmp"));
}
