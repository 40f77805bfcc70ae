/* SPDX-License-Identifier: BSD-2-Clause */
/* http.c - requests: their bodies, bounded, and to whom they go. */
#include "examples/control-plane/control_plane.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_S       10u
#define CONNECTIONS_MAX 64u
#define MEMORY_MAX      (64u * 1024u) /* of one connection, without its body */

/* What was received of one request. */
struct request {
    uint8_t *data;
    size_t size;
    bool too_large;
};

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned int status,
                              json_t *object)
{
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    json_decref(object);
    if (!text)
        return MHD_NO;
    struct MHD_Response *response =
        MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE);
    (void)MHD_add_response_header(response, "Content-Type", "application/json");
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result complain(struct MHD_Connection *connection, unsigned int status,
                                const char *what)
{
    return answer(connection, status, json_pack("{s:s}", "error", what));
}

static enum MHD_Result forget(struct cp *cp, struct MHD_Connection *connection, const char *name)
{
    int result = cp_store_forget(cp, name);
    if (result == IDM_E_ABSENT)
        return complain(connection, 404, "no such device");
    return result ? complain(connection, 500, "the database failed")
                  : answer(connection, 200, json_pack("{s:s}", "forgotten", name));
}

static enum MHD_Result post(struct cp *cp, struct MHD_Connection *connection, const char *path,
                            const struct request *request)
{
    static const char evidence[] = "/evidence/";
    struct idm_bytes body = {.data = request->data, .size = request->size};
    json_t *object = NULL;
    unsigned int status = 404;
    if (request->too_large)
        return complain(connection, 413, "the document is too large");
    if (strcmp(path, "/enrol") == 0)
        status = cp_enrol(cp, &body, &object);
    else if (strncmp(path, evidence, sizeof evidence - 1) == 0)
        status = cp_evidence(cp, path + sizeof evidence - 1, &body, &object);
    return object ? answer(connection, status, object)
                  : complain(connection, status, "nothing is done here");
}

static enum MHD_Result put(struct cp *cp, struct MHD_Connection *connection, const char *name,
                           const struct request *request)
{
    struct idm_bytes body = {.data = request->data, .size = request->size};
    json_t *object = NULL;
    if (request->too_large)
        return complain(connection, 413, "the document is too large");
    unsigned int status = cp_register(cp, name, &body, &object);
    return answer(connection, status, object);
}

static enum MHD_Result serve(struct cp *cp, struct MHD_Connection *connection, const char *path,
                             const char *method, const struct request *request)
{
    static const char devices[] = "/devices/";
    if (strcmp(method, "POST") == 0)
        return post(cp, connection, path, request);
    if (strcmp(method, "GET") == 0 && strcmp(path, "/devices") == 0)
        return answer(connection, 200, cp_store_list(cp));
    if (strncmp(path, devices, sizeof devices - 1) == 0) {
        const char *name = path + sizeof devices - 1;
        if (strcmp(method, "DELETE") == 0)
            return forget(cp, connection, name);
        if (strcmp(method, "PUT") == 0)
            return put(cp, connection, name, request);
    }
    return complain(connection, 404, "nothing is done here");
}

/* Called for the head, for each piece of the body (*size > 0), and once more at its end. */
static enum MHD_Result on_request(void *self, struct MHD_Connection *connection, const char *path,
                                  const char *method, const char *version, const char *piece,
                                  size_t *size, void **state)
{
    struct request *request = *state;
    (void)version;
    if (!request) {
        *state = calloc(1, sizeof *request);
        return *state ? MHD_YES : MHD_NO;
    }
    if (*size == 0)
        return serve(self, connection, path, method, request);
    if (!request->data)
        request->data = malloc(IDM_BYTES_MAX + 1);
    if (!request->data)
        return MHD_NO;
    if (*size > IDM_BYTES_MAX - request->size) {
        request->too_large = true; /* the rest is read and dropped, so that the answer arrives */
    } else if (!request->too_large) {
        memcpy(request->data + request->size, piece, *size);
        request->size += *size;
        request->data[request->size] = 0;
    }
    *size = 0;
    return MHD_YES;
}

static void on_end(void *self, struct MHD_Connection *connection, void **state,
                   enum MHD_RequestTerminationCode code)
{
    struct request *request = *state;
    (void)self;
    (void)connection;
    (void)code;
    if (request)
        free(request->data);
    free(request);
    *state = NULL;
}

struct MHD_Daemon *cp_http_start(struct cp *cp, uint16_t port, uint16_t *ret_port)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD, port, NULL, NULL, on_request, cp, MHD_OPTION_SOCK_ADDR,
        (const struct sockaddr *)&address, MHD_OPTION_CONNECTION_TIMEOUT, TIMEOUT_S,
        MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)MEMORY_MAX, MHD_OPTION_NOTIFY_COMPLETED, on_end, NULL, MHD_OPTION_END);
    const union MHD_DaemonInfo *info =
        daemon ? MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT) : NULL;
    *ret_port = info ? info->port : 0;
    return daemon;
}

void cp_http_stop(struct MHD_Daemon *daemon)
{
    MHD_stop_daemon(daemon);
}
