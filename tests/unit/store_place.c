/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/store/store.h"
#include "tests/unit/store_scratch.h"

static struct idm_settings settings;
static struct idm_store *store;

static void reopen(void)
{
    idm_store_close(store);
    cr_assert_eq(idm_store_open(&store, root, &settings, NULL), 0);
}

static void set_up(void)
{
    scratch_make();
    memset(&settings, 0, sizeof settings);
    (void)snprintf(settings.config_dir, sizeof settings.config_dir, "/config");
    (void)snprintf(settings.persist_dir, sizeof settings.persist_dir, "/persist");
    settings.require_mount = IDM_MOUNT_AUTO;
    reopen();
}

static void tear_down(void)
{
    idm_store_close(store);
    scratch_remove();
}

TestSuite(store_place, .init = set_up, .fini = tear_down, .timeout = 60);

static enum idm_place_state state(enum idm_place place)
{
    return idm_store_place_state(store, place);
}

Test(store_place, a_root_that_is_not_there)
{
    struct idm_store *none = NULL;
    struct idm_error err = {0};
    cr_expect_eq(idm_store_open(&none, "/nowhere/at/all", &settings, &err), IDM_E_ABSENT);
    cr_expect_null(none);
    cr_expect_neq(err.what[0], 0);
    idm_store_close(NULL);
}

Test(store_place, nobody_declares_a_mount_point)
{
    cr_expect_eq(state(IDM_CONFIG), IDM_PLACE_MISSING);
    cr_expect_eq(state(IDM_CONFIG_OURS), IDM_PLACE_UNPROVEN);
    cr_expect_eq(state(IDM_RUN), IDM_PLACE_UNPROVEN);
    make_dir("/config");
    make_dir("/run");
    cr_expect_eq(state(IDM_CONFIG), IDM_PLACE_PROVEN);
    cr_expect_eq(state(IDM_CONFIG_OURS), IDM_PLACE_MISSING);
    cr_expect_eq(state(IDM_RUN), IDM_PLACE_MISSING);
    make_dir("/config/idmode");
    make_dir("/run/idmode");
    cr_expect_eq(state(IDM_CONFIG_OURS), IDM_PLACE_PROVEN);
    cr_expect_eq(state(IDM_RUN), IDM_PLACE_PROVEN);
    cr_expect_eq(state(IDM_MARKER_DIR), IDM_PLACE_UNPROVEN);
    make_dir("/persist/config");
    cr_expect_eq(state(IDM_MARKER_DIR), IDM_PLACE_PROVEN);
    cr_expect_eq(state(IDM_PERSIST_OURS), IDM_PLACE_MISSING);
    cr_expect_not(idm_store_place_is_mount(store, IDM_CONFIG));
    cr_expect_not(idm_store_place_is_mount(store, IDM_PERSIST_OURS));
}

Test(store_place, a_deep_directory_needs_its_parent)
{
    (void)snprintf(settings.config_dir, sizeof settings.config_dir, "/mnt/data/config/");
    cr_expect_eq(state(IDM_CONFIG), IDM_PLACE_UNPROVEN);
    make_dir("/mnt/data");
    cr_expect_eq(state(IDM_CONFIG), IDM_PLACE_MISSING);
}

Test(store_place, something_else_in_its_place)
{
    put("/config", "a file");
    cr_expect_eq(state(IDM_CONFIG), IDM_PLACE_UNREADABLE);
    cr_expect_eq(state(IDM_CONFIG_OURS), IDM_PLACE_UNREADABLE);
    cr_assert_eq(symlink("nowhere", at("/persist")), 0);
    cr_expect_eq(state(IDM_PERSIST), IDM_PLACE_UNREADABLE);
    cr_assert_eq(unlink(at("/persist")), 0);
    make_dir("/persist");
    cr_assert_eq(symlink("../config", at("/persist/idmode")), 0);
    cr_expect_eq(state(IDM_PERSIST_OURS), IDM_PLACE_UNREADABLE);
    put("/persist/config", "a file");
    cr_expect_eq(state(IDM_MARKER_DIR), IDM_PLACE_UNREADABLE);
}

