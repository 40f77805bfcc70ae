/* SPDX-License-Identifier: BSD-2-Clause */
/* tcti_shim.c - a TCTI in front of another: counts the commands and spoils some of them.
 *
 *     --tcti /ABS/tcti_shim.so:log=FILE,at=7,do=answer:0x101,child=swtpm:path=/x/sock
 *
 *     idmode ──command──► shim ──► child ──► chip
 *            ◄─response──      ◄──        ◄──
 *
 * Configuration, in this order or any other, but child last, because it takes the rest:
 *
 *     log=FILE      one line per command is appended: "7 Sign 0x000", and " spoiled" behind it when
 *                   `do` or `mode` had a hand in it. Commands are numbered from 1 and the numbers go on
 *                   across connections and processes as long as the file is there: remove it to begin
 *                   anew. Without a log each connection counts for itself
 *     which commands (without any of these: all)
 *       at=N        the N-th
 *       from=N      the N-th and all that follow
 *       cc=CODE     those with this command code, by number (0x15d) or by the log's name (Sign)
 *       times=K     of those that match, the first K
 *     do=WHAT       what happens to them
 *       answer:RC           this response code; the chip does not see the command
 *       delay:MS            the chip sees the command that much later
 *       truncate:BYTES      of the chip's response only these many
 *       garble:OFFSET       every bit of the chip's response from there on is inverted
 *       disconnect-before   the connection ends; the chip does not see the command
 *       disconnect-after    the connection ends; the chip has carried it out
 *       kill-before         SIGKILL to this process; the chip does not see the command
 *       kill-after          SIGKILL to this process; the chip has carried it out: power went between
 *                           its commit and its answer
 *     mode=failure  as a chip in failure mode (part 1, 12.4): GetTestResult reports it, GetCapability
 *                   is the chip's, everything else gives 0x101
 *     mode=busy:K   0x922 (RETRY) for the first K commands; without ":K" for ever
 *     child=TCTI    where commands go, as for --tcti: required
 *
 * A shim may be a shim's child. An unknown or malformed word is an error at initialisation.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <tss2/tss2_tcti.h>
#include <tss2/tss2_tctildr.h>
#include <unistd.h>

#define SHIM_MAGIC    0x49444d5348494d31ULL /* "IDMSHIM1" */
#define RESPONSE_MAX  4096u                 /* part 2, 6.2: more than any response has */
#define HEADER_SIZE   10u                   /* part 1, 18: tag, size, code */
#define NAME_SIZE     32u
#define WORD_SIZE     512u
#define MARK_OF_SPOIL " spoiled"

enum what {
    DO_NOTHING,
    DO_ANSWER,
    DO_DELAY,
    DO_TRUNCATE,
    DO_GARBLE,
    DO_DISCONNECT_BEFORE,
    DO_DISCONNECT_AFTER,
    DO_KILL_BEFORE,
    DO_KILL_AFTER,
    DO_FAIL_LIKE_A_CHIP,
};

static const struct {
    const char *word;
    enum what what;
    bool with_number;
} WHATS[] = {
    {"answer:", DO_ANSWER, true},
    {"delay:", DO_DELAY, true},
    {"truncate:", DO_TRUNCATE, true},
    {"garble:", DO_GARBLE, true},
    {"disconnect-before", DO_DISCONNECT_BEFORE, false},
    {"disconnect-after", DO_DISCONNECT_AFTER, false},
    {"kill-before", DO_KILL_BEFORE, false},
    {"kill-after", DO_KILL_AFTER, false},
};

