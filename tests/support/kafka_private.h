/* tests/support/kafka_private.h -- what the two files of tests/support/kafka.h share. */
#ifndef LEAT_TESTS_SUPPORT_KAFKA_PRIVATE_H
#define LEAT_TESTS_SUPPORT_KAFKA_PRIVATE_H
#include "tests/support/kafka.h"
#include <sys/types.h>

enum { KAFKA_WAIT_MS = 120000 };

struct kafka {
    enum kafka_kind kind;
    bool borrowed; /* the broker of LEAT_TEST_BOOTSTRAP */
    char bootstrap[64];
    char dir[64]; /* of the test broker's socket, or of the real broker's data; "": none */
    rd_kafka_t *client; /* for topics, produce and the mock */
    struct rd_kafka_mock_cluster_s *mock;
    pid_t pid; /* of the test broker */
    int alive_fd; /* the broker reads its other end, and ends with this one */
    char *answer;
    char **names; /* asked and given, in turn */
    size_t names_count;
};

/* A client with name, value, ... NULL set besides. */
rd_kafka_t *kafka__client(struct kafka *kafka, rd_kafka_type_t type, ...);
#endif
