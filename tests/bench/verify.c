/* SPDX-License-Identifier: BSD-2-Clause */
/* verify.c - what the controller pays for one device's evidence, beside the bare signature checks in it: the keys
 * in hand, a digest and a verification each. CPU time of this process; the evidence is bench_device's own. */
#include "tests/bench/bench.h"

#include "backends/software/key.h"
#include "tests/support/run.h"
#include "verify/attest.h"
#include "verify/evidence.h"
#include "verify/pcrs.h"
#include "verify/wire.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUNDS 50
#define TURNS  21
#define NONCE  "000102030405060708090a0b0c0d0e0f"

static double cpu_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* What the device answers without a credential, as in every round but the first. */
static void ask(struct idm_bytes *ret)
{
    _cleanup_run_ struct idm_run run = {0};
    if (idm_run(&run, NULL,
                (const char *const[]){IDM_TEST_BUILD_DIR "/bin/idmode", "--root", bench_device.root,
                                      "--tcti", bench_device.tcti, "attest", "evidence", "--nonce",
                                      NONCE, NULL}) != 0 ||
        run.exit_code != 0 || idm_bytes_set(ret, run.out, run.out_size) != 0)
        bench_fail("idmode attest evidence: %s", run.err ? run.err : "");
}

struct checks {
    struct idm_evidence_document doc;
    struct idm_ak_key ak;
    struct idm_bytes nonce;
    struct idm_policy policy;
};

static void prepare(const struct idm_bytes *text, struct checks *ret)
{
    static const struct idm_bytes none = {0};
    struct idm_refused refused;
    if (idm_evidence_document_read(text, &ret->doc, NULL) != 0 ||
        idm_ak_key_open(&ret->doc.ak, &ret->doc.parents, &ret->ak, &refused) != 0 ||
        idm_pcr_list_parse(IDM_PCRS_DEFAULT, &ret->policy.pcrs) != 0)
        bench_fail("the evidence cannot be read");
    ret->policy.question = (struct idm_question){.nonce = &ret->doc.nonce, .secret = &none};
    ret->policy.ak_name = ret->ak.name;
}

/* Three signatures by the AK and one by the device key: all four are ECDSA P-256 over SHA-256. */
static double bare(const struct checks *c, const TPMT_SIGNATURE signature[4])
{
    const struct idm_part *parts[] = {&c->doc.quote, &c->doc.device.part, &c->doc.counter.part,
                                      &c->doc.quote};
    double begin = cpu_us();
    for (int round = 0; round < ROUNDS; round++)
        for (size_t i = 0; i < 4; i++)
            if (idm_wire_verify(c->ak.key, &c->ak.area, parts[i]->attest.data,
                                parts[i]->attest.size, &signature[i]) != 0)
                bench_fail("a signature is not good");
    return (cpu_us() - begin) / ROUNDS;
}

static double judged(const struct idm_bytes *text, const struct checks *c)
{
    struct idm_findings found;
    struct idm_refused refused;
    double begin = cpu_us();
    for (int round = 0; round < ROUNDS; round++)
        if (idm_evidence_verify(text, &c->policy, &found, &refused) != 0)
            bench_fail("the evidence is refused: %s", refused.why);
    return (cpu_us() - begin) / ROUNDS;
}

/* In turns, and the least of each: whatever else the machine does only adds. */
void bench_verify(void)
{
    struct idm_bytes text = {0};
    struct checks checks = {0};
    TPMT_SIGNATURE signature[4];
    double whole = 0, signatures = 0;
    ask(&text);
    prepare(&text, &checks);
    const struct idm_part *parts[] = {&checks.doc.quote, &checks.doc.device.part,
                                      &checks.doc.counter.part, &checks.doc.quote};
    for (size_t i = 0; i < 4; i++)
        if (idm_wire_signature(&parts[i]->signature, &signature[i]) != 0)
            bench_fail("a signature cannot be read");
    for (int turn = 0; turn < TURNS; turn++) {
        double one = judged(&text, &checks);
        double other = bare(&checks, signature);
        whole = turn == 0 || one < whole ? one : whole;
        signatures = turn == 0 || other < signatures ? other : signatures;
    }
    bench_heading("Evidence, judged by the controller");
    bench_row("CPU time for one (500 a second and core: 2000)", whole, 0, "us", 2000);
    bench_row("that, by the bare signature checks in it", whole / signatures, 2, "", 2);
    idm_ak_key_free(&checks.ak);
    idm_evidence_document_free(&checks.doc);
    idm_bytes_free(&text);
}
