/* SPDX-License-Identifier: BSD-2-Clause */
/* main.c - idmode-watch: when to look. */
#include "cli/watch/watch.h"

#include "backends/store/inroot.h"

#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <time.h>

struct watch {
    const struct idm_options *options;
    struct idm_settings settings;
    struct idm_watch_tree tree;
    struct idm_watch_run run;
    int signals, mounts;
    int64_t watchdog_ms; /* -1: none */
    int64_t feed_at;

    int64_t first_at;  /* event of those that are being gathered; 0: none */
    int64_t look_at;   /* when to look; 0: no reason to */
    int64_t retry_at;  /* when to look again at a device that is not well; 0: it is */
    int64_t pause_ms;  /* before that */
    int64_t credit_at; /* when the next of LOOKS_AT_ONCE is given back */
    int credit;
    bool rebuild, reread;
    int64_t stop_at; /* 0: goes on */
};

int64_t idm_watch_now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void idm_watch_say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)fputs("idmode-watch: ", stderr);
    (void)vfprintf(stderr, format, args);
    (void)fputc('\n', stderr);
    va_end(args);
}

static void say_error(const struct idm_error *err)
{
    char text[640];
    idm_error_text(err, text, sizeof text);
    idm_watch_say("%s", text);
}

/* ---- what happened ---- */

static void want_look(struct watch *w)
{
    int64_t now = idm_watch_now_ms();
    if (!w->first_at)
        w->first_at = now;
    int64_t latest = w->first_at + GATHER_MS;
    w->look_at = now + QUIET_MS < latest ? now + QUIET_MS : latest;
}

static void take_news(struct watch *w, enum idm_watch_news news)
{
    if (news == IDM_NEWS_CHIP && w->retry_at)
        want_look(w);
    if (news >= IDM_NEWS_FILE)
        want_look(w);
    w->rebuild = w->rebuild || news >= IDM_NEWS_TREE;
    w->reread = w->reread || news >= IDM_NEWS_SETTINGS;
}

static void take_signal(struct watch *w)
{
    struct signalfd_siginfo info;
    while (read(w->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGHUP)
            take_news(w, IDM_NEWS_SETTINGS);
        else if (!w->stop_at)
            w->stop_at = idm_watch_now_ms() + STOP_MS;
    }
}

static void take_end(struct watch *w)
{
    int code = idm_watch_run_end(&w->run);
    if (code < 0)
        return;
    if (code == 0) {
        if (w->retry_at)
            idm_watch_say("the device is well again");
        w->retry_at = 0;
        w->pause_ms = 0;
        idm_watch_notify("STATUS=watching");
        return;
    }
    int64_t first = (int64_t)w->options->retry_s * 1000;
    int64_t next = w->pause_ms ? 2 * w->pause_ms : first;
    w->pause_ms = next < RETRY_MOST_MS ? next : RETRY_MOST_MS;
    if (w->pause_ms < first)
        w->pause_ms = first;
    w->retry_at = idm_watch_now_ms() + w->pause_ms;
    char status[96];
    (void)snprintf(status, sizeof status, "STATUS=idmode boot: exit code %d; again in %lld s", code,
                   (long long)(w->pause_ms + 999) / 1000);
    idm_watch_notify(status);
}

/* ---- what to do ---- */

static void read_settings(struct watch *w)
{
    struct idm_error err = {0};
    /* What boot makes of an invalid value it says itself: the default, here too. */
    if (idm_settings_read(&w->settings, w->options->root, w->options->config, NULL, &err))
        idm_settings_default(&w->settings);
    w->reread = false;
}

static int build(struct watch *w, struct idm_error *err)
{
    if (w->reread)
        read_settings(w);
    w->rebuild = false;
    return idm_watch_tree_build(&w->tree, w->options, &w->settings, err);
}

/* One of LOOKS_AT_ONCE, or when there will be one. */
static bool may_look(struct watch *w, int64_t now)
{
    while (w->credit < LOOKS_AT_ONCE && now >= w->credit_at) {
        w->credit++;
        w->credit_at += LOOK_AGAIN_MS;
    }
    if (w->credit == LOOKS_AT_ONCE)
        w->credit_at = now + LOOK_AGAIN_MS;
    if (w->credit > 0)
        return w->credit--, true;
    w->look_at = w->credit_at;
    return false;
}

static void look(struct watch *w)
{
    struct idm_error err = {0};
    int64_t now = idm_watch_now_ms();
    if (w->run.pid)
        return;
    bool news = w->look_at && now >= w->look_at && may_look(w, now);
    bool again = w->retry_at && now >= w->retry_at;
    if (!news && !again)
        return;
    if (news) {
        w->first_at = 0;
        w->look_at = 0;
        w->pause_ms = 0;
    }
    if (idm_watch_run_start(&w->run, w->options, !news || w->options->quiet, &err) == 0)
        return;
    say_error(&err);
    w->run = (struct idm_watch_run){.fd = -1};
    w->pause_ms = RETRY_MOST_MS;
    w->retry_at = now + RETRY_MOST_MS;
}

