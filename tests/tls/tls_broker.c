/* SPDX-License-Identifier: BSD-2-Clause */
/* idmode-signd: who is served, what is signed, and what hostile clients, dying chips and changes of mode
 * do to it. */
#include "tests/tls/tls_signd.h"

#include "backends/store/lock.h"
#include "backends/tpm/tpm.h"

#include <errno.h>
#include <grp.h>

static void close_all(void)
{
    stop_broker();
    close_device();
}

TestSuite(tls_broker, .timeout = 120, .fini = close_all);

static const char members[] = "[access]\ngroup = daemon\n[tpm]\nwait = 1s\n";

static void open_served(enum kind kind)
{
    open_tls_with(kind, members, false);
    shell(0, "chmod 755 $BASE");
    start_broker();
}

#define AS_MEMBER   "setpriv --reuid 65534 --regid 65534 --groups 1 "
#define AS_PRIMARY  "setpriv --reuid 65534 --regid 1 --clear-groups "
#define AS_STRANGER "setpriv --reuid 65534 --regid 65534 --clear-groups "
#define SIGN        "openssl dgst -sha256 -sign $KEY -out $OUT $PEER_CERT"

#define SIGN_AND_VERIFY                                                                            \
    "OUT=sig; rm -f sig; " SIGN "; openssl x509 -in $CERT -pubkey -noout > pub;"                   \
    "openssl dgst -sha256 -verify pub -signature sig $PEER_CERT"

/* ---- who ---- */

Test(tls_broker, members_sign_without_tpm_and_key_file_in_either_mode)
{
    for (int kind = TPM; kind <= SOFTWARE; kind++) {
        open_served((enum kind)kind);
        tls(0,
            "mkdir -m 777 out; chmod 644 $PEER_CERT; openssl x509 -in $CERT -pubkey -noout > pub;"
            "for how in '" AS_MEMBER "' '" AS_PRIMARY "' ''; do OUT=out/sig; rm -f $OUT;"
            "$how " SIGN "; openssl dgst -sha256 -verify pub -signature $OUT $PEER_CERT; done;"
            /* and read neither */
            "! " AS_MEMBER " cat $ROOT/run/idmode/signer 2> /dev/null;"
            "! " AS_MEMBER " cat $ROOT/persist/idmode/legacy.key.pem 2> /dev/null");
        tls(0, "OUT=out/none; ! " AS_STRANGER SIGN " 2> err; grep -q 'may not use its socket' err;"
               "! test -s out/none");
        close_all();
    }
}

Test(tls_broker, strangers_at_an_open_socket_are_sent_away)
{
    open_served(TPM);
    tls(0, "mkdir -m 777 out; chmod 644 $PEER_CERT; chmod 666 $ROOT/run/idmode/sign.sock;"
           "OUT=out/none; ! " AS_STRANGER SIGN " 2> err; grep -q 'closes the connection' err;"
           "! test -s out/none; OUT=out/sig; " AS_MEMBER SIGN);
}

/* ---- what ---- */

static void refused(const struct idm_wire_reply *reply)
{
    struct idm_error err = {0};
    cr_assert_eq(reply->good, 0);
    cr_assert_eq(idm_wire_take_error(reply, &err), IDM_E_REFUSED, "%s: %s", err.what, err.why);
}

