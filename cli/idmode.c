/* SPDX-License-Identifier: BSD-2-Clause */
/* idmode.c - the program that everybody calls. `mode` it answers itself, from one file and with
 * nothing but libc loaded: agents ask often. For everything else it loads libexec/idmode/core, or becomes
 * libexec/idmode/attest, where that is installed. */
#include "cli/core.h"
#include "cli/options.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Anything but one of the four words means that nobody decided in this boot. */
static const char *read_mode(const char *root)
{
    static const char *const words[] = {"none", "software", "tpm"};
    char path[PATH_MAX];
    char text[16] = "";
    int length = snprintf(path, sizeof path, "%s/run/idmode/mode", root);
    if (length < 0 || (size_t)length >= sizeof path)
        return "unknown";
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return "unknown";
    ssize_t size = read(fd, text, sizeof text - 1);
    (void)close(fd);
    if (size <= 0 || text[size - 1] != '\n')
        return "unknown";
    text[size - 1] = 0;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(text, words[i]) == 0)
            return words[i];
    return "unknown";
}

static int print_mode(const struct idm_options *options)
{
    const char *mode = read_mode(options->root);
    (void)printf(options->json ? "{\"mode\": \"%s\"}\n" : "%s\n", mode);
    return 0;
}

/* BUILD/bin/idmode → BUILD/libexec/idmode/core; /usr/bin/idmode → /usr/libexec/idmode/core */
static bool find(const char *part, char ret_path[2 * PATH_MAX])
{
    ssize_t length = readlink("/proc/self/exe", ret_path, PATH_MAX);
    char *slash = length > 0 ? memrchr(ret_path, '/', (size_t)length) : NULL;
    if (slash)
        (void)snprintf(slash, PATH_MAX, "/../libexec/idmode/%s", part);
    return slash != NULL;
}

static int missing(const char *part, const char *why)
{
    (void)fprintf(stderr, "idmode: start: libexec/idmode/%s: %s (install it)\n", part, why);
    return 5;
}

static int become_attest(char **argv)
{
    char path[2 * PATH_MAX];
    if (find("attest", path))
        (void)execv(path, argv);
    return missing("attest", strerror(errno));
}

/* In this process: to become another program would cost a boot a tenth of its time. */
static int run_core(int argc, char **argv)
{
    static void *core; /* until the process ends */
    char path[2 * PATH_MAX];
    if (!find("core", path))
        return missing("core", "/proc is not mounted");
    core = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    __typeof__(idm_core_main) *core_main = NULL;
    if (core) /* POSIX, dlsym: the cast it is made for */
        *(void **)&core_main = dlsym(core, "idm_core_main");
    return core_main ? core_main(argc, argv) : missing("core", dlerror());
}

/* Is it perhaps not for core? */
static bool may_be_elsewhere(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "mode") == 0 || strcmp(argv[i], "attest") == 0)
            return true;
    return false;
}

int main(int argc, char **argv)
{
    struct idm_options options;
    bool attests = false;
    if (!idm_options_open_standard())
        return 5;
    if (may_be_elsewhere(argc, argv)) {
        /* getopt permutes argv: the core gets its own order when the word was an option's value. */
        char **copy = calloc((size_t)argc + 1, sizeof *copy);
        if (!copy)
            return 5;
        memcpy(copy, argv, (size_t)argc * sizeof *copy);
        if (!idm_options_parse(&options, argc, copy)) {
            free(copy);
            return idm_options_misused(argv);
        }
        const char *word = options.words ? options.word[0] : "";
        int rc = -1;
        if (strcmp(word, "attest") == 0)
            attests = true;
        else if (strcmp(word, "mode") == 0 && options.words == 1 && !options.help &&
                 !options.version)
            rc = idm_options_fit(&options, word) ? print_mode(&options) : idm_options_misused(argv);
        free(copy);
        if (rc >= 0)
            return rc;
    }
    return attests ? become_attest(argv) : run_core(argc, argv);
}
