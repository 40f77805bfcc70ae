/* SPDX-License-Identifier: BSD-2-Clause */
/* client.c - a TLS client that shows the device's identity, whichever mode the device is in.
 *
 *     cc -o client client.c $(pkg-config --cflags --libs idmode libssl libcrypto)
 *     ./client controller.example 8443 controller-ca.pem [NAME]
 *
 * NAME is the name in the server's certificate, where it is not that of the host.
 * Connects once a second. A device that moves to its TPM meanwhile shows its new identity from the next
 * connection on: nothing is reloaded here.
 */
#include <idmode.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static int talk(SSL_CTX *ctx, const char *host, const char *port, const char *name)
{
    BIO *bio = BIO_new_ssl_connect(ctx);
    SSL *ssl = NULL;
    char line[256];
    int good, size = 0;

    BIO_get_ssl(bio, &ssl);
    SSL_set_tlsext_host_name(ssl, name);
    SSL_set1_host(ssl, name);
    BIO_set_conn_hostname(bio, host);
    BIO_set_conn_port(bio, port);
    good = BIO_do_handshake(bio) == 1 && BIO_puts(bio, "hello\n") > 0 &&
           (size = BIO_read(bio, line, sizeof(line))) > 0;
    if (good)
        printf("%.*s", size, line);
    else
        ERR_print_errors_fp(stderr);
    BIO_free_all(bio);
    return good;
}

int main(int argc, char *argv[])
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    idmode *id = NULL;

    if (argc < 4 || argc > 5 || SSL_CTX_load_verify_locations(ctx, argv[3], NULL) != 1) {
        fprintf(stderr, "usage: client HOST PORT CA-FILE [NAME]\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN); /* a server that is gone is an error like others, and said */
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    setvbuf(stdout, NULL, _IOLBF, 0); /* a log, also when it goes to a file */
    if (idmode_open(&id, NULL) != IDMODE_OK || idmode_use_identity(id, ctx) != IDMODE_OK) {
        fprintf(stderr, "client: %s\n", idmode_error());
        return 1;
    }
    for (;;) {
        printf("mode %s, epoch %u\n", idmode_mode_name(idmode_get_mode(id)), idmode_get_epoch(id));
        if (!talk(ctx, argv[1], argv[2], argc == 5 ? argv[4] : argv[1]))
            break;
        sleep(1);
    }
    SSL_CTX_free(ctx);
    idmode_close(id);
    return 1;
}
