/* SPDX-License-Identifier: BSD-2-Clause */
/* Programs of /etc/idmode/hooks.d: told once of every change, in order, in a clean environment; none of
 * them, slow, failing or planted, is in the way of idmode. */
#include "tests/life/life_device.h"

#include <signal.h>
#include <time.h>

LIFE(hooks);

#define HOOKS  "/etc/idmode/hooks.d/"
#define REPORT "/run/idmode/hooks.json"
#define TOLD   "/persist/idmode/told"

/* What a hook appends to ROOT/said: its own name, then the words after it. */
#define SAY(words) "#!/bin/sh\necho \"${0##*/} " words "\" >>\"$IDMODE_ROOT/said\"\n"

static void put_hook(const char *name, const char *script)
{
    char path[IDM_DEVICE_PATH_SIZE], real[IDM_DEVICE_PATH_SIZE];

    snprintf(path, sizeof(path), HOOKS "%s", name);
    OK(idm_device_write_text(&device, path, script));
    idm_device_path(&device, path, real);
    cr_assert_eq(chmod(real, 0755), 0);
    idm_device_path(&device, "/etc/idmode/hooks.d", real);
    cr_assert_eq(chmod(real, 0755), 0);
}

static json_t *report(void)
{
    char *text = NULL;
    json_t *doc = NULL;

    if (idm_device_exists(&device, REPORT) && idm_device_read(&device, REPORT, &text, NULL) == 0)
        doc = json_loads(text, 0, NULL);
    free(text);
    return doc;
}

static void pause_a_little(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
}

/* Until the hooks were told of this epoch in this mode, and it was noted in both places. */
static void wait_told(const char *mode, long long epoch)
{
    char last[512] = "nothing";

    for (int left = 6000; left > 0; left--) {
        json_t *doc = report();
        const json_t *told = json_object_get(doc, "told");
        bool there = strcmp(status_text(told, NULL, "mode"), mode) == 0 &&
                     json_integer_value(json_object_get(told, "epoch")) == epoch;
        char *kept = NULL;
        if (there && idm_device_exists(&device, TOLD) &&
            idm_device_read(&device, TOLD, &kept, NULL) == 0) {
            json_t *same = json_loads(kept, 0, NULL);
            there = json_equal(same, told);
            json_decref(same);
        } else {
            there = false;
        }
        free(kept);
        snprintf(last, sizeof(last), "%s %lld", status_text(told, NULL, "mode"),
                 json_integer_value(json_object_get(told, "epoch")));
        json_decref(doc);
        if (there)
            return;
        pause_a_little();
    }
    cr_assert_fail("not told of mode %s, epoch %lld, but of %s", mode, epoch, last);
}

static void wait_for(const char *path)
{
    for (int left = 6000; left > 0 && !idm_device_exists(&device, path); left--)
        pause_a_little();
    cr_assert(idm_device_exists(&device, path), "%s never appeared", path);
}

static void said(const char *expected)
{
    char *text;

    OK(idm_device_read(&device, "/said", &text, NULL));
    cr_assert_str_eq(text, expected);
    free(text);
}

/* result of a hook in the report, and why */
static void went(const char *name, const char *result, const char *why)
{
    json_t *doc = report();
    size_t i;
    json_t *hook;

    json_array_foreach(json_object_get(doc, "hooks"), i, hook)
    {
        if (strcmp(status_text(hook, NULL, "name"), name) != 0)
            continue;
        cr_assert_str_eq(status_text(hook, NULL, "result"), result, "%s: %s", name,
                         status_text(hook, NULL, "why"));
        cr_assert_not_null(strstr(status_text(hook, NULL, "why"), why), "%s: %s", name,
                           status_text(hook, NULL, "why"));
        json_decref(doc);
        return;
    }
    cr_assert_fail("%s is not in the report", name);
}

