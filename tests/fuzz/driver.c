/* SPDX-License-Identifier: BSD-2-Clause */
/* driver.c - gives every file of the named directories to the target: the corpus as a test, without
 * clang. Each also cut short and with bytes changed, always the same ones. */
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_MAX (1024u * 1024u)
#define SPOILT    24u /* more inputs made from each file */

static uint64_t state = 0x9e3779b97f4a7c15u;

/* xorshift64: the same sequence everywhere. */
static uint64_t random_number(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

/* In a buffer of exactly that size: a read behind it shows under ASan. */
static void give(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    FUZZ_CHECK(copy);
    memcpy(copy, data, size);
    (void)LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static void give_spoilt(uint8_t *data, size_t size)
{
    for (unsigned int i = 0; i < SPOILT && size; i++) {
        size_t at = (size_t)random_number() % size;
        uint8_t was = data[at];
        if (i % 3 == 0) {
            give(data, at);
            continue;
        }
        unsigned int now = i % 3 == 1 ? (unsigned int)random_number() : was ^ 1u << i % 8;
        data[at] = (uint8_t)now;
        give(data, size);
        data[at] = was;
    }
}

static int run_file(const char *path)
{
    uint8_t *data = malloc(INPUT_MAX);
    FILE *file = fopen(path, "rbe");
    int rc = -1;
    if (file && data) {
        size_t size = fread(data, 1, INPUT_MAX, file);
        give(data, size);
        give_spoilt(data, size);
        rc = 0;
    } else {
        perror(path);
    }
    if (file)
        (void)fclose(file);
    free(data);
    return rc;
}

static int run_dir(const char *path)
{
    char name[4096];
    int count = 0;
    DIR *dir = opendir(path);
    struct dirent *entry = NULL;
    while (dir && (entry = readdir(dir))) {
        (void)snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        if (entry->d_name[0] == '.')
            continue;
        if (run_file(name) < 0)
            return -1;
        count++;
    }
    if (dir)
        (void)closedir(dir);
    (void)printf("%s: %d files\n", path, count);
    return count ? 0 : -1;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (run_dir(argv[i]) < 0) {
            (void)fprintf(stderr, "%s: no inputs\n", argv[i]);
            return 1;
        }
    return 0;
}
