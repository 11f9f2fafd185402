/* tests/support/registry.h -- a schema registry for a test: tests/registry/registry as a child. */
#ifndef LEAT_TESTS_SUPPORT_REGISTRY_H
#define LEAT_TESTS_SUPPORT_REGISTRY_H

struct registry;

/* Started with more arguments (NULL at their end), "--user", "name:password". Fails the test when it does not start. */
struct registry *registry_start(const char *argument, ...);
void registry_stop(struct registry *registry); /* NULL is fine */
const char *registry_url(const struct registry *registry);
#endif