Test(hooks, are_told_once_in_order_in_a_clean_environment)
{
    struct idm_device_identity identity;
    char expected[2048];

    open_device(NULL);
    cr_assert_eq(setenv("LEAKED", "yes", 1), 0);
    put_hook("20-second", SAY("$IDMODE_STATE"));
    put_hook("10-first",
             "#!/bin/sh\nexec >>\"$IDMODE_ROOT/said\"\nenv | grep -v ^PWD= | grep -v ^_= | "
             "grep -v ^SHLVL= | sed \"s,$IDMODE_ROOT,ROOT,\" | grep -v ^IDMODE_TCTI= | "
             "LC_ALL=C sort\npwd\n");
    boot(0);
    wait_told("tpm", 1);
    identity = active();
    snprintf(expected, sizeof(expected),
             "IDMODE_CERT_SHA256=%s\n"
             "IDMODE_EPOCH=1\nIDMODE_EVENT=provisioning_staged\nIDMODE_HELD=no\nIDMODE_MODE=tpm\n"
             "IDMODE_PREVIOUS_CERT_SHA256=\nIDMODE_PREVIOUS_EPOCH=0\nIDMODE_PREVIOUS_HELD=no\n"
             "IDMODE_PREVIOUS_MODE=unknown\nIDMODE_PREVIOUS_REASONS=\nIDMODE_PREVIOUS_STATE=none\n"
             "IDMODE_REASONS=\nIDMODE_ROOT=ROOT\nIDMODE_STATE=tpm-dual\nLC_ALL=C\n"
             "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n/\n"
             "20-second tpm-dual\n",
             identity.cert_sha256);
    said(expected);
    went("10-first", "done", "");

    /* neither in this boot nor in the next one, whose /run knows nothing */
    put_hook("10-first", SAY("$IDMODE_EPOCH"));
    cr_assert_eq(RUN("boot"), 0);
    boot(0);
    cr_assert_not(idm_device_exists(&device, REPORT));
    OK(idm_device_delete(&device, "/said"));
    cr_assert_eq(RUN("factory-reset", "--yes"), 0);
    wait_told("tpm", 2);
    said("10-first 2\n20-second tpm-dual\n");
}

Test(hooks, follow_a_hold_and_its_end)
{
    open_device(NULL);
    put_hook("watch", SAY("$IDMODE_MODE $IDMODE_HELD [$IDMODE_REASONS] $IDMODE_EVENT, was "
                          "$IDMODE_PREVIOUS_MODE [$IDMODE_PREVIOUS_REASONS]"));
    boot(0);
    wait_told("tpm", 1);
    OK(idm_device_delete(&device, "/said"));
    cr_assert_eq(RUN("--tcti", "device:/nowhere", "boot"), 3);
    wait_told("unknown", 1);
    cr_assert_eq(RUN("boot"), 0);
    wait_told("tpm", 1);
    said("watch unknown yes [tpm-absent] tpm_missing, was tpm []\n"
         "watch tpm no [] settled, was unknown [tpm-absent]\n");
}

/* The hook that hangs has neither the lock nor the pipe that a caller reads to its end; a change
 * meanwhile is told afterwards, once, however often idmode ran. */
Test(hooks, slow_ones_delay_nothing)
{
    open_device(NULL);
    put_hook("slow", "#!/bin/sh\necho \"$IDMODE_MODE $IDMODE_PREVIOUS_MODE\" "
                     ">>\"$IDMODE_ROOT/said\"\n: >\"$IDMODE_ROOT/begun\"\n"
                     "while [ ! -e \"$IDMODE_ROOT/go\" ]; do sleep 0.05; done\n");
    boot(0);
    wait_for("/begun");
    shell(0, "$IDMODE --root $ROOT --tcti $TCTI --lock-timeout 5 boot | cat");
    cr_assert_eq(RUN("--tcti", "device:/nowhere", "--lock-timeout", "5", "boot"), 3);
    for (int i = 0; i < 5; i++)
        cr_assert_eq(RUN("--tcti", "device:/nowhere", "--lock-timeout", "5", "boot"), 3);
    said("tpm unknown\n");
    cr_assert_not(idm_device_exists(&device, TOLD), "told before the hook came to its end");
    OK(idm_device_write_text(&device, "/go", ""));
    wait_told("unknown", 1);
    said("tpm unknown\nunknown tpm\n");
}