static void sooner(int64_t *at, int64_t other)
{
    if (other && (!*at || other < *at))
        *at = other;
}

static int wait_ms(const struct watch *w)
{
    int64_t at = w->stop_at;
    int64_t now = idm_watch_now_ms();
    if (!w->run.pid) {
        sooner(&at, w->look_at);
        sooner(&at, w->retry_at);
    }
    if (w->watchdog_ms > 0)
        sooner(&at, w->feed_at);
    if (!at)
        return -1;
    return at <= now ? 0 : at - now > 3600000 ? 3600000 : (int)(at - now);
}

static void feed(struct watch *w)
{
    int64_t now = idm_watch_now_ms();
    if (w->watchdog_ms < 0 || now < w->feed_at)
        return;
    idm_watch_notify("WATCHDOG=1");
    w->feed_at = now + w->watchdog_ms;
}

static int serve(struct watch *w, struct idm_error *err)
{
    for (;;) {
        struct pollfd fds[] = {{.fd = w->signals, .events = POLLIN},
                               {.fd = w->tree.fd, .events = POLLIN},
                               {.fd = w->mounts, .events = POLLPRI},
                               {.fd = w->run.fd, .events = POLLIN}};
        int ready = poll(fds, sizeof fds / sizeof *fds, wait_ms(w));
        if (ready < 0 && errno != EINTR)
            return idm_fail_errno(err, IDM_E_STORAGE, "wait for events", errno);
        feed(w);
        if (ready > 0 && fds[0].revents)
            take_signal(w);
        if (ready > 0 && fds[1].revents)
            take_news(w, idm_watch_tree_news(&w->tree));
        if (ready > 0 && fds[2].revents && idm_watch_tree_moved(&w->tree))
            take_news(w, IDM_NEWS_TREE);
        if (ready > 0 && fds[3].revents)
            take_end(w);
        if (w->stop_at && (!w->run.pid || idm_watch_now_ms() >= w->stop_at))
            return 0;
        if (w->stop_at)
            continue;
        /* What happens between the old watches and the new ones is seen by the look that follows. */
        int rc = w->rebuild || w->reread ? build(w, err) : 0;
        if (rc)
            return rc;
        look(w);
    }
}

/* ---- start ---- */

static int stop_signals(void)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGHUP);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return -1;
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int run(struct watch *w, struct idm_error *err)
{
    w->signals = stop_signals();
    if (w->signals < 0)
        return idm_fail_errno(err, IDM_E_STORAGE, "watch for signals", errno);
    w->mounts = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
    if (w->mounts < 0)
        return idm_fail_errno(err, IDM_E_STORAGE, "watch mounts", errno);
    w->reread = true;
    int rc = build(w, err);
    if (rc)
        return rc;
    idm_watch_notify("READY=1\nSTATUS=watching");
    want_look(w); /* nobody watched before */
    rc = serve(w, err);
    idm_watch_notify("STOPPING=1");
    idm_watch_tree_free(&w->tree);
    return rc;
}

static int usage(int code)
{
    (void)fputs(
        "idmode-watch - has idmode look when a file of the identity changed\n\n"
        "usage: idmode-watch [OPTIONS]\n\n"
        "  --root DIR       every path lies below DIR\n"
        "  --config FILE    this configuration, as it stands\n"
        "  --tcti STRING    how to reach the TPM\n"
        "  --retry SECONDS  first pause before a held device is looked at again (5)\n"
        "  -q, --help, --version\n\n"
        "Ends at SIGTERM with 0; 2 usage, 5 failed. SIGHUP: reads the configuration again and\n"
        "looks at everything.\n",
        code ? stderr : stdout);
    return code;
}

int main(int argc, char **argv)
{
    static struct idm_options options;
    static struct watch w = {.options = &options,
                             .tree = {.fd = -1},
                             .run = {.fd = -1},
                             .signals = -1,
                             .mounts = -1,
                             .credit = LOOKS_AT_ONCE};
    struct idm_error err = {0};
    (void)signal(SIGCHLD,
                 SIG_DFL); /* ignored by the caller, it would keep from us how boot ended */
    if (!idm_options_open_standard())
        return 5;
    (void)umask(022);
    if (!idm_options_parse(&options, argc, argv))
        return idm_options_misused(argv);
    if (options.version)
        return printf("idmode-watch %s\n", IDM_VERSION) < 0 ? 5 : 0;
    if (options.help)
        return usage(0);
    if (options.words || !idm_options_fit(&options, "watch"))
        return usage(2);
    w.watchdog_ms = idm_watch_watchdog_ms();
    w.feed_at = 1; /* at once */
    if (run(&w, &err) == 0)
        return 0;
    say_error(&err);
    return 5;
}