Test(tls_broker, idmodes_own_statements_are_not_signed)
{
    static const char statement[] = "idmode succession v1";
    struct idm_wire_reply reply;

    open_served(TPM);
    reply = ask(IDM_WIRE_SIGN_MESSAGE, "hello", 5);
    cr_assert_eq(reply.good, 1);
    reply = ask(IDM_WIRE_SIGN_MESSAGE, statement, sizeof(statement));
    refused(&reply);
    /* nor as a message that is signed as it is, which a TPM's key does not do */
    reply = ask(IDM_WIRE_SIGN_PURE, statement, sizeof(statement));
    refused(&reply);
    reply = ask(IDM_WIRE_SIGN_PURE, "hello", 5);
    cr_assert_eq(reply.good, 0);
    /* of a digest nobody can tell: root's alone */
    reply = ask(IDM_WIRE_SIGN_DIGEST, "0123456789abcdef0123456789abcdef", 32);
    cr_assert_eq(reply.good, 1);
    reply = ask(IDM_WIRE_SIGN_DIGEST, "0123456789abcdef0123456789abcdef", 31);
    refused(&reply);
    tls(0,
        "mkdir -m 777 out; head -c 32 /dev/zero > digest; chmod 644 digest; ! " AS_MEMBER
        "openssl pkeyutl -sign -inkey $KEY -in digest -out out/sig -pkeyopt digest:sha256 2> err;"
        "grep -q 'give the message' err; ! test -s out/sig;"
        "openssl pkeyutl -sign -inkey $KEY -in digest -out out/sig -pkeyopt digest:sha256");
}

Test(tls_broker, one_tpm_command_per_signature)
{
    open_tls_with(TPM, members, false);
    boot_through(COUNT);
    start_broker();
    for (int i = 0; i < 10; i++) {
        struct idm_wire_reply reply = ask(IDM_WIRE_SIGN_MESSAGE, &i, sizeof(i));
        cr_assert_eq(reply.good, 1);
    }
    cr_assert_eq(commands(NULL), 10, "%u commands", commands(NULL));
}

/* ---- a key by file stays loaded ---- */

static const char by_file[] = "[access]\ngroup = daemon\n[tpm]\nwait = 1s\nkey-storage = tss2\n";

static void signs(unsigned n)
{
    struct idm_wire_reply reply = ask(IDM_WIRE_SIGN_MESSAGE, &n, sizeof(n));
    struct idm_error err = {0};
    if (!reply.good)
        (void)idm_wire_take_error(&reply, &err);
    cr_assert_eq(reply.good, 1, "%s: %s", err.what, err.why);
}

static void loaded_becomes(unsigned want)
{
    unsigned found = 0;
    for (int i = 0; i < 300 && (found = loaded()) != want; i++)
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    cr_assert_eq(found, want, "%u objects are loaded", found);
}

Test(tls_broker, key_by_file_takes_one_command_once_it_is_loaded)
{
    open_tls_with(TPM, by_file, false);
    boot_through(COUNT);
    start_broker();
    signs(0);
    cr_assert_eq(commands(NULL), 3, "list, Load, Sign: %u", commands(NULL));
    for (unsigned i = 1; i <= 10; i++) {
        signs(i);
        cr_assert_eq(commands(NULL), 3 + i, "%u commands", commands(NULL));
    }
    /* nobody asks any more: others get their slot back */
    loaded_becomes(0);
    signs(11);
    loaded_becomes(1);
    stop_broker();
    loaded_becomes(0);
}

/* Another signing key, loaded where ours was: a killed program's, say. */
static void load_another(void)
{
    static const uint8_t hash[32] = {1};
    static struct idm_settings settings = {.wait_ms = 1000};
    struct idm_tpm *tpm = NULL;
    struct idm_tpm_held held = {0};
    struct idm_signature signature;
    _cleanup_bytes_ struct idm_bytes key = {0};
    struct idm_signer signer = {
        .kind = IDM_SIGNER_FILE, .key = &key, .handle = 0x81020001, .algorithm = IDM_ECDSA_P256};

    snprintf(settings.tcti, sizeof(settings.tcti), "%s", device.tpm.tcti);
    cr_assert_eq(idm_tpm_open(&tpm, "", &settings, NULL), 0);
    cr_assert_eq(idm_tpm_key_create(tpm, signer.handle, NULL, signer.algorithm, &key, NULL), 0);
    cr_assert_eq(idm_tpm_sign_held(tpm, &held, &signer, IDM_SHA256, hash, &signature, NULL), 0);
    idm_tpm_free(tpm);
    cr_assert_eq(loaded(), 1u);
}

/* Others who need room flush it, a chip that was reset has forgotten it, and somebody else's key may have
 * its handle by then: never is another key's signature given out. */
