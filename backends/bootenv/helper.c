/* SPDX-License-Identifier: BSD-2-Clause */
/* bootenv - prints variables of the U-Boot environment.
 *
 *     bootenv get [--root DIR] --config FILE NAME...
 *
 * prints for each NAME that exists, in the order asked,
 *
 *     NAME=VALUE     printable ASCII and blanks, at most BOOTENV_VALUE_MAX characters
 *     NAME           it exists, but with another value than that
 *
 * exit 0: done (also when nothing exists); 2: usage; 3: the environment cannot be read, with the
 * reason on stderr. FILE (fw_env.config of U-Boot's tools) and the devices that it names lie below
 * DIR.
 *
 * It only reads; there is no command that writes. It is a program of its own, started fresh,
 * because libubootenv 0.3.2 can put what lies on the heap into the environment: nothing that links
 * it may ever have held a secret. The library waits for its lock without limit: whoever starts this
 * limits its time.
 *
 * A redundant environment with one copy truncated or missing makes the library fail although the
 * other is good, and U-Boot boots from it. Then each copy is read alone, as a redundant pair of
 * itself twice: with one line in the configuration the library would expect the layout without the
 * flags byte. Two copies, each good only alone (of different sizes, say), count as unreadable.
 */
#include "backends/store/inroot.h"

#include <ctype.h>
#include <stdbool.h>
#include <stddef.h> /* libuboot.h 0.3.2 uses size_t without it */
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <libuboot.h>

#define BOOTENV_VALUE_MAX 512u
#define CONFIG_MAX        8192u /* a comment block and two lines */
#define COPIES            2

struct copy {
    char name[256]; /* as configured: DEVNAME_MAX_LENGTH, with its 0 */
    char *device;   /* what the library is told to open */
    long long offset;
    size_t size, sector_size;
    unsigned long sectors;
};

struct config {
    struct copy copies[COPIES];
    int count;
};

static int complain(const char *what, const char *why)
{
    (void)fprintf(stderr, "bootenv: %s: %s\n", what, why);
    return -1;
}

/* ---- configuration ----------------------------------------------------------------------------*/

/* What the library is told to open for `name`. Below a root: by descriptor (kept until exit), since
 * its configuration cannot express blanks in a path. A name that cannot be resolved below the root
 * becomes one that cannot exist, so that the other copy still counts; joining both would follow a
 * link out of the root. */
static char *below_root(int root_fd, const char *root, const char *name)
{
    char *device = NULL;
    /* UBI volumes ("/dev/ubi0:env") are no path that could be opened here */
    if (!*root)
        return strdup(name);
    int fd = idm_inroot_open(root_fd, name, O_PATH);
    if (fd < 0)
        return strdup("/dev/null/nowhere");
    return asprintf(&device, "/proc/self/fd/%d", fd) < 0 ? NULL : device;
}

/* One line as the library reads it: device, offset, size, sector size, sectors. */
static int parse_line(char *line, int root_fd, const char *root, struct config *config)
{
    struct copy copy = {0};
    /* NOLINTNEXTLINE(cert-err34-c): the library reads it so, and its reading is what counts */
    if (line[0] == '#' || sscanf(line, "%255s %lli %zx %zx %lx", copy.name, &copy.offset,
                                 &copy.size, &copy.sector_size, &copy.sectors) < 3)
        return 0;
    if (copy.name[0] != '/')
        return complain(copy.name, "not an absolute path");
    copy.device = below_root(root_fd, root, copy.name);
    if (!copy.device)
        return complain(copy.name, "out of memory");
    config->copies[config->count++] = copy;
    return 0;
}

static int read_config(int root_fd, const char *root, const char *path, struct config *ret)
{
    struct stat st;
    int fd = idm_inroot_open(root_fd, path, O_RDONLY | O_NONBLOCK);
    if (fd < 0)
        return complain(path, strerror(errno));
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > (off_t)CONFIG_MAX) {
        (void)close(fd);
        return complain(path, "no configuration file");
    }
    FILE *stream = fdopen(fd, "re");
    if (!stream) {
        (void)close(fd);
        return complain(path, "out of memory");
    }
    char *line = NULL;
    size_t size = 0;
    int r = 0;
    while (r == 0 && ret->count < COPIES && getline(&line, &size, stream) >= 0)
        r = parse_line(line, root_fd, root, ret);
    if (r == 0 && ferror(stream))
        r = complain(path, "it cannot be read");
    else if (r == 0 && ret->count == 0)
        r = complain(path, "it names no environment");
    free(line);
    (void)fclose(stream);
    return r;
}

/* ---- environment ------------------------------------------------------------------------------*/

static void put_line(FILE *stream, const struct copy *copy)
{
    (void)fprintf(stream, "%s %lld 0x%zx 0x%zx 0x%lx\n", copy->device, copy->offset, copy->size,
                  copy->sector_size, copy->sectors);
}

