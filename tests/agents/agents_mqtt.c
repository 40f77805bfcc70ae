/* SPDX-License-Identifier: BSD-2-Clause */
/* examples/agent.py and a mosquitto that believes nobody without a certificate: each identity is reported
 * by itself, and each change at least once; where nothing changed, nothing is said. */
#include "tests/tls/tls_device.h"

TLS(agents_mqtt);

/* Its name says which key it has, so that the broker's log does. */
#define CONF "[identity]\ncertificate = ca\nsubject = CN=%{spki}\n"

static void certify(const char *option)
{
    shell(0,
          "[ -e ca.pem ] || openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
          " -subj /CN=ca -days 30 -keyout ca.key -out ca.pem 2>/dev/null;"
          "$IDMODE --root $ROOT --tcti $TCTI csr %s >csr; openssl x509 -req -in csr -CA ca.pem"
          " -CAkey ca.key -CAcreateserial -days 10 -copy_extensions copy -out leaf.pem 2>/dev/null;"
          "$IDMODE --root $ROOT --tcti $TCTI cert install %s leaf.pem",
          option, option);
}

/* $at: TLS, and who connects is who the certificate says; $plain: for the one that looks on. */
#define BROKER                                                                                     \
    "broker() { printf '%s\\n' 'per_listener_settings true' 'user root' \"listener $at "           \
    "localhost\""                                                                                  \
    " 'use_identity_as_username true' 'require_certificate true' \"cafile $BASE/ca.pem\""          \
    " \"certfile $PEER_CERT\" \"keyfile $PEER_KEY\" \"listener $plain localhost\""                 \
    " 'allow_anonymous true' >broker.conf;"                                                        \
    " OPENSSL_CONF=/etc/ssl/openssl.cnf serve broker mosquitto -v -c broker.conf;"                 \
    " broker_pid=${servers##* }; await_port $plain; };"                                            \
    "agent() { serve agent /usr/bin/python3 $SOURCE/examples/agent.py localhost $at"               \
    " $PEER_CERT $BASE/reported; agent_pid=${servers##* }; };"                                     \
    "idmode() { $IDMODE --tcti $chip \"$@\"; };"                                                   \
    "spki() { openssl x509 -in $CERT -noout -pubkey | openssl pkey -pubin -outform DER |"          \
    " sha256sum | cut -c 1-16; };"                                                                 \
    "acknowledged() { jq .epoch reported; };"                                                      \
    "says() { i=0; until grep -q -e \"$1\" \"$2\"; do i=$((i+1)); [ $i -lt 600 ] ||"               \
    " { echo \"never: $1\"; cat *.log seen; return 1; }; sleep 0.1; done; };"                      \
    "at=$(port); plain=$(port); broker;"                                                           \
    "serve looker mosquitto_sub -p $plain -q 1 -t 'devices/#'; ln -s looker.log seen;"

Test(agents_mqtt, each_identity_is_reported_as_itself)
{
    if (sanitized())
        cr_skip_test("Python cannot load a provider that is built with a sanitizer");
    open_software_device(CONF, false);
    make_peer();
    certify("");
    tls(0,
        "chip=%s; %s agent; says '\"mode\": \"software\"' seen; says \"u'$(spki)\" broker.log;"
        "says 'mode software, epoch 2' agent.log; [ $(acknowledged) = 2 ];"
        "old=$(spki);"
        "idmode migrate prepare; idmode csr --prepared >csr;"
        "openssl x509 -req -in csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 10"
        " -copy_extensions copy -out leaf.pem 2>/dev/null;"
        "idmode cert install --prepared leaf.pem; idmode migrate commit;"
        "says '\"mode\": \"tpm\"' seen; [ $(spki) != $old ]; says \"u'$(spki)\" broker.log;"
        "says 'mode tpm, epoch 3' agent.log; [ $(acknowledged) = 3 ];",
        device.tcti, BROKER);
}

/* A change that happens while the agent is away, and one that no broker hears of at first. */
Test(agents_mqtt, change_is_reported_when_the_broker_or_the_agent_is_back)
{
    if (sanitized())
        cr_skip_test("Python cannot load a provider that is built with a sanitizer");
    open_software_device(CONF, false);
    make_peer();
    certify("");
    tls(0,
        "chip=%s; %s agent; says 'epoch 2' agent.log; kill $agent_pid $broker_pid; wait $agent_pid "
        "$broker_pid || true;"
        "idmode migrate prepare; idmode migrate commit; [ $(acknowledged) = 2 ];"
        /* the new certificate is self-signed: the CA's must come before the broker takes it */
        "idmode csr >csr; openssl x509 -req -in csr -CA ca.pem -CAkey ca.key -CAcreateserial -days "
        "10"
        " -copy_extensions copy -out leaf.pem 2>/dev/null; idmode cert install leaf.pem;"
        "agent; says 'not reported' agent.log; [ $(acknowledged) = 2 ];"
        "broker; says 'mode tpm, epoch 4' agent.log; [ $(acknowledged) = 4 ];"
        /* started again, it has nothing to say where nothing changed; then the chip is gone */
        "kill $agent_pid; wait $agent_pid || true; agent;"
        "i=0; until [ $(grep -c \"connected.*u'$(spki)\" broker.log) -ge 2 ]; do i=$((i+1));"
        " [ $i -lt 600 ] || { cat *.log; exit 1; }; sleep 0.1; done;"
        "$IDMODE --tcti none boot 2>/dev/null || [ $? = 3 ];"
        "says '\"held\": true' seen; says 'mode unknown, epoch 4' agent.log;"
        "[ $(wc -l <agent.log) = 1 ]; [ $(acknowledged) = 4 ]",
        device.tcti, BROKER);
}

/* What changes under one epoch while the agent is away: the retained report must not lie. */
Test(agents_mqtt, change_without_a_new_epoch_is_reported_by_an_agent_that_was_away)
{
    if (sanitized())
        cr_skip_test("Python cannot load a provider that is built with a sanitizer");
    open_software_device(CONF, false);
    make_peer();
    certify("");
    tls(0,
        "chip=%s; %s agent; says '\"state\": \"software\"' seen; says 'epoch 2' agent.log;"
        "kill $agent_pid; wait $agent_pid || true; idmode migrate prepare; agent;"
        "says '\"state\": \"migrating\"' seen; says 'epoch 2' agent.log;"
        /* what an older agent kept says too little */
        "kill $agent_pid; wait $agent_pid || true; rm agent.log; echo 2 >reported; agent;"
        "says 'epoch 2' agent.log; [ $(jq -r .state reported) = migrating ];"
        "i=0; until [ $(grep -c migrating seen) = 2 ]; do i=$((i+1)); [ $i -lt 600 ] ||"
        " { cat *.log seen; exit 1; }; sleep 0.1; done",
        device.tcti, BROKER);
}

/* The agent is connected when the broker goes, and outlives it. */
Test(agents_mqtt, change_while_a_connected_agent_has_no_broker_is_reported_when_it_is_back)
{
    if (sanitized())
        cr_skip_test("Python cannot load a provider that is built with a sanitizer");
    open_software_device(CONF, false);
    make_peer();
    certify("");
    tls(0,
        "chip=%s; %s agent; says 'epoch 2' agent.log; kill $broker_pid; wait $broker_pid || true;"
        "sleep 1; idmode migrate prepare; says 'not reported' agent.log; kill -0 $agent_pid;"
        "[ $(jq -r .state reported) = software ];"
        "broker; says '\"state\": \"migrating\"' seen; says '\"state\": \"migrating\"' reported",
        device.tcti, BROKER);
}
