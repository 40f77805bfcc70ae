/* SPDX-License-Identifier: BSD-2-Clause */
/* control-plane ROOTS DATABASE [PORT]: serves until SIGTERM or SIGINT. Prints "listening on PORT". */
#include "examples/control-plane/control_plane.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static int read_roots(const char *path, struct idm_ek_trust *ret)
{
    static uint8_t buffer[IDM_BYTES_MAX];
    struct idm_bytes pem = {0};
    struct idm_error err = {0};
    FILE *file = fopen(path, "re");
    size_t size = file ? fread(buffer, 1, sizeof buffer, file) : 0;
    int result = file && !ferror(file) && size < sizeof buffer ? idm_bytes_set(&pem, buffer, size)
                                                               : IDM_E_UNREADABLE;
    if (file)
        (void)fclose(file);
    if (result == 0)
        result = idm_ek_trust_set(ret, &pem, NULL, &err);
    if (result < 0)
        (void)fprintf(stderr, "control-plane: %s: %s\n", path,
                      err.why[0] ? err.why : idm_error_sentence(result));
    idm_bytes_free(&pem);
    return result;
}

int main(int argc, char **argv)
{
    struct cp cp = {0};
    sigset_t ends;
    int caught = 0;
    uint16_t port = 0;
    if (argc < 3 || argc > 4) {
        (void)fprintf(stderr, "usage: control-plane ROOTS DATABASE [PORT]\n");
        return 2;
    }
    (void)umask(077); /* the database holds secrets of open challenges */
    (void)sigemptyset(&ends);
    (void)sigaddset(&ends, SIGTERM);
    (void)sigaddset(&ends, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &ends, NULL); /* before the server's thread is there */
    if (read_roots(argv[1], &cp.trust) < 0 || cp_store_open(&cp, argv[2]) < 0) {
        (void)fprintf(stderr, "control-plane: it cannot begin\n");
        return 1;
    }
    uint16_t wanted = argc == 4 ? (uint16_t)strtoul(argv[3], NULL, 10) : 0;
    struct MHD_Daemon *daemon = cp_http_start(&cp, wanted, &port);
    if (daemon) {
        (void)printf("listening on %u\n", port);
        (void)fflush(stdout);
        (void)sigwait(&ends, &caught);
        cp_http_stop(daemon);
    }
    cp_store_close(&cp);
    idm_ek_trust_free(&cp.trust);
    return daemon ? 0 : 1;
}