/* Part 2, 6.5.2. */
static const struct {
    TPM2_CC code;
    const char *name;
} COMMANDS[] = {
    {TPM2_CC_NV_UndefineSpace, "NV_UndefineSpace"},
    {TPM2_CC_EvictControl, "EvictControl"},
    {TPM2_CC_Clear, "Clear"},
    {TPM2_CC_ClearControl, "ClearControl"},
    {TPM2_CC_HierarchyChangeAuth, "HierarchyChangeAuth"},
    {TPM2_CC_NV_DefineSpace, "NV_DefineSpace"},
    {TPM2_CC_CreatePrimary, "CreatePrimary"},
    {TPM2_CC_NV_Increment, "NV_Increment"},
    {TPM2_CC_NV_Write, "NV_Write"},
    {TPM2_CC_DictionaryAttackLockReset, "DictionaryAttackLockReset"},
    {TPM2_CC_SelfTest, "SelfTest"},
    {TPM2_CC_Startup, "Startup"},
    {TPM2_CC_Shutdown, "Shutdown"},
    {TPM2_CC_ActivateCredential, "ActivateCredential"},
    {TPM2_CC_Certify, "Certify"},
    {TPM2_CC_NV_Certify, "NV_Certify"},
    {TPM2_CC_NV_Read, "NV_Read"},
    {TPM2_CC_ObjectChangeAuth, "ObjectChangeAuth"},
    {TPM2_CC_PolicySecret, "PolicySecret"},
    {TPM2_CC_Create, "Create"},
    {TPM2_CC_Import, "Import"},
    {TPM2_CC_Load, "Load"},
    {TPM2_CC_Quote, "Quote"},
    {TPM2_CC_Sign, "Sign"},
    {TPM2_CC_Unseal, "Unseal"},
    {TPM2_CC_ContextLoad, "ContextLoad"},
    {TPM2_CC_ContextSave, "ContextSave"},
    {TPM2_CC_FlushContext, "FlushContext"},
    {TPM2_CC_LoadExternal, "LoadExternal"},
    {TPM2_CC_NV_ReadPublic, "NV_ReadPublic"},
    {TPM2_CC_ReadPublic, "ReadPublic"},
    {TPM2_CC_StartAuthSession, "StartAuthSession"},
    {TPM2_CC_GetCapability, "GetCapability"},
    {TPM2_CC_GetRandom, "GetRandom"},
    {TPM2_CC_GetTestResult, "GetTestResult"},
    {TPM2_CC_PCR_Read, "PCR_Read"},
    {TPM2_CC_ReadClock, "ReadClock"},
};

struct shim {
    TSS2_TCTI_CONTEXT_COMMON_V2 common;
    TSS2_TCTI_CONTEXT *child;
    FILE *log;

    unsigned long at, from, times; /* 0: any, all, for ever */
    TPM2_CC cc;                    /* 0: any */
    enum what what;
    unsigned long number; /* of `what` */

    unsigned long count, spoiled; /* so far */

    bool under_way;     /* transmitted, not yet received */
    TPM2_CC command;    /* that is under way */
    enum what now;      /* what happens to it */
    bool have_response; /* and it is already logged */
    uint8_t response[RESPONSE_MAX];
    size_t size;
};

static struct shim *shim_of(TSS2_TCTI_CONTEXT *context)
{
    return (struct shim *)context;
}

/* ---- numbers on the wire: part 1, 18: big-endian ---- */

static uint32_t word_at(const uint8_t *from)
{
    return (uint32_t)from[0] << 24 | (uint32_t)from[1] << 16 | (uint32_t)from[2] << 8 | from[3];
}

static void put_word(uint8_t *to, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++)
        to[i] = (uint8_t)(value >> (24 - 8 * i));
}

/* ---- log ---- */

static void name_of(TPM2_CC code, char ret_name[NAME_SIZE])
{
    for (size_t i = 0; i < sizeof(COMMANDS) / sizeof(COMMANDS[0]); i++) {
        if (COMMANDS[i].code == code) {
            snprintf(ret_name, NAME_SIZE, "%s", COMMANDS[i].name);
            return;
        }
    }
    snprintf(ret_name, NAME_SIZE, "0x%03x", code);
}

/* Exactly one line per command: the next process counts them. */
static void log_command(struct shim *shim, const char *result)
{
    char name[NAME_SIZE];

    if (shim->log == NULL)
        return;
    name_of(shim->command, name);
    fprintf(shim->log, "%lu %s %s%s\n", shim->count, name, result,
            shim->now != DO_NOTHING ? MARK_OF_SPOIL : "");
    fflush(shim->log);
}

static void log_response(struct shim *shim)
{
    char result[32] = "malformed";

    if (shim->size >= HEADER_SIZE)
        snprintf(result, sizeof(result), "0x%03x", word_at(shim->response + 6));
    log_command(shim, result);
}