Test(hooks, failing_ones_are_reported_and_stop_nobody)
{
    _cleanup_run_ struct idm_run run = {0};

    open_device(&(struct idm_device_options){.conf = "[hooks]\ntimeout = 300ms\n"});
    put_hook("10-fails", "#!/bin/sh\necho no such unit >&2\nexit 4\n");
    put_hook("20-hangs", "#!/bin/sh\nsleep 1000 & echo $! >\"$IDMODE_ROOT/child\"\nwait\n");
    put_hook("30-talks",
             "#!/bin/sh\nhead -c 200000 /dev/zero; echo heard >>\"$IDMODE_ROOT/said\"\n");
    put_hook("40-no-program", "#!/nowhere/interpreter\n");
    put_hook("50-last", SAY("$IDMODE_MODE"));
    boot(0);
    wait_told("tpm", 1);
    said("heard\n50-last tpm\n");
    went("10-fails", "failed", "exit code 4: no such unit");
    went("20-hangs", "failed", "it took too long");
    went("30-talks", "done", "");
    went("40-no-program", "failed", "it cannot be started");
    traced("hooks: 20-hangs failed: it took too long", true);
    /* its child went with it; nobody may be there to bury it */
    shell(0, "i=0; while grep -q '^State:.[^ZX]' /proc/$(cat $ROOT/child)/status 2>/dev/null; do "
             "[ $i -lt 500 ]; i=$((i+1)); sleep 0.05; done");
    /* nothing of it is the identity's fault */
    status_is("tpm", "tpm-dual", "");
    OK(idm_device_idmode(&device, &run, "doctor", NULL));
    cr_assert_eq(device.exit_code, 3);
    cr_assert_not_null(strstr(run.out, "exit code 4: no such unit"), "%s", run.out);
    cr_assert_null(strstr(run.out, "30-talks"), "%s", run.out);
}

Test(hooks, of_others_do_not_run)
{
    char real[IDM_DEVICE_PATH_SIZE];

    open_device(NULL);
    put_hook("good", SAY("ran"));
    put_hook("a.dpkg-old", SAY("ran"));
    put_hook("b~", SAY("ran"));
    put_hook("not-executable", SAY("ran"));
    put_hook("writable", SAY("ran"));
    put_hook("somebodys", SAY("ran"));
    shell(0, "cd $ROOT" HOOKS
             "; chmod 0644 not-executable; chmod 0757 writable; chown 1234 somebodys; "
             "ln -s good link; mkdir folder; mkfifo -m 0755 pipe");
    boot(0);
    wait_told("tpm", 1);
    said("good ran\n");
    went("not-executable", "skipped", "not executable");
    went("writable", "refused", "others may write");
    went("somebodys", "refused", "not root's");
    went("link", "refused", "no regular file");
    went("pipe", "skipped", "no regular file");

    /* a directory that others may write to: none, and told once it is mended */
    idm_device_path(&device, "/etc/idmode/hooks.d", real);
    cr_assert_eq(chmod(real, 0777), 0);
    OK(idm_device_delete(&device, "/said"));
    OK(idm_device_delete(&device, REPORT));
    cr_assert_eq(RUN("factory-reset", "--yes"), 0);
    wait_for(REPORT);
    cr_assert_not(idm_device_exists(&device, "/said"));
    traced("hooks: none run: /etc/idmode/hooks.d: others may write to it", true);
    cr_assert_eq(chmod(real, 0755), 0);
    cr_assert_eq(RUN("boot"), 0);
    wait_told("tpm", 2);
    said("good ran\n");
}

/* The power goes while a hook runs: told again at the next boot, with the same epoch. */
Test(hooks, a_cut_loses_no_change)
{
    open_device(NULL);
    put_hook("slow",
             "#!/bin/sh\necho $IDMODE_EPOCH >>\"$IDMODE_ROOT/said\"\n"
             "echo $PPID >\"$IDMODE_ROOT/.who\"; mv \"$IDMODE_ROOT/.who\" \"$IDMODE_ROOT/who\"\n"
             "while [ ! -e \"$IDMODE_ROOT/go\" ]; do sleep 0.05; done\n");
    boot(0);
    wait_for("/who");
    /* with what told it dies the hook, as all do when the power goes */
    shell(0, "kill -9 $(cat $ROOT/who); rm $ROOT/who");
    OK(idm_device_write_text(&device, "/go", ""));
    cr_assert_not(idm_device_exists(&device, TOLD));
    boot(0);
    wait_told("tpm", 1);
    said("1\n1\n");
}