Test(tls_broker, loaded_key_that_is_lost_is_loaded_again)
{
    open_tls_with(TPM, by_file, false);
    start_broker();
    tls(0, SIGN_AND_VERIFY);
    shell(0, "tpm2_flushcontext -t");
    tls(0, SIGN_AND_VERIFY);
    shell(0, "tpm2_flushcontext -t");
    load_another();
    tls(0, SIGN_AND_VERIFY "; " SIGN_AND_VERIFY);
    cr_assert_eq(loaded(), 2u, "the stranger's stays");
    idm_swtpm_stop(&device.tpm);
    cr_assert_eq(idm_swtpm_resume(&device.tpm), 0);
    tls(0, SIGN_AND_VERIFY);
}

/* Others' objects in all three slots: idmode's own, while it is at work, stay; leftovers go. */
Test(tls_broker, objects_of_an_idmode_at_work_stay)
{
    struct idm_lock lock = {0};
    open_tls_with(TPM, by_file, false);
    start_broker();
    shell(0, "for i in 1 2 3; do tpm2_createprimary -Q -C n -G ecc; done");
    cr_assert_eq(loaded(), 3u);
    cr_assert_eq(idm_lock_take(&lock, device.root, 30000, "test", NULL), 0);
    tls(0, "OUT=none; ! " SIGN " 2> err; grep -q 'fill the chip' err; ! test -s none");
    cr_assert_eq(loaded(), 3u);
    idm_lock_release(&lock);
    tls(0, SIGN_AND_VERIFY);
    cr_assert_eq(loaded(), 1u);
}

Test(tls_broker, killed_brokers_leave_nothing_in_the_chip)
{
    open_tls_with(TPM, by_file, false);
    for (unsigned i = 0; i < 5; i++) { /* a chip has three slots */
        start_broker();
        signs(i);
        cr_assert_eq(loaded(), 1u);
        int status = 0;
        kill(broker, SIGKILL);
        cr_assert_eq(waitpid(broker, &status, 0), broker);
        broker = 0;
    }
    start_broker();
    signs(5);
    stop_broker();
    cr_assert_eq(loaded(), 0u);
}

Test(tls_broker, loaded_key_does_not_outlive_a_reset)
{
    open_tls_with(TPM, by_file, false);
    make_peer();
    start_broker();
    tls(0, SIGN_AND_VERIFY "; cp pub old; cp $KEY old.key");
    cr_assert_eq(RUN("factory-reset", "--yes"), 0);
    tls(0, SIGN_AND_VERIFY
        "; ! cmp -s pub old;"
        "! openssl dgst -sha256 -sign old.key -out none $PEER_CERT 2> err; ! test -s none");
    cr_assert_eq(loaded(), 1u, "the new one alone");
}

Test(tls_broker, many_clients_at_once)
{
    for (int kind = TPM; kind <= SOFTWARE; kind++) {
        open_served((enum kind)kind);
        tls(0,
            "mkdir -m 777 out; chmod 644 $PEER_CERT; openssl x509 -in $CERT -pubkey -noout > pub;"
            "pids=; for i in $(seq 16); do " AS_MEMBER "openssl dgst -sha256 -sign $KEY -out "
            "out/$i $PEER_CERT & pids=\"$pids $!\"; done; for p in $pids; do wait $p; done;"
            "for i in $(seq 16); do openssl dgst -sha256 -verify pub -signature out/$i $PEER_CERT; "
            "done");
        close_all();
    }
}

/* ---- hostile clients ---- */

static bool still_serves(void)
{
    struct idm_wire_reply reply = ask(IDM_WIRE_SIGN_MESSAGE, "hello", 5);
    return reply.good == 1;
}

