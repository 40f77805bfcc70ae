/* SPDX-License-Identifier: BSD-2-Clause */
/* What happens to a real device's disk, clock and case. */
#include "tests/lab/real.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CLOCK_THAT_STOOD_STILL 1000 /* 1970-01-01 00:16:40 */

static const char *const ENVIRONMENT[] = {"/boot/uboot.env", "/boot/uboot-redund.env"};

/* ---- files ---- */

static int harm_file(struct idm_device *device, enum lab_action how, const char *path)
{
    if (how == LAB_DO_delete)
        return idm_device_delete(device, path);
    if (how == LAB_DO_empty)
        return idm_device_write(device, path, "", 0);
    return idm_device_exists(device, path) ? idm_device_tear(device, path) : 0;
}

static int harm_entry(struct idm_device *device, enum lab_action how, const struct lab_entry *entry)
{
    if (how == LAB_DO_delete && !idm_device_exists(device, entry->path))
        return 0; /* its directory went before it */
    if (how != LAB_DO_delete && entry->directory)
        return 0;
    return harm_file(device, how, entry->path);
}

/* Everything in a directory, but not itself: it is a mount point, or might be one. */
static int harm_all(struct idm_device *device, enum lab_action how, const char *place)
{
    struct lab_tree tree;
    size_t length = strlen(place);

    if (lab_real_tree(device, &tree) != 0)
        return -1;
    for (size_t i = 0; i < tree.count; i++) {
        const char *path = tree.entries[i].path;

        if (strncmp(path, place, length) == 0 && path[length] == '/' &&
            harm_entry(device, how, &tree.entries[i]) != 0)
            return -1;
    }
    return 0;
}

/* A torn write hits one copy, that is what there are two for; the next one hits the other. */
static int harm_environment(struct lab_world *world, enum lab_action how)
{
    if (world->device.bootloader.scheme == IDM_BOOT_NONE)
        return 0;
    if (how != LAB_DO_delete)
        return harm_file(&world->device, how, ENVIRONMENT[world->env_harms++ % 2]);
    for (size_t i = 0; i < sizeof(ENVIRONMENT) / sizeof(ENVIRONMENT[0]); i++) {
        if (harm_file(&world->device, how, ENVIRONMENT[i]) != 0)
            return -1;
    }
    return 0;
}

static int harm_two(struct idm_device *device, enum lab_action how, const char *first,
                    const char *second)
{
    return harm_file(device, how, first) != 0 ? -1 : harm_file(device, how, second);
}

int lab_real_harm(struct lab_world *world, enum lab_action how, enum lab_what what)
{
    struct idm_device *device = &world->device;

    switch (what) {
    case LAB_CERT:
        return harm_file(device, how, "/config/device.cert.pem");
    case LAB_KEY:
        return harm_file(device, how, "/config/device.key.pem");
    case LAB_MARKER:
        return harm_file(device, how, "/persist/config/tpm_in_use");
    case LAB_RECORD_A:
        return harm_file(device, how, "/persist/idmode/record");
    case LAB_RECORD:
        return harm_two(device, how, "/persist/idmode/record", "/config/idmode/record");
    case LAB_PERSIST:
        return harm_all(device, how, "/persist");
    case LAB_CONFIG_DIR:
        return harm_all(device, how, "/config");
    case LAB_DISK:
        return harm_all(device, how, "/persist") != 0 ? -1 : harm_all(device, how, "/config");
    case LAB_BOOTENV:
        return harm_environment(world, how);
    }
    return -1;
}

/* ---- mounts ---- */

static void aside(const struct lab_world *world, const char *where, const char *place,
                  char ret_path[IDM_DEVICE_PATH_SIZE])
{
    snprintf(ret_path, IDM_DEVICE_PATH_SIZE, "%s/%s/%s", world->device.base, where, place);
}

static int make_aside(struct lab_world *world, const char *where)
{
    char path[IDM_DEVICE_PATH_SIZE];

    aside(world, where, "", path);
    if (mkdir(path, 0755) != 0 && errno != EEXIST)
        return idm_device_fail(&world->device, "make %s: %s", path, strerror(errno));
    return 0;
}

static int exchange(struct lab_world *world, const char *place, bool mounts)
{
    char here[IDM_DEVICE_PATH_SIZE], from[IDM_DEVICE_PATH_SIZE], to[IDM_DEVICE_PATH_SIZE];

    snprintf(here, sizeof(here), "%s/%s", world->device.root, place);
    aside(world, mounts ? "mounted" : "beneath", place, from);
    aside(world, mounts ? "beneath" : "mounted", place, to);
    if (make_aside(world, "mounted") != 0 || make_aside(world, "beneath") != 0)
        return -1;
    if (!mounts && mkdir(from, 0755) != 0 && errno != EEXIST)
        return idm_device_fail(&world->device, "make %s: %s", from, strerror(errno));
    if (rename(here, to) != 0 || rename(from, here) != 0)
        return idm_device_fail(&world->device, "exchange %s: %s", here, strerror(errno));
    return 0;
}

/* Only what is not mounted stands in it: a scratch directory never is a mount point. */
static int write_fstab(struct lab_world *world)
{
    char text[256];

    snprintf(text, sizeof(text), "%s%s",
             world->config_mounted ? "" : "/dev/mmcblk0p3 /config vfat rw,sync 0 2\n",
             world->persist_mounted ? "" : "/dev/mmcblk0p4 /persist ext4 rw 0 2\n");
    if (text[0] == '\0')
        return idm_device_delete(&world->device, "/etc/fstab");
    return idm_device_write_text(&world->device, "/etc/fstab", text);
}

static int mount_one(struct lab_world *world, const char *place, int wanted, bool *mounted)
{
    if (wanted < 0 || *mounted == (wanted == 1))
        return 0;
    if (exchange(world, place, wanted == 1) != 0)
        return -1;
    *mounted = wanted == 1;
    return 0;
}

int lab_real_mount(struct lab_world *world, int config, int persist)
{
    if (mount_one(world, "config", config, &world->config_mounted) != 0 ||
        mount_one(world, "persist", persist, &world->persist_mounted) != 0)
        return -1;
    return write_fstab(world);
}

void lab_real_disk_path(const struct lab_world *world, const char *place,
                        char ret_path[IDM_DEVICE_PATH_SIZE])
{
    bool mounted = strcmp(place, "config") == 0 ? world->config_mounted : world->persist_mounted;

    if (mounted)
        snprintf(ret_path, IDM_DEVICE_PATH_SIZE, "%s/%s", world->device.root, place);
    else
        aside(world, "mounted", place, ret_path);
}

/* ---- surroundings ---- */

int lab_real_move_disk(struct lab_world *world)
{
    char serial[32];

    world->moves++;
    snprintf(serial, sizeof(serial), "CASE-%u\n", world->moves);
    if (idm_device_write_text(&world->device, "/sys/class/dmi/id/product_serial", serial) != 0)
        return -1;
    return lab_real_chip_replace(world);
}

void lab_real_set_disk(struct lab_world *world, enum lab_disk disk)
{
    world->disk = disk;
    world->device.disk = disk == LAB_DISK_FULL        ? IDM_DISK_FULL
                         : disk == LAB_DISK_READ_ONLY ? IDM_DISK_READ_ONLY
                                                      : IDM_DISK_OK;
}

void lab_real_set_clock(struct lab_world *world, bool good)
{
    world->clock_good = good;
    if (good)
        idm_device_clock_real(&world->device);
    else
        idm_device_clock(&world->device, CLOCK_THAT_STOOD_STILL);
}