/* Each way to declare /config a mount point. */
static const struct {
    const char *path, *text;
    bool declares;
} declarations[] = {
    {"/etc/fstab", "# <fs>\nLABEL=config  /config  vfat  defaults,noauto  0 0\n", true},
    {"/etc/fstab", "/dev/sda3\t//config/\text4\tro 0 2\n", true},
    {"/etc/fstab", "#/dev/sda3 /config ext4 ro 0 2\n/dev/sda4 none swap sw 0 0\n", false},
    {"/etc/fstab", "/dev/sda3 /config2 ext4 ro 0 2\n/dev/sda1 / ext4 ro 0 1\n", false},
    {"/etc/fstab", "/dev/sda3 /conf ext4 ro 0 2\n", false},
    {"/etc/systemd/system/config.mount", "[Unit]\nWhere=/x\n[Mount]\nWhat=x\nWhere = /config\n",
     true},
    {"/usr/lib/systemd/system/config.mount", "[Mount]\nWhere=/config\n[Install]\n", true},
    {"/usr/lib/systemd/system/config.mount.bak", "[Mount]\nWhere=/config\n", false},
    {"/usr/lib/systemd/system/config.service", "[Mount]\nWhere=/config\n", false},
    {"/usr/lib/systemd/system/x.mount", "[Unit]\nDescription=x\nWhere=/config\n", false},
};

Test(store_place, fstab_and_units_declare_mount_points)
{
    make_dir("/config/idmode");
    for (size_t i = 0; i < sizeof declarations / sizeof *declarations; i++) {
        put(declarations[i].path, declarations[i].text);
        reopen();
        enum idm_place_state wanted =
            declarations[i].declares ? IDM_PLACE_UNPROVEN : IDM_PLACE_PROVEN;
        cr_expect_eq(state(IDM_CONFIG), wanted, "%zu: %s", i, declarations[i].text);
        cr_expect_eq(state(IDM_CONFIG_OURS), wanted, "%zu", i);
        cr_assert_eq(unlink(at(declarations[i].path)), 0);
    }
}

Test(store_place, a_masked_unit_declares_nothing)
{
    make_dir("/config");
    make_dir("/etc/systemd/system");
    put("/usr/lib/systemd/system/config.mount", "[Mount]\nWhere=/config\n");
    cr_assert_eq(symlink("/dev/null", at("/etc/systemd/system/config.mount")), 0);
    reopen();
    cr_expect_eq(state(IDM_CONFIG), IDM_PLACE_PROVEN);
    cr_assert_eq(unlink(at("/etc/systemd/system/config.mount")), 0);
    reopen();
    cr_expect_eq(state(IDM_CONFIG), IDM_PLACE_UNPROVEN);
}

Test(store_place, an_unmounted_directory_above_counts)
{
    (void)snprintf(settings.config_dir, sizeof settings.config_dir, "/mnt/data/config");
    put("/etc/fstab", "/dev/sda3 /mnt/data ext4 ro 0 2\n");
    make_dir("/mnt/data/config");
    cr_expect_eq(state(IDM_CONFIG), IDM_PLACE_UNPROVEN);
    cr_assert_eq(rmdir(at("/mnt/data/config")), 0);
    cr_expect_eq(state(IDM_CONFIG), IDM_PLACE_UNPROVEN);
}

Test(store_place, a_link_to_an_unmounted_directory_counts)
{
    put("/etc/fstab", "/dev/sda3 /mnt/config ext4 ro 0 2\n");
    make_dir("/mnt/config");
    cr_assert_eq(symlink("/mnt/config", at("/config")), 0);
    cr_expect_eq(state(IDM_CONFIG), IDM_PLACE_UNPROVEN);
}