Test(tls_broker, hostile_clients_block_nobody)
{
    static uint8_t large[sizeof(struct idm_wire_request) + IDM_MESSAGE_MAX + 1];
    int silent[300];

    open_served(TPM);
    for (size_t i = 0; i < 300; i++) {
        silent[i] = connect_to_broker(); /* many of them, and none says a word */
        cr_assert(silent[i] >= 0);
        if (i % 50 == 49)
            cr_assert(still_serves());
    }
    for (size_t i = 0; i < 300; i++)
        close(silent[i]);
    for (size_t size = 1; size < sizeof(large); size = size * 3 + 1) {
        int fd = connect_to_broker();
        (void)!send(fd, large, size, MSG_NOSIGNAL);
        char byte;
        cr_assert_eq(recv(fd, &byte, 1, 0), 0, "nonsense of %zu bytes", size);
        close(fd);
    }
    int fd = connect_to_broker();
    int room = 4 * (int)sizeof(large);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room));
    memcpy(large,
           &(struct idm_wire_request){.magic = IDM_WIRE_MAGIC,
                                      .operation = IDM_WIRE_SIGN_MESSAGE,
                                      .size = IDM_MESSAGE_MAX + 1},
           sizeof(struct idm_wire_request));
    (void)!send(fd, large, sizeof(large), MSG_NOSIGNAL);
    char byte;
    cr_assert_eq(recv(fd, &byte, 1, 0), 0);
    close(fd);
    cr_assert(still_serves());
}

/* In a child that is nobody but a member of the group; its exit code. */
static int as_member(int (*what)(void))
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        const gid_t group = 1;
        if (setgroups(1, &group) || setgid(65534) || setuid(65534))
            _exit(120);
        _exit(what());
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