static bool open_log(struct shim *shim, const char *path)
{
    char line[128];

    shim->log = fopen(path, "a+e");
    if (shim->log == NULL)
        return false;
    for (rewind(shim->log); fgets(line, sizeof(line), shim->log) != NULL; shim->count++)
        shim->spoiled += strstr(line, MARK_OF_SPOIL) != NULL;
    return true;
}

/* ---- what happens to a command ---- */

static bool matches(const struct shim *shim)
{
    if (shim->what == DO_NOTHING || (shim->at != 0 && shim->at != shim->count) ||
        shim->count < shim->from || (shim->cc != 0 && shim->cc != shim->command))
        return false;
    if (shim->what == DO_FAIL_LIKE_A_CHIP && shim->command == TPM2_CC_GetCapability)
        return false;
    return shim->times == 0 || shim->spoiled < shim->times;
}

/* TPM_ST_NO_SESSIONS, a size, a code; and what follows a success. */
static void make_response(struct shim *shim, uint32_t code, const uint8_t *more, size_t more_size)
{
    shim->size = HEADER_SIZE + more_size;
    shim->response[0] = (uint8_t)(TPM2_ST_NO_SESSIONS >> 8);
    shim->response[1] = (uint8_t)(TPM2_ST_NO_SESSIONS & 0xff);
    put_word(shim->response + 2, (uint32_t)shim->size);
    put_word(shim->response + 6, code);
    if (more_size > 0)
        memcpy(shim->response + HEADER_SIZE, more, more_size);
}

/* Part 3, 10.4.1: outData, here empty, and testResult. */
static void fail_like_a_chip(struct shim *shim)
{
    uint8_t result[2 + 4] = {0, 0};

    put_word(result + 2, TPM2_RC_FAILURE);
    if (shim->command == TPM2_CC_GetTestResult)
        make_response(shim, TPM2_RC_SUCCESS, result, sizeof(result));
    else
        make_response(shim, TPM2_RC_FAILURE, NULL, 0);
}

static void die(struct shim *shim, const char *when)
{
    log_command(shim, when);
    kill(getpid(), SIGKILL);
    pause();
}

static void sleep_ms(unsigned long ms)
{
    struct timespec left = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000L};

    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        continue;
}

/* Before the chip sees it. False: it never does, and the response stands. */
static bool spoil_command(struct shim *shim)
{
    switch (shim->now) {
    case DO_ANSWER:
        make_response(shim, (uint32_t)shim->number, NULL, 0);
        return false;
    case DO_FAIL_LIKE_A_CHIP:
        fail_like_a_chip(shim);
        return false;
    case DO_DELAY:
        sleep_ms(shim->number);
        return true;
    case DO_DISCONNECT_BEFORE:
        shim->size = 0;
        return false;
    case DO_KILL_BEFORE:
        die(shim, "killed-before");
        return false;
    case DO_TRUNCATE:
    case DO_GARBLE:
    case DO_DISCONNECT_AFTER:
    case DO_KILL_AFTER:
    case DO_NOTHING:
        break;
    }
    return true;
}

/* Size 0 afterwards: the connection has ended. */
static void spoil_response(struct shim *shim)
{
    if (shim->now == DO_KILL_AFTER)
        die(shim, "killed-after");
    if (shim->now == DO_DISCONNECT_AFTER)
        shim->size = 0;
    if (shim->now == DO_TRUNCATE && shim->number < shim->size)
        shim->size = shim->number;
    for (size_t i = shim->number; shim->now == DO_GARBLE && i < shim->size; i++)
        shim->response[i] = (uint8_t)~shim->response[i];
}

/* ---- the TCTI ---- */

static TSS2_RC shim_transmit(TSS2_TCTI_CONTEXT *context, size_t size, uint8_t const *command)
{
    struct shim *shim = shim_of(context);

    if (shim == NULL || command == NULL)
        return TSS2_TCTI_RC_BAD_REFERENCE;
    if (shim->under_way)
        return TSS2_TCTI_RC_BAD_SEQUENCE;
    if (size < HEADER_SIZE)
        return TSS2_TCTI_RC_BAD_VALUE;
    shim->count++;
    shim->command = word_at(command + 6);
    shim->now = matches(shim) ? shim->what : DO_NOTHING;
    if (shim->now != DO_NOTHING)
        shim->spoiled++;
    shim->have_response = false;
    if (!spoil_command(shim)) {
        shim->have_response = true;
        log_response(shim);
    } else {
        TSS2_RC rc = Tss2_Tcti_Transmit(shim->child, size, command);

        if (rc != TSS2_RC_SUCCESS) {
            log_command(shim, "not-sent");
            return rc;
        }
    }
    shim->under_way = true;
    return TSS2_RC_SUCCESS;
}

