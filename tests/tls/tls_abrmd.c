/* SPDX-License-Identifier: BSD-2-Clause */
/* Through tpm2-abrmd, the resource manager in user space, without idmode-signd: threads, forks, a daemon that is
 * started anew; and in a child of a process that has signed an error in place of its client library's hang. */
#include "tests/tls/tls_device.h"

TLS(tls_abrmd);

/* On a session bus, and up: shake STEP… runs shake.py, whose exit code is 1 after a traceback. */
static void by_abrmd(const char *conf, const char *script)
{
    open_tls_with(TPM, conf, false);
    tls(0,
        "export CERT KEY PEER_CERT PEER_KEY; cat > run <<'END'\n"
        "abrmd() { tpm2-abrmd --session --allow-root --tcti=$TPM2TOOLS_TCTI >> abrmd.log 2>&1 & "
        "abrmd=$!; i=0; until tpm2_getrandom -Q -T tabrmd:bus_type=session 2 2> none; do "
        "i=$((i+1)); [ $i -lt 300 ] || { cat abrmd.log; exit 1; }; sleep 0.1; done; }\n"
        "shake() { IDMODE_TCTI=tabrmd:bus_type=session timeout 60 python3 "
        "$SOURCE/tests/tls/shake.py \"$@\" > shake.log 2>&1 || "
        "{ code=$?; cat shake.log; return $code; }; }\n"
        "trap 'kill -9 $abrmd 2> none || true' EXIT; abrmd\n"
        "%s\n"
        "END\n"
        "dbus-run-session -- bash -e run",
        script);
}

Test(tls_abrmd, threads_and_children_sign)
{
    static const char *const confs[] = {NULL, "[tpm]\nkey-storage = tss2\n"};
    for (size_t i = 0; i < 2; i++) {
        by_abrmd(confs[i], "shake child shake shake shake; shake processes threads");
        close_device();
    }
}

Test(tls_abrmd, child_of_one_that_signed_is_told)
{
    by_abrmd(NULL, "code=0; shake shake child shake > out || code=$?; cat out;"
                   "[ $code = 1 ]; grep -q '^shake$' out; grep -q SSLError out; shake shake");
}

/* The same process, before and after. */
Test(tls_abrmd, daemon_is_started_anew)
{
    by_abrmd("[tpm]\nwait = 10s\n",
             "shake shake stop shake & i=0; until grep -q shake shake.log 2> none; do i=$((i+1));"
             "[ $i -lt 1500 ]; sleep 0.02; done; kill -9 $abrmd; wait $abrmd 2> none || true;"
             "abrmd; touch go; wait %2");
}
