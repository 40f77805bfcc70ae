/* SPDX-License-Identifier: BSD-2-Clause */
/* A chip that takes a command and says nothing, for longer than anybody waits: swtpm, stopped. Who needs it
 * learns why there is no signature, others are served, and with its first word all goes on. */
#include "tests/tls/tls_signd.h"

static void close_all(void)
{
    if (device.tpm.pid > 0)
        kill(device.tpm.pid, SIGCONT);
    stop_broker();
    close_device();
}

TestSuite(tls_silent, .timeout = 180, .fini = close_all);

#define AT_ONCE_S 8 /* less than the ten seconds that a chip is given */

static void fall_silent(void)
{
    int status = 0;
    cr_assert_eq(kill(device.tpm.pid, SIGSTOP), 0);
    cr_assert_eq(waitpid(device.tpm.pid, &status, WUNTRACED), device.tpm.pid);
    cr_assert(WIFSTOPPED(status));
}

static void speak_again(void)
{
    cr_assert_eq(kill(device.tpm.pid, SIGCONT), 0);
}

static time_t now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

/* No signature, and these words. */
static void is_told(struct idm_wire_reply reply, int code, const char *why)
{
    struct idm_error err = {0};
    cr_assert_eq(reply.good, 0);
    cr_assert_eq(idm_wire_take_error(&reply, &err), code, "%s: %s", err.what, err.why);
    cr_assert(strstr(err.why, why) != NULL, "%s", err.why);
}

/* The answer to what was asked before comes first. */
static void signs_soon(void)
{
    for (int i = 0; i < 6000; i++) {
        struct idm_wire_reply reply = ask(IDM_WIRE_SIGN_MESSAGE, &i, sizeof(i));
        if (reply.good)
            return;
        nap();
    }
    cr_assert_fail("the broker does not go on");
}

static void open_silent(const char *conf)
{
    open_tls_with(TPM, conf, false);
    start_broker();
    signs_soon();
    fall_silent();
}

Test(tls_silent, clients_are_told_and_others_served)
{
    open_silent("[tpm]\nwait = 300ms\nkey-storage = tss2\n");
    time_t begin = now_s();
    int first = send_ask(IDM_WIRE_SIGN_MESSAGE, "a", 1, false);
    int second = send_ask(IDM_WIRE_SIGN_MESSAGE, "b", 1, false);
    /* what needs no chip */
    is_told(ask(IDM_WIRE_SIGN_MESSAGE, "idmode x", 8), IDM_E_REFUSED, "idmode's own");
    is_told(take_reply(send_ask(IDM_WIRE_SIGN_MESSAGE, "c", 1, true)), IDM_E_HELD, "another");
    cr_assert_lt(now_s() - begin, AT_ONCE_S);
    is_told(take_reply(first), IDM_E_TPM_BUSY, "has not answered for 1");
    is_told(take_reply(second), IDM_E_TPM_BUSY, "has not answered for 1");
    cr_assert_lt(now_s() - begin, 60);
    /* nobody else waits so long */
    begin = now_s();
    is_told(ask(IDM_WIRE_SIGN_MESSAGE, "d", 1), IDM_E_TPM_BUSY, "has not answered for 1");
    tls(0, "! openssl dgst -sha256 -sign $KEY -out none $PEER_CERT 2> err; ! test -s none;"
           "grep -q 'the TPM has not answered for' err || { cat err; exit 1; }");
    cr_assert_lt(now_s() - begin, AT_ONCE_S);

    speak_again();
    signs_soon();
    cr_assert_eq(loaded(), 1u, "no slot is lost");
}

/* A handshake under way ends with the reason; a server's next one is good. */
Test(tls_silent, handshakes_end_and_are_good_again)
{
    open_silent("[tpm]\nwait = 300ms\n");
    tls(0,
        "rm -f s; serve plain openssl s_server -unix s -cert $CERT -key $KEY -www; await s;"
        "get() { timeout 60 curl -sS --insecure --unix-socket s https://localhost/; };"
        "code=0; get > out 2>&1 || code=$?; test $code != 0; test $code != 124;"
        "i=0; until grep -q 'the TPM has not answered for' plain.log; do i=$((i+1));"
        "[ $i -lt 600 ] || { cat plain.log; exit 1; }; sleep 0.05; done;"
        "kill -CONT %d; i=0; until get > out 2>&1; do i=$((i+1)); [ $i -lt 200 ]; sleep 0.05; done;"
        "grep -q 'Cipher' out",
        device.tpm.pid);
}

Test(tls_silent, broker_ends_when_told_to)
{
    int status = 0;
    open_silent("[tpm]\nwait = 300ms\nkey-storage = tss2\n");
    int fd = send_ask(IDM_WIRE_SIGN_MESSAGE, "a", 1, false);
    is_told(take_reply(send_ask(IDM_WIRE_SIGN_MESSAGE, "c", 1, true)), IDM_E_HELD, "another");
    cr_assert_eq(kill(broker, SIGTERM), 0);
    cr_assert_eq(waitpid(broker, &status, 0), broker);
    broker = 0;
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%x", status);
    close(fd);
    speak_again();
    start_broker();
    signs_soon();
    cr_assert_eq(loaded(), 1u, "what the former one had loaded is gone");
}

/* One that is slow, but within its time, is waited for by all who ask. */
Test(tls_silent, slow_chip_is_waited_for)
{
    int fds[4];
    open_tls_with(TPM, "[tpm]\nwait = 300ms\n", false);
    spoil("cc=Sign,times=3,do=delay:1000");
    start_broker_at(device.tcti);
    honest();
    for (size_t i = 0; i < 4; i++)
        fds[i] = send_ask(IDM_WIRE_SIGN_MESSAGE, &i, sizeof(i), false);
    for (size_t i = 0; i < 4; i++)
        cr_assert_eq(take_reply(fds[i]).good, 1);
}

/* Its signature is nobody else's, also where another one has its place by then. */
Test(tls_silent, client_that_is_gone_is_not_answered)
{
    open_tls_with(TPM, "[tpm]\nwait = 300ms\n", false);
    spoil("cc=Sign,times=1,do=delay:1500");
    start_broker_at(device.tcti);
    honest();
    close(send_ask(IDM_WIRE_SIGN_MESSAGE, "a", 1, false));
    tls(0, "openssl dgst -sha256 -sign $KEY -out sig $PEER_CERT;"
           "openssl x509 -in $CERT -pubkey -noout > pub;"
           "openssl dgst -sha256 -verify pub -signature sig $PEER_CERT");
}