/* The whole response, once: then it is spoiled and logged. */
static TSS2_RC take_response(struct shim *shim, int32_t timeout)
{
    TSS2_RC rc;

    if (shim->have_response)
        return TSS2_RC_SUCCESS;
    shim->size = sizeof(shim->response);
    rc = Tss2_Tcti_Receive(shim->child, &shim->size, shim->response, timeout);
    if (rc == TSS2_TCTI_RC_TRY_AGAIN)
        return rc;
    if (rc != TSS2_RC_SUCCESS) {
        shim->under_way = false;
        log_command(shim, "no-response");
        return rc;
    }
    shim->have_response = true;
    spoil_response(shim);
    log_response(shim);
    return TSS2_RC_SUCCESS;
}

static TSS2_RC shim_receive(TSS2_TCTI_CONTEXT *context, size_t *size, uint8_t *response,
                            int32_t timeout)
{
    struct shim *shim = shim_of(context);
    TSS2_RC rc;

    if (shim == NULL || size == NULL)
        return TSS2_TCTI_RC_BAD_REFERENCE;
    if (!shim->under_way)
        return TSS2_TCTI_RC_BAD_SEQUENCE;
    rc = take_response(shim, timeout);
    if (rc != TSS2_RC_SUCCESS)
        return rc;
    if (shim->size == 0 && shim->now != DO_TRUNCATE) {
        shim->under_way = false;
        return TSS2_TCTI_RC_IO_ERROR;
    }
    if (response == NULL) {
        *size = shim->size;
        return TSS2_RC_SUCCESS;
    }
    if (*size < shim->size) {
        *size = shim->size;
        return TSS2_TCTI_RC_INSUFFICIENT_BUFFER;
    }
    memcpy(response, shim->response, shim->size);
    *size = shim->size;
    shim->under_way = false;
    return TSS2_RC_SUCCESS;
}

static void shim_finalize(TSS2_TCTI_CONTEXT *context)
{
    struct shim *shim = shim_of(context);

    if (shim == NULL)
        return;
    Tss2_TctiLdr_Finalize(&shim->child);
    if (shim->log != NULL)
        fclose(shim->log);
    shim->log = NULL;
}

static TSS2_RC shim_cancel(TSS2_TCTI_CONTEXT *context)
{
    return Tss2_Tcti_Cancel(shim_of(context)->child);
}

static TSS2_RC shim_poll_handles(TSS2_TCTI_CONTEXT *context, TSS2_TCTI_POLL_HANDLE *handles,
                                 size_t *count)
{
    return Tss2_Tcti_GetPollHandles(shim_of(context)->child, handles, count);
}

static TSS2_RC shim_locality(TSS2_TCTI_CONTEXT *context, uint8_t locality)
{
    return Tss2_Tcti_SetLocality(shim_of(context)->child, locality);
}

static TSS2_RC shim_sticky(TSS2_TCTI_CONTEXT *context, TPM2_HANDLE *handle, uint8_t sticky)
{
    return Tss2_Tcti_MakeSticky(shim_of(context)->child, handle, sticky);
}

/* ---- configuration ---- */

static bool number_from(const char *text, unsigned long *ret)
{
    char *end;

    errno = 0;
    unsigned long value = strtoul(text, &end, 0);
    if (end == text || *end != '\0' || errno != 0)
        return false;
    *ret = value;
    return true;
}

static bool take_cc(struct shim *shim, const char *text)
{
    unsigned long code;

    for (size_t i = 0; i < sizeof(COMMANDS) / sizeof(COMMANDS[0]); i++) {
        if (strcmp(COMMANDS[i].name, text) == 0) {
            shim->cc = COMMANDS[i].code;
            return true;
        }
    }
    if (!number_from(text, &code) || code == 0 || code > UINT32_MAX)
        return false;
    shim->cc = (TPM2_CC)code;
    return true;
}