Test(store_place, too_many_declarations_prove_nothing)
{
    static char text[16384];
    size_t used = 0;
    for (int i = 0; i < 200; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "x /mnt/%d ext4 ro 0 2\n", i);
    put("/etc/fstab", text);
    make_dir("/config");
    cr_expect_eq(state(IDM_CONFIG), IDM_PLACE_UNPROVEN);
    settings.require_mount = IDM_MOUNT_NONE;
    cr_expect_eq(state(IDM_CONFIG), IDM_PLACE_PROVEN);
}

Test(store_place, require_mount_by_configuration)
{
    static const struct {
        enum idm_require_mount how;
        enum idm_place_state config, persist;
    } rows[] = {
        {IDM_MOUNT_NONE, IDM_PLACE_PROVEN, IDM_PLACE_PROVEN},
        {IDM_MOUNT_CONFIG, IDM_PLACE_UNPROVEN, IDM_PLACE_PROVEN},
        {IDM_MOUNT_PERSIST, IDM_PLACE_PROVEN, IDM_PLACE_UNPROVEN},
        {IDM_MOUNT_BOTH, IDM_PLACE_UNPROVEN, IDM_PLACE_UNPROVEN},
    };
    make_dir("/config");
    make_dir("/persist");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        settings.require_mount = rows[i].how;
        cr_expect_eq(state(IDM_CONFIG), rows[i].config, "%zu", i);
        cr_expect_eq(state(IDM_PERSIST), rows[i].persist, "%zu", i);
    }
    cr_assert_eq(rmdir(at("/config")), 0);
    cr_expect_eq(state(IDM_CONFIG), IDM_PLACE_UNPROVEN);
}

Test(store_place, a_mounted_file_system_is_proof)
{
    own_mounts();
    put("/etc/fstab", "x /mnt/config tmpfs rw 0 0\n");
    mount_tmpfs("/mnt/config", "size=64k");
    cr_assert_eq(symlink("/mnt/config", at("/config")), 0);
    make_dir("/persist");
    reopen();
    cr_expect_eq(state(IDM_CONFIG), IDM_PLACE_PROVEN);
    cr_expect_eq(state(IDM_CONFIG_OURS), IDM_PLACE_MISSING);
    cr_expect(idm_store_place_is_mount(store, IDM_CONFIG));
    settings.require_mount = IDM_MOUNT_BOTH;
    cr_expect_eq(state(IDM_CONFIG), IDM_PLACE_PROVEN);
    cr_assert_eq(umount2(at("/mnt/config"), MNT_DETACH), 0);
    cr_expect_eq(state(IDM_CONFIG), IDM_PLACE_UNPROVEN);
}

Test(store_place, a_bind_mount_from_the_same_device_is_proof)
{
    own_mounts();
    make_dir("/disk");
    make_dir("/config");
    cr_assert_eq(mount(at("/disk"), at("/config"), NULL, MS_BIND, NULL), 0);
    settings.require_mount = IDM_MOUNT_CONFIG;
    reopen();
    cr_expect_eq(state(IDM_CONFIG), IDM_PLACE_PROVEN);
}

Test(store_place, room)
{
    make_dir("/config");
    cr_expect_eq(idm_store_place_room(store, IDM_CONFIG, 1), IDM_ROOM_OK);
    cr_expect_eq(idm_store_place_room(store, IDM_CONFIG_OURS, 1), IDM_ROOM_OK);
    cr_expect_eq(idm_store_place_room(store, IDM_RUN, 1), IDM_ROOM_OK, "/run can be made");
    cr_expect_eq(idm_store_place_room(store, IDM_CONFIG, SIZE_MAX / 2), IDM_ROOM_FULL);
    cr_expect_eq(idm_store_place_room(store, IDM_PERSIST, 1), IDM_ROOM_READ_ONLY);
}
