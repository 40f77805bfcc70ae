/* SPDX-License-Identifier: BSD-2-Clause */
/* Each allocation fails in turn, once and from then on, while the configuration is read: glibc's and OpenSSL's
 * too. What comes out is the configuration as it stands, or an error: never a default in the place of a value. */
#include "backends/settings.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __SANITIZE_ADDRESS__
Test(platform_settings_memory, each_allocation_fails)
{
    cr_skip_test("ASan brings an allocator of its own");
}
#else

/* ---- the allocator of this whole process: glibc's, which may refuse ---- */

static bool counting;
static bool for_ever;
static unsigned long allocations; /* so far */
static unsigned long fails_at;    /* 0: none */

static bool fails(void)
{
    if (!counting)
        return false;
    allocations++;
    return fails_at && (for_ever ? allocations >= fails_at : allocations == fails_at);
}

#include "tests/support/allocator.h"

/* ---- the configuration ---- */

static char root[] = "/tmp/idmode-settings-XXXXXX";
static struct idm_settings good;

static void put(const char *name, const char *text)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s%s", root, name);
    FILE *file = fopen(path, "we");
    cr_assert_not_null(file);
    cr_assert_geq(fputs(text, file), 0);
    cr_assert_eq(fclose(file), 0);
}

static void make(void)
{
    char command[256];
    cr_assert_not_null(mkdtemp(root));
    (void)snprintf(command, sizeof command,
                   "mkdir -p %s/usr/lib/idmode %s/etc/idmode/idmode.conf.d", root, root);
    cr_assert_eq(system(command), 0);
    put("/usr/lib/idmode/idmode.conf", "[paths]\nconfig-dir = /data/config\n");
    put("/etc/idmode/idmode.conf",
        "# no default among them\n[tpm]\nuse = never\nwait = 3s\nkey-storage = tss2\n"
        "owner-auth-file = /etc/owner\nreset = clear\n[identity]\nsubject = "
        "CN=%{serial},O=Example\n"
        "legacy-key = keep\non-cert-loss = same-identity\ncontroller-keeps = one\n[image]\n"
        "version = \"4.2\"\nother-slot = aware\nslots = A:/dev/a B:/dev/b\n");
    put("/etc/idmode/idmode.conf.d/10.conf",
        "[identity]\nlegacy-key = none\nalgorithm =\n[hooks]\ntimeout =\n");
    cr_assert_eq(idm_settings_read(&good, root, NULL, NULL, NULL), 0);
    cr_assert(!good.invalid, "%s", good.invalid_error.why);
    cr_assert_eq(good.legacy_key, IDM_LEGACY_NONE);
    cr_assert_eq(good.on_cert_loss, IDM_LOSS_SAME_IDENTITY);
    cr_assert_str_eq(good.version, "4.2");
}

static void drop(void)
{
    char command[64];
    (void)snprintf(command, sizeof command, "rm -rf %s", root);
    cr_assert_eq(system(command), 0);
}

/* In a process of its own: each run is the first. */
enum { SAME, REFUSED, BLAMED, INVALID, OTHER };

static const char *const outcomes[] = {"the same", "refused", "an error that blames the file",
                                       "a value that counts as invalid",
                                       "other values than the file's"};

static int read_starved(unsigned long n, bool goes_on)
{
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        static struct idm_settings settings;
        struct idm_error err = {0};
        const struct rlimit none = {0};
        (void)setrlimit(RLIMIT_CORE, &none);
        allocations = 0;
        fails_at = n;
        for_ever = goes_on;
        counting = true;
        int rc = idm_settings_read(&settings, root, NULL, NULL, &err);
        counting = false;
        if (rc)
            _exit(rc == IDM_E_MEMORY && !settings.invalid ? REFUSED : BLAMED);
        if (settings.invalid)
            _exit(INVALID);
        _exit(memcmp(&settings, &good, sizeof settings) == 0 ? SAME : OTHER);
    }
    int status = 0;
    cr_assert_eq(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

Test(platform_settings_memory, each_allocation_fails, .init = make, .fini = drop, .timeout = 300)
{
    unsigned long total = 0, refused = 0;
    struct idm_settings settings;
    counting = true;
    cr_assert_eq(idm_settings_read(&settings, root, NULL, NULL, NULL), 0);
    counting = false;
    total = allocations;
    cr_assert_gt(total, 25u, "%lu", total);
    for (unsigned long n = 1; n <= total; n++)
        for (int goes_on = 0; goes_on < 2; goes_on++) {
            int rc = read_starved(n, goes_on);
            cr_expect(rc == SAME || rc == REFUSED, "allocation %lu of %lu%s: %s", n, total,
                      goes_on ? " and all after it" : "", rc < 0 ? "a crash" : outcomes[rc]);
            refused += rc == REFUSED;
        }
    cr_expect_gt(refused, total, "few are refused: %lu of %lu", refused, 2 * total);
    cr_log_info("%lu allocations: %lu of %lu refused", total, refused, 2 * total);
}
#endif
