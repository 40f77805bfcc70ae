/* SPDX-License-Identifier: BSD-2-Clause */
/* What the engine leaves for TLS in /run: reference, signer file, mode page. */
#include "backends/active/page.h"
#include "backends/active/reference.h"
#include "backends/active/signer.h"
#include "backends/active/wire.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- reference ---- */

static struct idm_reference some_reference(void)
{
    struct idm_reference r = {
        .boot = "6daa086a-58ae-401d-9044-4d27f15f1ddd", .mode = "tpm", .epoch = 7};
    for (size_t i = 0; i < sizeof(r.spki); i++)
        r.spki[i] = (uint8_t)(i * 9);
    return r;
}

Test(active_files, reference_comes_back)
{
    struct idm_reference r = some_reference(), back;
    _cleanup_bytes_ struct idm_bytes pem = {0};

    cr_assert_eq(idm_reference_write(&r, &pem), 0);
    cr_assert(strncmp((const char *)pem.data, "-----BEGIN IDMODE PRIVATE KEY-----\n", 35) == 0);
    cr_assert_eq(idm_reference_read(pem.data, pem.size, &back, NULL), 0);
    cr_assert_str_eq(back.boot, r.boot);
    cr_assert_str_eq(back.mode, "tpm");
    cr_assert_eq(back.epoch, 7u);
    cr_assert_arr_eq(back.spki, r.spki, sizeof(r.spki));
}

/* No checksum: what is damaged may name another key, which nobody has. It harms nobody. */
Test(active_files, cut_reference_is_refused_and_a_damaged_one_crashes_nothing)
{
    struct idm_reference r = some_reference(), back;
    _cleanup_bytes_ struct idm_bytes pem = {0};
    struct idm_error err;

    cr_assert_eq(idm_reference_write(&r, &pem), 0);
    for (size_t size = 0; size < pem.size - 1; size++)
        cr_assert_neq(idm_reference_read(pem.data, size, &back, &err), 0, "cut to %zu", size);
    for (size_t i = 0; i < pem.size; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            pem.data[i] ^= (uint8_t)(1u << bit);
            (void)!idm_reference_read(pem.data, pem.size, &back, &err);
            pem.data[i] ^= (uint8_t)(1u << bit);
        }
    }
}

Test(active_files, reference_of_a_newer_program_is_told)
{
    static const char body[] = "\x0c\x82\x00\x16idmode reference 2\nx=y";
    struct idm_reference back;

    cr_assert_eq(idm_reference_parse(body, sizeof(body) - 1, &back, NULL), IDM_E_NEWER);
}

/* ---- signer ---- */

Test(active_files, signer_comes_back)
{
    struct idm_signer_file file = {.epoch = 3,
                                   .algorithm = IDM_ECDSA_P384,
                                   .tcti = "device:/dev/tpmrm0",
                                   .wait_ms = 10000,
                                   .handle = 0x81020000,
                                   .parent = 0x81020001},
                           back = {0};
    _cleanup_bytes_ struct idm_bytes text = {0};
    static const char pem[] =
        "-----BEGIN TSS2 PRIVATE KEY-----\nAA==\n-----END TSS2 PRIVATE KEY-----\n";

    cr_assert_eq(idm_bytes_set(&file.tss2, pem, sizeof(pem) - 1), 0);
    cr_assert_eq(idm_signer_file_write(&file, &text), 0);
    cr_assert_eq(idm_signer_file_read(&text, &back, NULL), 0);
    cr_assert(!back.software && back.handle == file.handle && back.parent == file.parent &&
              back.wait_ms == 10000 && back.algorithm == IDM_ECDSA_P384);
    cr_assert_str_eq(back.tcti, file.tcti);
    cr_assert(idm_bytes_equal(&back.tss2, &file.tss2));
    idm_signer_file_free(&back);
    idm_signer_file_free(&file);

    file = (struct idm_signer_file){.software = true, .key_file = "/config/device.key.pem"};
    cr_assert_eq(idm_signer_file_write(&file, &text), 0);
    cr_assert_eq(idm_signer_file_read(&text, &back, NULL), 0);
    cr_assert(back.software);
    cr_assert_str_eq(back.key_file, file.key_file);
    /* a line end in a path would be a line of its own */
    file = (struct idm_signer_file){.software = true, .key_file = "/x\nkey-file=/y"};
    cr_assert_eq(idm_signer_file_write(&file, &text), IDM_E_USAGE);
}

