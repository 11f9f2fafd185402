/* tests/kafka/broker/server.h -- connections, faults and commands around the broker: one thread over poll().
 *
 * A connection has one request at a time, as with Kafka: what waits (a fetch with too little, an answer that is held back)
 * keeps the next from being looked at. A fault is a rule for the n-th request of an API from now on; all but `error`, `close`
 * and `late` do what the request wants before anything goes wrong with its answer. */
#ifndef LEAT_TESTS_KAFKA_BROKER_SERVER_H
#define LEAT_TESTS_KAFKA_BROKER_SERVER_H
#include "tests/kafka/broker/broker.h"
#include <poll.h>

enum kb_fault_kind {
    KB_NO_FAULT,
    KB_ERROR, /* answered with an error, not done */
    KB_CLOSE, /* not done, connection closed */
    KB_DROP, /* done, connection closed instead of an answer */
    KB_DELAY, /* done, answered later */
    KB_DUPLICATE, /* done, answered twice */
    KB_REPEAT, /* done and answered; done once more later */
    KB_LATE, /* connection closed; done later */
};

enum { KB_HELD = -1 }; /* a time: until the command release */

struct kb_fault {
    int api;
    int64_t nth; /* 1: the next; 0: every one */
    enum kb_fault_kind kind;
    int64_t argument; /* error code, or ms, or KB_HELD */
};

/* A request that is still on its way. */
struct kb_deferred {
    uint8_t *data;
    size_t size;
    int64_t at;
};

struct kb_conn {
    int fd; /* -1: gone */
    bool control, closing; /* closing: when all is written */
    uint8_t *in;
    size_t in_len, in_room;
    struct kb_out out;
    size_t sent;
    bool parked; /* a fetch waits for data */
    int64_t parked_until;
    uint64_t parked_changes;
    bool delayed;
    int64_t delayed_until;
    struct kb_out held; /* the answer that is delayed */
    bool waiting; /* a command waits until an API has been seen so often (-1: until so much is held) */
    int wait_api;
    int64_t wait_count, wait_until;
};

struct kb_server {
    struct kb_broker broker;
    int listen_fd, control_fd; /* control: -1 for none */
    int parent_fd; /* its end is ours; -1 for none */
    bool refusing, stopping;
    struct kb_conn *conns;
    size_t conns_count;
    struct pollfd *polls;
    size_t polls_room;
    struct kb_fault *faults;
    size_t faults_count;
    struct kb_deferred *deferred;
    size_t deferred_count;
    int64_t seen[KB_APIS];
};

/* One round: waits at most until something is due. */
void kb_server_step(struct kb_server *server);
void kb_server_free(struct kb_server *server);
void kb_server_close_clients(struct kb_server *server);
int64_t kb_server_held(const struct kb_server *server);
void kb_server_release(struct kb_server *server);
/* Runs one command line and writes its answer; false: it waits, see conn->waiting. */
bool kb_command(struct kb_server *server, struct kb_conn *conn, struct kb_text line);
#endif
