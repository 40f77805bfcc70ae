/* SPDX-License-Identifier: BSD-2-Clause */
/* bench.h - figures, each beside its goal.
 *
 *     bench.c      the table, and TPM commands by the shim's count
 *     tls.c        signatures, handshakes and the mode as TLS users pay for them
 *     verify.c     what the controller pays for evidence
 *     cost.c       what else a program costs: files, time, instructions, memory, size
 *
 * A figure that cannot be measured ends the program with exit code 1; a goal that is missed does not.
 */
#ifndef IDM_TESTS_BENCH_BENCH_H
#define IDM_TESTS_BENCH_BENCH_H

#include "tests/support/device.h"

#define BENCH_NO_GOAL (-1.0)

/* One line of the table. decimals: of the figure; goal: the most that is fine, or BENCH_NO_GOAL. */
void bench_row(const char *what, double figure, int decimals, const char *unit, double goal);
void bench_heading(const char *text);

/* Says what could not be measured, removes the device, and exits with 1. */
void bench_fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* The device that bench_fail removes. */
extern struct idm_device bench_device;

/* On the provisioned bench_device; `release` is a build directory with the programs as they ship. */
void bench_files(void);
void bench_mode(const char *release);
void bench_time(const char *release);
/* The median time of boot alone, as a row of that name. */
void bench_time_alone(const char *release, const char *what);
void bench_memory(const char *release);
void bench_size(const char *release);

/* tls.c: on the provisioned bench_device; on one of its own. */
void bench_tls_tpm(void);
void bench_tls_software(void);

/* verify.c: on the provisioned bench_device, which has an AK. */
void bench_verify(void);

#endif