/* How many of its hundred connections a member keeps. */
static int keep_many(void)
{
    int fds[100];
    int left = 0;
    for (size_t i = 0; i < 100; i++) {
        fds[i] = connect_to_broker();
        if (fds[i] < 0)
            return 121;
    }
    /* the last one is served, so all before it were looked at */
    struct idm_wire_request request = {.magic = IDM_WIRE_MAGIC, .operation = IDM_WIRE_SIGN_MESSAGE};
    struct idm_wire_reply reply;
    if (send(fds[99], &request, sizeof(request), MSG_NOSIGNAL) != sizeof(request) ||
        recv(fds[99], &reply, sizeof(reply), 0) <= 0)
        return 122;
    for (size_t i = 0; i < 100; i++) {
        char byte;
        left += recv(fds[i], &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN;
    }
    return left;
}

/* In two seconds, of another identity's key: nothing costs a broker less. More than the rate and one second's
 * worth at once: 1. */
static int ask_often(void)
{
    struct idm_wire_request request = {.magic = IDM_WIRE_MAGIC, .operation = IDM_WIRE_SIGN_MESSAGE};
    struct idm_wire_reply reply;
    struct timespec begin, now;
    double passed = 0;
    unsigned asked = 0;
    int fd = connect_to_broker();
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (; passed < 2; asked++) {
        if (send(fd, &request, sizeof(request), MSG_NOSIGNAL) != sizeof(request) ||
            recv(fd, &reply, sizeof(reply), 0) <= 0)
            return 122;
        clock_gettime(CLOCK_MONOTONIC, &now);
        passed = (double)(now.tv_sec - begin.tv_sec) + (double)(now.tv_nsec - begin.tv_nsec) / 1e9;
    }
    return asked > 1000 * (passed + 1) + 10;
}

Test(tls_broker, a_member_gets_its_share_and_no_more)
{
    open_served(SOFTWARE);
    cr_assert_eq(as_member(keep_many), 48);
    cr_assert_eq(as_member(ask_often), 0);
    cr_assert(still_serves());
}

/* A member that asks, with many connections at once, before somebody else does. */
#define MANY 24

struct crowd {
    pid_t pid;
    int asked; /* readable: all of them have */
    int count; /* close it: it counts what was answered by then, its exit code */
};

static int ask_with_many(int asked, int count)
{
    int fds[MANY];
    int answered = 0;
    for (size_t i = 0; i < MANY; i++)
        fds[i] = send_ask(IDM_WIRE_SIGN_MESSAGE, &i, sizeof(i), false);
    char byte = 0;
    if (write(asked, &byte, 1) != 1 || read(count, &byte, 1) != 0)
        return 122;
    for (size_t i = 0; i < MANY; i++)
        answered += recv(fds[i], &byte, 1, MSG_DONTWAIT) > 0;
    return answered;
}

static struct crowd start_crowd(void)
{
    int asked[2], count[2];
    cr_assert_eq(pipe(asked) | pipe(count), 0);
    pid_t pid = fork();
    if (pid == 0) {
        const gid_t group = 1;
        close(count[1]);
        if (setgroups(1, &group) || setgid(65534) || setuid(65534))
            _exit(120);
        _exit(ask_with_many(asked[1], count[0]));
    }
    close(asked[1]);
    close(count[0]);
    return (struct crowd){.pid = pid, .asked = asked[0], .count = count[1]};
}

static int end_crowd(const struct crowd *crowd)
{
    int status = 0;
    close(crowd->count);
    close(crowd->asked);
    cr_assert_eq(waitpid(crowd->pid, &status, 0), crowd->pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

/* Turns are the users', not the connections': behind what the chip works on, and one more of the member's that
 * may come first. */
Test(tls_broker, somebody_else_does_not_wait_for_all_of_a_members_requests)
{
    char byte;
    open_tls_with(TPM, members, false);
    shell(0, "chmod 755 $BASE");
    spoil("cc=Sign,times=40,do=delay:150");
    start_broker_at(device.tcti);
    honest();
    struct crowd crowd = start_crowd();
    cr_assert_eq(read(crowd.asked, &byte, 1), 1);
    cr_assert_eq(ask(IDM_WIRE_SIGN_MESSAGE, "root", 4).good, 1);
    int answered = end_crowd(&crowd);
    cr_assert_lt(answered, MANY / 2, "%d were answered before", answered);
}

/* One error after another, each said a moment ago: the log is not a client's to fill. */
Test(tls_broker, errors_that_alternate_do_not_fill_the_log)
{
    open_served(SOFTWARE);
    for (size_t i = 0; i < 40; i++) {
        struct idm_wire_reply reply = take_reply(
            send_ask(i % 2 ? IDM_WIRE_SIGN_PURE : IDM_WIRE_SIGN_MESSAGE, "x", 1, !(i % 2)));
        cr_assert_eq(reply.good, 0);
    }
    shell(0,
          "grep -c '^idmode-signd: ' $BASE/signd.log | { read n; test $n -ge 2; test $n -le 8; }");
}

Test(tls_broker, client_that_never_reads_is_dropped)
{
    open_served(TPM);
    struct {
        struct idm_wire_request head;
        uint8_t data[8];
    } request = {.head = {.magic = IDM_WIRE_MAGIC, .operation = IDM_WIRE_SIGN_MESSAGE, .size = 8}};
    int fd = connect_to_broker();
    ssize_t sent = 0;
    /* another identity's: answered without the chip */
    for (int i = 0; i < 5000 && sent >= 0; i++)
        sent = send(fd, &request, sizeof(request), MSG_NOSIGNAL | (i > 2000 ? MSG_DONTWAIT : 0));
    cr_assert(still_serves());
    close(fd);
}

/* ---- chips and brokers that come and go ---- */

Test(tls_broker, survives_its_chip)
{
    open_served(TPM);
    tls(0, SIGN_AND_VERIFY);
    idm_swtpm_stop(&device.tpm);
    tls(0, "OUT=none; ! timeout 20 " SIGN " 2> err; grep -q 'TPM' err; ! test -s none");
    cr_assert_eq(idm_swtpm_resume(&device.tpm), 0);
    tls(0, SIGN_AND_VERIFY);
    OK(idm_device_chip_swap(&device));
    tls(0, "OUT=none; ! timeout 20 " SIGN " 2> err; ! test -s none");
    OK(idm_device_chip_swap(&device));
    tls(0, SIGN_AND_VERIFY);
}

Test(tls_broker, broker_killed_in_mid_request)
{
    open_tls_with(TPM, members, false);
    spoil("cc=Sign,do=kill-after"); /* kills whoever asks the chip */
    start_broker_at(device.tcti);
    honest();
    int status = 0;
    /* root goes on by itself once nobody serves the socket */
    tls(0, "OUT=sig; timeout 20 " SIGN);
    cr_assert_eq(waitpid(broker, &status, 0), broker);
    broker = 0;
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    /* a member is told so, in time */
    tls(0, "chmod 755 $BASE; chmod 644 $PEER_CERT; mkdir -m 777 out; OUT=out/none; ! timeout "
           "20 " AS_MEMBER SIGN " 2> err; grep -q 'start idmode-signd' err; ! test -s out/none");
    start_broker(); /* over the stale socket */
    tls(0, "OUT=out/sig; " AS_MEMBER SIGN);
}

/* A program that goes on running has its signatures from the next broker; it can have them from nobody else. */
Test(tls_broker, programs_outlive_their_broker)
{
    open_tls_with(TPM, members, false);
    tls(0,
        "chmod 755 $BASE; chmod 644 $PEER_KEY $PEER_CERT; export CERT KEY PEER_CERT PEER_KEY;"
        "signd() { $BUILD/bin/idmode-signd --root $ROOT 2>> signd.log & signd=$!; servers=$!;"
        "await $ROOT/run/idmode/sign.sock; };"
        "signd; " AS_MEMBER
        "/usr/bin/python3 $SOURCE/tests/tls/shake.py shake threads stop shake child shake "
        "threads > shaken 2>&1 & shaking=$!; i=0;"
        "until grep -q threads shaken; do i=$((i+1)); [ $i -lt 3000 ] || { cat shaken; exit 1; };"
        "sleep 0.02; done;"
        "kill $signd; wait $signd; ! test -e $ROOT/run/idmode/sign.sock; signd; touch go;"
        "wait $shaking || { cat shaken; exit 1; }; kill -9 $signd");
}

Test(tls_broker, second_broker_gives_way)
{
    open_served(TPM);
    tls(4, "$BUILD/bin/idmode-signd --root $ROOT");
    cr_assert(still_serves());
    stop_broker();
    cr_assert_eq(access(socket_path, F_OK), -1, "its socket is gone with it");
}

Test(tls_broker, follows_the_mode)
{
    open_software_device(members, false);
    make_peer();
    start_broker();
    tls(0, SIGN_AND_VERIFY "; cp pub old; cp $KEY old.key");
    cr_assert_eq(RUN("migrate", "prepare"), 0);
    cr_assert_eq(RUN("migrate", "commit"), 0);
    status_is("tpm", "tpm-dual", "");
    tls(0, SIGN_AND_VERIFY
        "; ! cmp -s pub old;"
        "! openssl dgst -sha256 -sign old.key -out none $PEER_CERT 2> err; ! test -s none");
    nobody();
    cr_assert_eq(RUN("boot"), 3);
    tls(0, "OUT=none; ! " SIGN " 2> err; ! test -s none");
}

Test(tls_broker, takes_systemds_socket)
{
    open_tls_with(TPM, members, false);
    tls(0, "python3 - <<'END'\n"
           "import socket, os, subprocess\n"
           "path = os.environ['ROOT'] + '/run/idmode/sign.sock'\n"
           "s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n"
           "s.bind(path); s.listen(5)\n"
           "pid = os.fork()\n"
           "if pid == 0:\n"
           "    os.dup2(s.fileno(), 3); os.set_inheritable(3, True)\n"
           "    os.environ['LISTEN_PID'] = str(os.getpid()); os.environ['LISTEN_FDS'] = '1'\n"
           "    signd = os.environ['BUILD'] + '/bin/idmode-signd'\n"
           "    os.execl(signd, signd, '--root', os.environ['ROOT'])\n"
           "s.close()\n"
           "key = os.environ['ROOT'] + '/run/idmode/device.key.pem'\n"
           "r = subprocess.run(['openssl', 'dgst', '-sha256', '-sign', key, '-out', 'sig', key])\n"
           "os.kill(pid, 15)\n"
           "status = os.waitpid(pid, 0)[1]\n"
           "assert r.returncode == 0 and status == 0, (r, status)\n"
           "assert os.path.exists(path)\n"
           "END\n"
           "test -s sig");
}
