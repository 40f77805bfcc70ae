/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/vm/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_S  600 /* a boot takes 10 s on an idle machine; others may be busy on it */
#define STEP_MS     20
#define ARGS_MAX    64
#define ANSWER_MAX  (8u << 20)
#define BEGIN_WORDS "idm-vm: begin"

static int failed(struct idm_machine *machine, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static int failed(struct idm_machine *machine, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(machine->error, sizeof(machine->error), format, arguments);
    va_end(arguments);
    return -1;
}

static void wait_a_little(void)
{
    const struct timespec step = {.tv_nsec = STEP_MS * 1000000L};

    nanosleep(&step, NULL);
}

static void path_in(const struct idm_machine *machine, const char *name, char ret[PATH_MAX])
{
    snprintf(ret, PATH_MAX, "%s/%s", machine->dir, name);
}

/* ---- processes ---- */

static pid_t start(struct idm_machine *machine, char *const args[], const char *log)
{
    char path[PATH_MAX];
    pid_t child;

    path_in(machine, log, path);
    child = fork();
    if (child == 0) {
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (fd >= 0 && dup2(fd, 1) >= 0 && dup2(fd, 2) >= 0)
            execvp(args[0], args);
        _exit(127);
    }
    return child;
}

static void stop(pid_t *process)
{
    if (*process <= 0)
        return;
    kill(*process, SIGKILL);
    while (waitpid(*process, NULL, 0) < 0 && errno == EINTR)
        continue;
    *process = 0;
}

static bool lives(const struct idm_machine *machine)
{
    return machine->qemu > 0 && waitpid(machine->qemu, NULL, WNOHANG) == 0;
}

void idm_machine_off(struct idm_machine *machine)
{
    if (machine->agent >= 0)
        close(machine->agent);
    machine->agent = -1;
    /* The chip loses power with the rest, not a moment later with a shutdown of its own. */
    if (machine->swtpm > 0)
        kill(machine->swtpm, SIGKILL);
    stop(&machine->qemu);
    stop(&machine->swtpm);
}

/* ---- on ---- */

/* A socket has its name before somebody listens: unix(7) has a flag for that. */
static bool listens(const char *path)
{
    char line[PATH_MAX + 128];
    bool found = false;
    FILE *sockets = fopen("/proc/net/unix", "re");

    while (sockets != NULL && !found && fgets(line, sizeof(line), sockets) != NULL) {
        const char *at = strstr(line, path);

        found = at != NULL && strcspn(at, "\n") == strlen(path) &&
                strstr(line, " 00010000 ") != NULL; /* __SO_ACCEPTCON */
    }
    if (sockets != NULL)
        fclose(sockets);
    return found;
}

static int start_swtpm(struct idm_machine *machine)
{
    char control[PATH_MAX], state[PATH_MAX + 8], ctrl[PATH_MAX + 32];

    path_in(machine, "tpm.sock", control);
    unlink(control);
    snprintf(state, sizeof(state), "dir=%s", machine->tpm_state);
    snprintf(ctrl, sizeof(ctrl), "type=unixio,path=%s", control);
    char *const args[] = {"swtpm", "socket", "--tpm2", "--tpmstate", state, "--ctrl", ctrl, NULL};
    machine->swtpm = start(machine, args, "swtpm.log");
    for (int i = 0; i < PATIENCE_S * 1000 / STEP_MS; i++) {
        if (listens(control))
            return 0;
        wait_a_little();
    }
    return failed(machine, "swtpm does not start: see %s/swtpm.log", machine->dir);
}

struct words {
    char *args[ARGS_MAX];
    char *texts[ARGS_MAX]; /* owned */
    size_t count, owned;
};

static void add(struct words *words, const char *word)
{
    words->args[words->count++] = words->texts[words->owned++] = strdup(word);
}

static void add_format(struct words *words, const char *option, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void add_format(struct words *words, const char *option, const char *format, ...)
{
    va_list arguments;
    char text[PATH_MAX + 256];

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    add(words, option);
    add(words, text);
}

static void describe(struct idm_machine *machine, struct words *w)
{
    static const char *const fixed[] = {"qemu-system-x86_64",
                                        "-M",
                                        "q35",
                                        "-cpu",
                                        "max,la57=off",
                                        "-m",
                                        "512",
                                        "-smp",
                                        "1",
                                        "-bios",
                                        "qboot.rom",
                                        "-display",
                                        "none",
                                        "-nodefaults",
                                        "-no-reboot",
                                        "-monitor",
                                        "none"};

    for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
        add(w, fixed[i]);
    add_format(w, "-serial", "file:%s/console.log", machine->dir);
    add_format(w, "-kernel", "%s", machine->kernel);
    add_format(w, "-initrd", "%s", machine->initrd);
    add_format(w, "-append",
               "console=ttyS0 quiet panic=1 mitigations=off audit=0 systemd.show_status=no "
               "systemd.condition_needs_update=0 %s",
               machine->command_line);
    /* writethrough: what the guest flushed is in the file; what it did not flush is gone with it. */
    for (size_t i = 0; i < IDM_MACHINE_DISKS; i++)
        add_format(w, "-drive", "file=%s,format=raw,if=virtio,cache=writethrough%s",
                   machine->disks[i], i == 0 ? ",readonly=on" : "");
    if (machine->tpm_state[0] != '\0') {
        add_format(w, "-chardev", "socket,id=tpm,path=%s/tpm.sock", machine->dir);
        add_format(w, "-tpmdev", "emulator,id=tpm0,chardev=tpm");
        add_format(w, "-device", "tpm-tis,tpmdev=tpm0");
    }
    if (machine->no_battery)
        add_format(w, "-rtc", "base=2000-01-01T00:00:00");
    add_format(w, "-smbios", "type=1,serial=%s", machine->serial);
    add_format(w, "-device", "virtio-serial");
    add_format(w, "-chardev", "socket,id=agent,path=%s/agent.sock,server=on,wait=off",
               machine->dir);
    add_format(w, "-device", "virtserialport,chardev=agent,name=idm.agent");
    w->args[w->count] = NULL;
}

int idm_machine_on(struct idm_machine *machine)
{
    struct words words = {0};
    char path[PATH_MAX];

    idm_machine_off(machine);
    path_in(machine, "agent.sock", path);
    unlink(path);
    path_in(machine, "console.log", path);
    unlink(path);
    if (machine->tpm_state[0] != '\0' && start_swtpm(machine) != 0)
        return -1;
    describe(machine, &words);
    machine->qemu = start(machine, words.args, "qemu.log");
    for (size_t i = 0; i < words.owned; i++)
        free(words.texts[i]);
    return machine->qemu > 0 ? 0 : failed(machine, "qemu does not start: %s", strerror(errno));
}

/* ---- waiting ---- */

/* What happened, and the last line that it, and the emulator, said: their files go with the device. */
static int fell_silent(struct idm_machine *machine, const char *what)
{
    static const char *const logs[] = {"console.log", "qemu.log"};
    char path[PATH_MAX], line[512], last[2][200] = {"", ""};

    for (size_t i = 0; i < 2; i++) {
        path_in(machine, logs[i], path);
        FILE *log = fopen(path, "re");
        while (log != NULL && fgets(line, sizeof(line), log) != NULL)
            if (strcspn(line, "\r\n") > 0)
                snprintf(last[i], sizeof(last[i]), "%.*s", (int)strcspn(line, "\r\n"), line);
        if (log != NULL)
            fclose(log);
    }
    return failed(machine, "%s; its last words: %.150s; the emulator's: %.150s", what, last[0],
                  last[1]);
}

static bool console_says(const struct idm_machine *machine, const char *words)
{
    char path[PATH_MAX], line[512];
    bool found = false;
    FILE *console;

    path_in(machine, "console.log", path);
    console = fopen(path, "re");
    while (console != NULL && !found && fgets(line, sizeof(line), console) != NULL)
        found = strstr(line, words) != NULL;
    if (console != NULL)
        fclose(console);
    return found;
}

int idm_machine_begins(struct idm_machine *machine)
{
    for (int i = 0; i < PATIENCE_S * 1000 / STEP_MS; i++) {
        if (console_says(machine, BEGIN_WORDS))
            return 0;
        if (!lives(machine))
            return fell_silent(machine, "the machine went off by itself");
        wait_a_little();
    }
    return fell_silent(machine, "the boot does not come to idm-vm-begin.service");
}

/* One line of the agent's, without its end; owned by the caller. */
static int hear(struct idm_machine *machine, char **ret_line)
{
    size_t size = 0, room = 4096;
    char *line = malloc(room);

    while (line != NULL && size < ANSWER_MAX) {
        struct pollfd ready = {.fd = machine->agent, .events = POLLIN};

        if (poll(&ready, 1, PATIENCE_S * 1000) != 1 || read(machine->agent, line + size, 1) != 1)
            break;
        if (line[size] == '\n') {
            line[size] = '\0';
            *ret_line = line;
            return 0;
        }
        if (++size + 1 == room)
            line = reallocarray(line, room *= 2, 1);
    }
    free(line);
    return fell_silent(machine, "the machine does not answer");
}

int idm_machine_ready(struct idm_machine *machine)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char *line;

    snprintf(address.sun_path, sizeof(address.sun_path), "%.80s/agent.sock", machine->dir);
    machine->agent = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(machine->agent, (struct sockaddr *)&address, sizeof(address)) != 0)
        return failed(machine, "%s: %s", address.sun_path, strerror(errno));
    if (hear(machine, &line) != 0)
        return -1;
    free(line);
    return 0;
}

