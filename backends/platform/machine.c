/* SPDX-License-Identifier: BSD-2-Clause */
#include "backends/platform/machine.h"

#include "backends/store/inroot.h"

#include <strings.h>
#include <sys/stat.h>
#include <time.h>

/* What firmware vendors ship where a serial number belongs; compared without regard to case. */
static const char *const placeholders[] = {
    "To be filled by O.E.M.",
    "To be filled by O.E.M",
    "Default string",
    "None",
    "System Serial Number",
    "Serial Number",
    "Not Specified",
    "Not Applicable",
    "Not Available",
    "N/A",
    "NA",
    "Unknown",
    "Invalid",
    "Empty",
    "OEM",
    "0123456789",
    "123456789",
    "1234567890",
};

/* Reads a small regular file below root_fd into ret_text, cut to size. 0, or a negative errno. */
static int read_text(int root_fd, const char *path, char *ret_text, size_t size)
{
    struct stat st;
    _cleanup_close_ int fd = idm_inroot_open(root_fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return errno == ENOTDIR ? -ENOENT : -errno;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return -EIO;
    size_t done = 0;
    while (done < size - 1) {
        ssize_t n = read(fd, ret_text + done, size - 1 - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    ret_text[done] = 0;
    return 0;
}

/* Copies `from` up to its first line end, without blanks around it, as printable ASCII. */
static void copy_clean(const char *from, char *ret_text, size_t size)
{
    while (*from == ' ' || *from == '\t')
        from++;
    size_t length = strcspn(from, "\r\n");
    while (length > 0 && (from[length - 1] == ' ' || from[length - 1] == '\t'))
        length--;
    if (length > size - 1)
        length = size - 1;
    for (size_t i = 0; i < length; i++)
        ret_text[i] = from[i] >= 0x20 && from[i] < 0x7f ? from[i] : '?';
    ret_text[length] = 0;
}

static bool is_placeholder(const char *serial)
{
    /* nothing, zeros ("0", "0000-0000"), or filler ("........", "FFFFFFFF", unprogrammed bytes) */
    if (serial[strspn(serial, "0-. ")] == 0 || serial[strspn(serial, "FfXx?*-. ")] == 0)
        return true;
    for (size_t i = 0; i < sizeof placeholders / sizeof *placeholders; i++)
        if (strcasecmp(serial, placeholders[i]) == 0)
            return true;
    return false;
}

/* Fills serial and its kind from the hardware. False: the hardware has none, ask elsewhere. */
static bool read_hardware_serial(int root_fd, struct idm_platform *platform)
{
    static const char *const sources[] = {
        "/sys/class/dmi/id/product_serial",
        "/proc/device-tree/serial-number",
        "/sys/firmware/devicetree/base/serial-number",
    };
    bool hidden = false;
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        char text[256], serial[sizeof platform->serial];
        int r = read_text(root_fd, sources[i], text, sizeof text);
        if (r < 0) {
            hidden = hidden || r != -ENOENT;
            continue;
        }
        copy_clean(text, serial, sizeof serial);
        if (is_placeholder(serial))
            continue;
        memcpy(platform->serial, serial, sizeof serial);
        platform->serial_kind = IDM_SERIAL_HARDWARE;
        return true;
    }
    return hidden;
}

/* machine-id(5): 32 hexadecimal characters; "uninitialized" before the first boot ended */
static void read_machine_id(int root_fd, struct idm_platform *platform)
{
    char text[64], id[sizeof platform->machine_id];
    if (read_text(root_fd, "/etc/machine-id", text, sizeof text) < 0)
        return;
    copy_clean(text, id, sizeof id);
    if (strlen(id) == 32 && strspn(id, "0123456789abcdef") == 32 && strspn(id, "0") < 32)
        memcpy(platform->machine_id, id, sizeof id);
}

static int read_boot_id(int root_fd, struct idm_platform *platform, struct idm_error *err)
{
    static const char path[] = "/proc/sys/kernel/random/boot_id";
    char text[64];
    int r = read_text(root_fd, path, text, sizeof text);
    if (r < 0) {
        _cleanup_close_ int host = idm_inroot_root("");
        r = read_text(host, path, text, sizeof text);
    }
    if (r < 0)
        return idm_fail_errno(err, IDM_E_UNREADABLE, "read the boot id", -r);
    copy_clean(text, platform->boot_id, sizeof platform->boot_id);
    if (strlen(platform->boot_id) != 36 || strspn(platform->boot_id, "0123456789abcdef-") != 36)
        return idm_fail(err, IDM_E_UNREADABLE, "read the boot id", "%s holds no UUID", path);
    return 0;
}

/* ---- image version ----------------------------------------------------------------------------*/

/* Value of an os-release line: shell quoting, no expansion. */
static void unquote(const char *value, char *ret_text, size_t size)
{
    size_t length = 0;
    char quote = 0;
    for (; *value && *value != '\n' && length + 1 < size; value++) {
        if (!quote && (*value == '"' || *value == '\'')) {
            quote = *value;
            continue;
        }
        if (quote && *value == quote)
            break;
        if (*value == '\\' && quote != '\'' && value[1] && value[1] != '\n')
            value++;
        ret_text[length++] = *value;
    }
    ret_text[length] = 0;
}

static bool find_value(const char *text, const char *key, char *ret_value, size_t size)
{
    size_t length = strlen(key);
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        line += strspn(line, " \t");
        if (strncmp(line, key, length) != 0 || line[length] != '=')
            continue;
        char raw[256];
        unquote(line + length + 1, raw, sizeof raw);
        copy_clean(raw, ret_value, size);
        return *ret_value != 0;
    }
    return false;
}

static void read_version(int root_fd, const struct idm_settings *settings,
                         struct idm_platform *platform)
{
    char text[16384];
    size_t size = sizeof platform->image_version;
    if (strcmp(settings->version, "os-release") != 0) {
        copy_clean(settings->version, platform->image_version, size);
        return;
    }
    if (read_text(root_fd, "/etc/os-release", text, sizeof text) < 0 &&
        read_text(root_fd, "/usr/lib/os-release", text, sizeof text) < 0)
        return;
    if (!find_value(text, "VERSION_ID", platform->image_version, size) &&
        !find_value(text, "IMAGE_VERSION", platform->image_version, size))
        platform->image_version[0] = 0;
}

int idm_machine_read(const char *root, const struct idm_settings *settings,
                     struct idm_platform *ret, struct idm_error *err)
{
    struct idm_platform platform = {.not_before = IDM_BUILD_DATE};
    _cleanup_close_ int root_fd = idm_inroot_root(root);
    if (root_fd < 0)
        return idm_fail_errno(err, IDM_E_UNREADABLE, "open the root directory", errno);
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now) < 0)
        return idm_fail_errno(err, IDM_E_CLOCK, "read the clock", errno);
    platform.now = now.tv_sec;
    int r = read_boot_id(root_fd, &platform, err);
    if (r < 0)
        return r;
    read_machine_id(root_fd, &platform);
    if (!read_hardware_serial(root_fd, &platform) && platform.machine_id[0]) {
        (void)snprintf(platform.serial, sizeof platform.serial, "%s", platform.machine_id);
        platform.serial_kind = IDM_SERIAL_MACHINE_ID;
    }
    read_version(root_fd, settings, &platform);
    *ret = platform;
    return 0;
}