/* The library takes its configuration as a file only: a memory file, so nothing is left behind. */
static int config_in_memory(const struct copy *first, const struct copy *second)
{
    int fd = memfd_create("fw_env.config", MFD_CLOEXEC);
    int out = fd < 0 ? -1 : dup(fd);
    FILE *stream = out < 0 ? NULL : fdopen(out, "we");
    if (!stream) {
        if (out >= 0)
            (void)close(out);
        idm_close_fd(&fd);
        return -1;
    }
    put_line(stream, first);
    if (second)
        put_line(stream, second);
    if (fclose(stream) != 0)
        idm_close_fd(&fd);
    return fd;
}

static void close_environment(struct uboot_ctx *context)
{
    if (!context)
        return;
    libuboot_close(context);
    libuboot_exit(context);
}

/* The open environment, or NULL with the library's negative code in *ret_code. Its lock is given
 * back on failure: a second open in one process would wait for the first for ever. */
static struct uboot_ctx *open_environment(const struct copy *first, const struct copy *second,
                                          int *ret_code)
{
    struct uboot_ctx *context = NULL;
    char path[40];
    _cleanup_close_ int fd = config_in_memory(first, second);
    *ret_code = -ENOMEM;
    if (fd < 0 || libuboot_initialize(&context, NULL) < 0)
        return NULL;
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    *ret_code = libuboot_read_config(context, path);
    if (*ret_code == 0)
        *ret_code = libuboot_open(context);
    if (*ret_code == 0)
        return context;
    close_environment(context);
    return NULL;
}

/* The one copy that is good alone; NULL when none is, or both are. */
static struct uboot_ctx *open_single(const struct config *config)
{
    const struct copy *good = NULL;
    int code = 0;
    for (int i = 0; i < config->count; i++) {
        const struct copy *copy = &config->copies[i];
        struct uboot_ctx *context = open_environment(copy, copy, &code);
        if (!context)
            continue;
        /* closed before the next is opened: the lock is one for all */
        close_environment(context);
        if (good) {
            (void)complain("environment", "two copies, each good only alone");
            return NULL;
        }
        good = copy;
    }
    return good ? open_environment(good, good, &code) : NULL;
}

static struct uboot_ctx *open_any(const struct config *config)
{
    int code = 0;
    const struct copy *second = config->count == COPIES ? &config->copies[1] : NULL;
    struct uboot_ctx *context = open_environment(&config->copies[0], second, &code);
    if (!context && second)
        context = open_single(config);
    if (!context) {
        (void)fprintf(stderr, "bootenv: %s%s%s: cannot be read (libubootenv: %d)\n",
                      config->copies[0].name, second ? ", " : "", second ? second->name : "", code);
    }
    return context;
}

/* ---- output -----------------------------------------------------------------------------------*/

static bool printable(const char *value)
{
    size_t length = 0;
    while (value[length] && isprint((unsigned char)value[length]))
        length++;
    return value[length] == 0 && length <= BOOTENV_VALUE_MAX;
}

static void print(FILE *out, struct uboot_ctx *context, const char *name)
{
    char *value = libuboot_get_env(context, name);
    if (value && printable(value))
        (void)fprintf(out, "%s=%s\n", name, value);
    else if (value)
        (void)fprintf(out, "%s\n", name);
    free(value);
}

/* Our own output, with stdout turned to stderr: a library built without NDEBUG prints there. */
static FILE *take_stdout(void)
{
    int fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (fd < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
        return NULL;
    return fdopen(fd, "we");
}

static int get(const char *root, const char *config_path, char **names)
{
    struct config config = {0};
    int root_fd = idm_inroot_root(root);
    if (root_fd < 0)
        return complain(root, strerror(errno));
    FILE *out = take_stdout();
    if (!out)
        return complain("stdout", "it is closed");
    struct uboot_ctx *context = NULL;
    if (read_config(root_fd, root, config_path, &config) == 0)
        context = open_any(&config);
    for (char **name = names; context && *name; name++)
        print(out, context, *name);
    bool written = fclose(out) == 0;
    int r = context && written ? 0 : -1;
    close_environment(context);
    for (int i = 0; i < config.count; i++)
        free(config.copies[i].device);
    (void)close(root_fd);
    return r;
}

static int usage(void)
{
    (void)fputs("usage: bootenv get [--root DIR] --config FILE NAME...\n", stderr);
    return 2;
}

int main(int argc, char **argv)
{
    const char *root = "", *config = NULL;
    int i = 2;
    if (argc < 2 || strcmp(argv[1], "get") != 0)
        return usage();
    for (; i + 1 < argc && strncmp(argv[i], "--", 2) == 0; i += 2) {
        if (strcmp(argv[i], "--root") == 0)
            root = argv[i + 1];
        else if (strcmp(argv[i], "--config") == 0)
            config = argv[i + 1];
        else
            return usage();
    }
    if (!config || i >= argc || argv[i][0] == '-')
        return usage();
    return get(root, config, argv + i) < 0 ? 3 : 0;
}