/* ---- talking ---- */

int idm_machine_begin(struct idm_machine *machine, const char *script)
{
    size_t size = strlen(script), done = 0;
    size_t room = 4 * (size / 3 + 1) + 2;
    char *line = malloc(room);

    if (line == NULL)
        return failed(machine, "out of memory");
    size = (size_t)EVP_EncodeBlock((unsigned char *)line, (const unsigned char *)script, (int)size);
    line[size++] = '\n';
    while (done < size) {
        ssize_t n = write(machine->agent, line + done, size - done);

        if (n <= 0)
            break;
        done += (size_t)n;
    }
    free(line);
    return done == size ? 0 : failed(machine, "the machine does not listen: %s", strerror(errno));
}

int idm_machine_end(struct idm_machine *machine, int *ret_code, char **ret_out, size_t *ret_size)
{
    char *line, *text;
    int size;

    if (hear(machine, &line) != 0)
        return -1;
    *ret_code = (int)strtol(line, &text, 10);
    text += *text == ' ';
    size_t length = strlen(text), padding = 0;
    while (padding < length && text[length - 1 - padding] == '=')
        padding++;
    char *out = malloc(length + 1);
    size = out == NULL
               ? -1
               : EVP_DecodeBlock((unsigned char *)out, (const unsigned char *)text, (int)length);
    free(line);
    if (size < 0) {
        free(out);
        return failed(machine, "the machine's answer is no base64");
    }
    *ret_size = (size_t)size - (size_t)padding;
    out[*ret_size] = '\0';
    *ret_out = out;
    return 0;
}

int idm_machine_ask(struct idm_machine *machine, const char *script, int *ret_code, char **ret_out,
                    size_t *ret_size)
{
    if (idm_machine_begin(machine, script) != 0)
        return -1;
    return idm_machine_end(machine, ret_code, ret_out, ret_size);
}
