/* SPDX-License-Identifier: BSD-2-Clause */
/* server.c - a TLS server with the device's identity, for clients that show one of their own.
 *
 *     cc -o server server.c $(pkg-config --cflags --libs idmode libssl libcrypto)
 *     ./server 8443 clients-ca.pem
 *
 * Answers each connection's line with the SHA-256 of the client's certificate and the line. A device that
 * moves to its TPM meanwhile shows its new identity from the next connection on: nothing is reloaded here.
 */
#include <idmode.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define PATIENCE 10 /* seconds: a client that says nothing must not keep the others waiting */

static void answer(SSL *ssl)
{
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    char line[1024], said[2 * EVP_MAX_MD_SIZE + 1 + sizeof(line)];
    X509 *client = SSL_get1_peer_certificate(ssl);
    int got = SSL_read(ssl, line, sizeof(line));

    if (client && got > 0 && X509_digest(client, EVP_sha256(), hash, &size) == 1) {
        for (unsigned int i = 0; i < size; i++)
            sprintf(said + 2 * (size_t)i, "%02x", hash[i]);
        said[2 * size] = ' ';
        memcpy(said + 2 * size + 1, line, (size_t)got);
        SSL_write(ssl, said, (int)(2 * size + 1) + got);
    }
    X509_free(client);
}

static void serve(SSL_CTX *ctx, BIO *connection)
{
    const struct timeval patience = {.tv_sec = PATIENCE};
    SSL *ssl = SSL_new(ctx);
    int fd = (int)BIO_get_fd(connection, NULL);

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    if (ssl && SSL_set_fd(ssl, fd) == 1 && SSL_accept(ssl) == 1) {
        answer(ssl);
        SSL_shutdown(ssl);
    } else {
        ERR_print_errors_fp(stderr);
    }
    SSL_free(ssl);
}

int main(int argc, char *argv[])
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    BIO *listener = argc == 3 ? BIO_new_accept(argv[1]) : NULL;
    idmode *id = NULL;

    if (!listener || SSL_CTX_load_verify_locations(ctx, argv[2], NULL) != 1) {
        fprintf(stderr, "usage: server PORT CLIENTS-CA-FILE\n");
        return 2;
    }
    /* A client that is gone in mid-answer ends its connection, not the server. */
    signal(SIGPIPE, SIG_IGN);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    /* The certificates of a session that goes on are not looked at again: each connection shows them. */
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(ctx, 0);
    SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
    if (idmode_open(&id, NULL) != IDMODE_OK || idmode_use_identity(id, ctx) != IDMODE_OK) {
        fprintf(stderr, "server: %s\n", idmode_error());
        return 1;
    }
    BIO_set_bind_mode(listener, BIO_SOCK_REUSEADDR);
    if (BIO_do_accept(listener) != 1) { /* the first call binds */
        ERR_print_errors_fp(stderr);
        return 1;
    }
    for (;;) {
        if (BIO_do_accept(listener) == 1) {
            BIO *connection = BIO_pop(listener);

            serve(ctx, connection);
            BIO_free_all(connection);
        } else { /* a network that was down, too many open files: none of them for ever */
            ERR_print_errors_fp(stderr);
            sleep(1);
        }
    }
}