Test(active_files, damaged_signer_is_refused)
{
    static const char *const texts[] = {
        "",
        "idmode signer 1\n",
        "idmode signer 1\nmode=tpm\nepoch=1\n",
        "idmode signer 1\nmode=software\nepoch=1\nspki-sha256=00\nkey-file=/x\n",
        "idmode signer 1\nmode=other\nepoch=1\nspki-sha256="
        "0000000000000000000000000000000000000000000000000000000000000000\nkey-file=/x\n",
        "idmode signer 1\nmode=tpm\nepoch=99999999999\nspki-sha256="
        "0000000000000000000000000000000000000000000000000000000000000000\n"};

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        _cleanup_bytes_ struct idm_bytes text = {0};
        struct idm_signer_file back;
        cr_assert_eq(idm_bytes_set(&text, texts[i], strlen(texts[i])), 0);
        cr_assert_eq(idm_signer_file_read(&text, &back, NULL), IDM_E_CORRUPT, "%s", texts[i]);
    }
}

/* ---- page ---- */

static char dir[] = "/tmp/idm-page-XXXXXX";

static int scratch(void)
{
    char run[64], idmode[64];
    cr_assert(mkdtemp(dir) != NULL);
    snprintf(run, sizeof(run), "%s/run", dir);
    snprintf(idmode, sizeof(idmode), "%s/run/idmode", dir);
    cr_assert_eq(mkdir(run, 0755) | mkdir(idmode, 0755), 0);
    return open(idmode, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void remove_scratch(void)
{
    char command[64];
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    cr_assert_eq(system(command), 0);
}

Test(active_files, page_is_made_once_and_changes_in_place)
{
    struct stat before, after;
    int fd = scratch();

    cr_assert_null(idm_page_map(dir));
    cr_assert_eq(idm_page_publish(fd, 2, 1, NULL), 0);
    const struct idm_page *page = idm_page_map(dir);
    cr_assert_not_null(page);
    uint64_t word = idm_page_word(page);
    cr_assert_eq(idm_page_mode(word), 2u);
    cr_assert_eq(idm_page_epoch(word), 1u);
    cr_assert_eq(idm_page_generation(word), 1u);
    cr_assert_eq(fstatat(fd, IDM_PAGE_NAME, &before, 0), 0);
    cr_assert_eq(before.st_mode & 07777, 0644u);

    cr_assert_eq(idm_page_publish(fd, 2, 1, NULL), 0);
    cr_assert_eq(idm_page_word(page), word, "nothing changed");
    cr_assert_eq(idm_page_publish(fd, 3, 2, NULL), 0);
    cr_assert_eq(idm_page_mode(idm_page_word(page)), 3u);
    cr_assert_eq(idm_page_epoch(idm_page_word(page)), 2u);
    cr_assert_eq(idm_page_generation(idm_page_word(page)), 2u);
    cr_assert_eq(fstatat(fd, IDM_PAGE_NAME, &after, 0), 0);
    cr_assert_eq(before.st_ino, after.st_ino, "a mapping stays good");
    cr_assert(idm_page_wait(page, 1, 0));
    cr_assert_not(idm_page_wait(page, 2, 5));
    idm_page_unmap(page);
    close(fd);
    remove_scratch();
}

struct sleeper {
    pthread_t thread;
    struct idm_page *page;
    _Atomic pid_t tid;
    uint32_t generation;
    bool woken;
};

static void *sleep_on(void *given)
{
    static const struct timespec limit = {.tv_sec = 20};
    struct sleeper *s = given;

    s->tid = gettid();
    s->woken =
        syscall(SYS_futex, &s->page->generation, FUTEX_WAIT, s->generation, &limit, NULL, 0) == 0;
    return NULL;
}

static char state_of(pid_t tid)
{
    char path[64], state = 0;

    snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)tid);
    FILE *file = fopen(path, "re");
    if (file && fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
        state = 0;
    if (file)
        fclose(file);
    return state;
}

/* Somebody who waits for the end of this generation. */
static void fall_asleep(struct sleeper *s, struct idm_page *page, uint32_t generation)
{
    *s = (struct sleeper){.page = page, .generation = generation};
    cr_assert_eq(pthread_create(&s->thread, NULL, sleep_on, s), 0);
    while (!s->tid || state_of(s->tid) != 'S')
        sched_yield();
}

static bool was_woken(struct sleeper *s)
{
    cr_assert_eq(pthread_join(s->thread, NULL), 0);
    return s->woken;
}

static bool file_was_touched(int watch)
{
    char events[1024];

    return read(watch, events, sizeof(events)) > 0;
}

/* A publisher is killed behind the word, or before it wakes anybody: the next one says the same, and who did
 * not hear of it then hears of it now. */
Test(active_files, page_that_was_left_half_told_is_told_by_the_next_publisher)
{
    const uint64_t tpm = UINT64_C(2) << 32 | 2 << 8 | 3, none = UINT64_C(3) << 32 | 3 << 8 | 1;
    struct sleeper sleeper;
    char path[64];
    int fd = scratch();

    cr_assert_eq(idm_page_publish(fd, 2, 1, NULL), 0);
    snprintf(path, sizeof(path), "%s/run/idmode/" IDM_PAGE_NAME, dir);
    int file = open(path, O_RDWR | O_CLOEXEC), watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    struct idm_page *page = mmap(NULL, IDM_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    cr_assert_neq(page, MAP_FAILED);
    cr_assert_geq(inotify_add_watch(watch, path, IN_ATTRIB), 0);

    fall_asleep(&sleeper, page, 1);
    page->word = tpm;
    cr_assert_eq(idm_page_publish(fd, 3, 2, NULL), 0);
    cr_assert_eq(idm_page_word(page), tpm);
    cr_assert_eq(page->generation, 2u);
    cr_assert(file_was_touched(watch));
    cr_assert(was_woken(&sleeper));

    fall_asleep(&sleeper, page, 2);
    page->word = none;
    page->generation = 3;
    cr_assert_eq(idm_page_publish(fd, 1, 3, NULL), 0);
    cr_assert_eq(idm_page_word(page), none);
    cr_assert(was_woken(&sleeper));
    cr_assert_not(file_was_touched(watch), "that comes first");

    idm_page_unmap(page);
    close(file);
    close(watch);
    close(fd);
    remove_scratch();
}

Test(active_files, what_is_no_page_is_replaced_and_never_mapped)
{
    int fd = scratch();
    int junk = openat(fd, IDM_PAGE_NAME, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);

    cr_assert_eq(write(junk, "IDMPAGE1", 8), 8); /* too short: reading it would be a SIGBUS */
    close(junk);
    cr_assert_null(idm_page_map(dir));
    cr_assert_eq(idm_page_publish(fd, 1, 0, NULL), 0);
    const struct idm_page *page = idm_page_map(dir);
    cr_assert_not_null(page);
    cr_assert_eq(idm_page_mode(idm_page_word(page)), 1u);
    idm_page_unmap(page);
    cr_assert_eq(unlinkat(fd, IDM_PAGE_NAME, 0) | symlinkat("/etc/passwd", fd, IDM_PAGE_NAME), 0);
    cr_assert_null(idm_page_map(dir));
    cr_assert_eq(idm_page_publish(fd, 1, 0, NULL), 0);
    page = idm_page_map(dir);
    cr_assert_not_null(page);
    idm_page_unmap(page);
    close(fd);
    remove_scratch();
}

/* ---- wire ---- */

Test(active_files, errors_cross_the_socket)
{
    struct idm_error err = {0}, back = {0};
    struct idm_wire_reply reply = {0};

    (void)idm_fail(&err, IDM_E_TPM_LOCKED, "sign", "lockout (0x%x)", 0x921);
    (void)idm_advise(&err, "wait");
    idm_wire_put_error(&reply, &err);
    cr_assert_eq(idm_wire_take_error(&reply, &back), IDM_E_TPM_LOCKED);
    cr_assert_str_eq(back.what, "sign");
    cr_assert_str_eq(back.why, "lockout (0x921)");
    cr_assert_str_eq(back.todo, "wait");
    /* nonsense gives an error, and no text from behind the reply */
    memset(&reply, 'x', sizeof(reply));
    reply.size = sizeof(reply.data);
    cr_assert_eq(idm_wire_take_error(&reply, &back), IDM_E_INTERNAL);
}
