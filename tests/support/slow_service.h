/* tests/support/slow_service.h -- something outside that answers requests on threads of its own, in any order,
 * now and then with a failure. */
#ifndef LEAT_TESTS_SUPPORT_SLOW_SERVICE_H
#define LEAT_TESTS_SUPPORT_SLOW_SERVICE_H
#include <leat/async.h>

struct slow_service;
struct slow_service_opts {
    uint32_t threads;
    uint32_t fail_every; /* each n-th answer is a failure; 0: none */
    void (*answer)(struct leat_request *request); /* completes it */
};
struct slow_service *slow_service_new(const struct slow_service_opts *opts);
/* Takes a request; any thread. */
void slow_service_ask(struct slow_service *service, struct leat_request *request);
/* Answers what it still has, then ends its threads. */
void slow_service_free(struct slow_service *service);
/* The largest number of requests that it has had at a time. */
uint32_t slow_service_busiest(const struct slow_service *service);
#endif