static bool take_what(struct shim *shim, const char *text)
{
    for (size_t i = 0; i < sizeof(WHATS) / sizeof(WHATS[0]); i++) {
        size_t length = strlen(WHATS[i].word);

        if (strncmp(text, WHATS[i].word, length) != 0)
            continue;
        shim->what = WHATS[i].what;
        return WHATS[i].with_number ? number_from(text + length, &shim->number)
                                    : text[length] == '\0';
    }
    return false;
}

static bool take_mode(struct shim *shim, const char *text)
{
    if (strcmp(text, "failure") == 0) {
        shim->what = DO_FAIL_LIKE_A_CHIP;
        return true;
    }
    if (strncmp(text, "busy", 4) != 0)
        return false;
    shim->what = DO_ANSWER;
    shim->number = TPM2_RC_RETRY;
    return text[4] == '\0' || (text[4] == ':' && number_from(text + 5, &shim->times));
}

static bool take_word(struct shim *shim, const char *word)
{
    if (strncmp(word, "log=", 4) == 0)
        return shim->log == NULL && open_log(shim, word + 4);
    if (strncmp(word, "at=", 3) == 0)
        return number_from(word + 3, &shim->at) && shim->at != 0;
    if (strncmp(word, "from=", 5) == 0)
        return number_from(word + 5, &shim->from) && shim->from != 0;
    if (strncmp(word, "times=", 6) == 0)
        return number_from(word + 6, &shim->times) && shim->times != 0;
    if (strncmp(word, "cc=", 3) == 0)
        return take_cc(shim, word + 3);
    if (strncmp(word, "do=", 3) == 0)
        return take_what(shim, word + 3);
    if (strncmp(word, "mode=", 5) == 0)
        return take_mode(shim, word + 5);
    return false;
}

/* NULL: malformed. The child's part otherwise. */
static const char *take_configuration(struct shim *shim, const char *text)
{
    while (strncmp(text, "child=", 6) != 0) {
        size_t length = strcspn(text, ",");
        char word[WORD_SIZE];

        if (text[length] != ',' || length >= sizeof(word))
            return NULL;
        memcpy(word, text, length);
        word[length] = '\0';
        if (!take_word(shim, word)) {
            fprintf(stderr, "tcti_shim: %s: not understood, or impossible\n", word);
            return NULL;
        }
        text += length + 1;
    }
    return text + 6;
}

static TSS2_RC shim_init(TSS2_TCTI_CONTEXT *context, size_t *size, const char *configuration)
{
    struct shim *shim = shim_of(context);
    const char *child;
    TSS2_RC rc;

    if (size == NULL || configuration == NULL)
        return TSS2_TCTI_RC_BAD_VALUE;
    if (context == NULL) {
        *size = sizeof(*shim);
        return TSS2_RC_SUCCESS;
    }
    *shim = (struct shim){.common = {.v1 = {.magic = SHIM_MAGIC,
                                            .version = 2,
                                            .transmit = shim_transmit,
                                            .receive = shim_receive,
                                            .finalize = shim_finalize,
                                            .cancel = shim_cancel,
                                            .getPollHandles = shim_poll_handles,
                                            .setLocality = shim_locality},
                                     .makeSticky = shim_sticky}};
    child = take_configuration(shim, configuration);
    rc = child == NULL ? TSS2_TCTI_RC_BAD_VALUE : Tss2_TctiLdr_Initialize(child, &shim->child);
    if (rc != TSS2_RC_SUCCESS)
        shim_finalize(context);
    return rc;
}

static const TSS2_TCTI_INFO INFO = {
    .version = 2,
    .name = "idmode test shim",
    .description = "counts the commands of another TCTI and spoils some of them",
    .config_help = "log=FILE,at=N,cc=CODE,times=K,do=WHAT,mode=MODE,child=TCTI",
    .init = shim_init,
};

/* The TCTI specification names the one symbol that the loader looks up. */
const TSS2_TCTI_INFO *Tss2_Tcti_Info(void);
const TSS2_TCTI_INFO *Tss2_Tcti_Info(void)
{
    return &INFO;
}
