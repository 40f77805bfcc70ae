/* SPDX-License-Identifier: BSD-2-Clause */
/* fuzz.h - what the fuzz targets share. Each tests/fuzz/NAME.c is one target: a function from bytes to
 * nothing, that aborts when a property does not hold.
 *
 *     libFuzzer (preset fuzz, clang) ──┐                         ┌── property: what was read is written
 *                                      ├─► LLVMFuzzerTestOneInput│   and read again the same, what was
 *     driver.c over corpus/NAME/ ──────┘       (data, size)      └── refused left its output alone
 *     (presets dev and asan: in ./dev test)
 *
 * corpus/NAME/ holds small seeds, named by what they are, and what fuzzing found, named by libFuzzer
 * (crash-…, leak-…, timeout-…): an input that once broke something stays for ever.
 */
#ifndef IDM_TESTS_FUZZ_FUZZ_H
#define IDM_TESTS_FUZZ_FUZZ_H

#include "backends/bytes.h"

#include <stddef.h>
#include <stdint.h>

/* The target; 0 always, as libFuzzer demands. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Aborts with the place when the property does not hold. */
#define FUZZ_CHECK(condition)                                                                      \
    do {                                                                                           \
        if (!(condition))                                                                          \
            fuzz_broken(__FILE__, __LINE__, #condition);                                           \
    } while (0)
_Noreturn void fuzz_broken(const char *file, int line, const char *condition);

/* A scratch directory of this process, removed when it ends normally. Static. */
const char *fuzz_dir(void);
/* Writes the bytes to a file below it, made with its directories; its path, until the next call. */
const char *fuzz_file(const char *name, const uint8_t *data, size_t size);
/* Input for what reads PEM: as it stands; but where its first byte is one of 1 to the number of labels (the
 * rest is DER), a block with that label around the rest. A fuzzer does not learn base64. */
void fuzz_pem(const char *const labels[], const uint8_t *data, size_t size, struct idm_bytes *ret);
/* Takes standard output and error away, for code that complains there; 0: gives them back. */
void fuzz_quiet(int quiet);

#endif