/* Who reads the identity in a hook meets the device that it was told about. */
Test(hooks, may_call_idmode)
{
    open_device(NULL);
    put_hook("calls",
             "#!/bin/sh\n" IDMODE " status >\"$IDMODE_ROOT/said\"\n" IDMODE " -q boot || exit 9\n");
    boot(0);
    wait_told("tpm", 1);
    went("calls", "done", "");
    shell(0, "grep -q 'mode tpm, state tpm-dual, epoch 1' $ROOT/said");
}

/* Storage that keeps nothing: told once in this boot all the same, and again in the next. */
Test(hooks, are_not_told_again_and_again_where_nothing_can_be_kept)
{
    open_device(NULL);
    put_hook("says", SAY("$IDMODE_EPOCH"));
    OK(idm_device_write_text(&device, TOLD "/in-the-way", ""));
    boot(0);
    wait_for(REPORT);
    traced("hooks: told: mode tpm", true);
    for (int left = 6000; left > 0; left--) {
        char *trace;
        OK(idm_device_read(&device, TRACE, &trace, NULL));
        bool there = strstr(trace, "hooks: not noted, so that it is told again") != NULL;
        free(trace);
        if (there)
            break;
        pause_a_little();
    }
    traced("hooks: not noted, so that it is told again", true);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(RUN("boot"), 0);
    said("says 1\n");
    OK(idm_device_delete(&device, TOLD));
    boot(0);
    wait_told("tpm", 1);
    said("says 1\nsays 1\n");
}

/* Where systemd runs, hooks have a unit of their own, out of the sandbox and the cgroup of who called
 * idmode. Not this machine's manager: a namespace with a systemd-run that does as much of it. */
static void tell_under_systemd(const char *start)
{
    shell(0,
          "rm -f out args; mkdir -p persist fake; cp $ROOT/run/idmode/status.json .\n"
          "printf '[paths]\\npersist-dir = %%s/persist\\n[hooks]\\ndirectory = %%s" HOOKS "\\n' "
          "$BASE $ROOT >conf\n"
          "printf '#!/bin/sh\\necho \"$@\" >%%s/args\\n%s\\n' $BASE >fake/systemd-run\n"
          "chmod 0755 fake/systemd-run\n"
          "printf '#!/bin/sh\\necho $IDMODE_MODE $IDMODE_CONFIG >>%%s/out\\n' $BASE >$ROOT" HOOKS
          "one\n"
          "unshare -m sh -ec 'mount -t tmpfs none /run; mkdir -p /run/systemd/system /run/idmode\n"
          "cp status.json /run/idmode; mount --bind fake/systemd-run "
          "/usr/bin/systemd-run\n" IDM_TEST_BUILD_DIR
          "/bin/idmode hooks --config $BASE/conf; cp /run/idmode/trace trace'",
          start);
}

Test(hooks, have_a_unit_of_their_own_under_systemd)
{
    if (access("/usr/bin/systemd-run", X_OK) != 0)
        cr_skip_test("systemd-run is not installed");
    open_device(NULL);
    put_hook("one", SAY("$IDMODE_MODE"));
    boot(0);
    wait_told("tpm", 1);

    tell_under_systemd("while [ \"$1\" != -- ]; do shift; done; shift; exec \"$@\"");
    shell(0, "[ \"$(cat out)\" = \"tpm $BASE/conf\" ]; [ -s persist/idmode/told ]");
    shell(0, "grep -q -e '--no-block --collect .* -- " IDM_TEST_BUILD_DIR
             "/bin/idmode hooks --config .*/conf .*here$' args || { cat args; cat "
             "fake/systemd-run; exit 1; }");

    /* a manager that will not: told from where we are */
    shell(0, "rm -r persist");
    tell_under_systemd("echo it is shutting down >&2; exit 1");
    shell(0, "[ \"$(cat out)\" = \"tpm $BASE/conf\" ]; [ -s persist/idmode/told ]; "
             "grep -q 'no unit of their own: it is shutting down' trace");
}
