/* tests/unit/connectors/file_sink_fixture.h -- a file sink over files in memory, run as the runtime runs it,
 * and its files read back through the file source. */
#ifndef LEAT_TESTS_FILE_SINK_FIXTURE_H
#define LEAT_TESTS_FILE_SINK_FIXTURE_H
#include "tests/support/unit.h"
#include "tests/support/connector_harness.h"
#include "tests/support/memory_env.h"
#include <leat/file.h>
#include <leat/memory.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A sink behind an empty memory source. */
struct fixture {
    struct leat_env *env;
    leat_topology *t;
    leat_stream *in;
    struct harness h;
};

static inline leat_topology *declare_in(leat_stream **in)
{
    leat_topology *t = leat_topology_new("test");
    *in = leat_memory_source(t, "in", &(struct leat_memory_source_opts){ .type = harness_order_type() });
    return t;
}

static inline const struct leat_node *declare(
    leat_topology *t, leat_stream *in, const struct leat_file_sink_opts *opts)
{
    leat_file_sink(in, "out", opts);
    FAIL_UNLESS(leat_topology_errors_count(t) == 0, "%s", leat_topology_error(t, 0)->message);
    return t->nodes[t->nodes_count - 1];
}

static inline void set_up_in(struct fixture *f, struct leat_env *env, const struct leat_file_sink_opts *opts)
{
    f->env = env;
    f->t = declare_in(&f->in);
    harness_init(&f->h, env, declare(f->t, f->in, opts), 16);
}

static inline void set_up(struct fixture *f, const struct leat_file_sink_opts *opts)
{
    set_up_in(f, memory_env_new(1), opts);
}

static inline void tear_down(struct fixture *f)
{
    assert_int_equal(memory_env_open_count(f->env), 0);
    harness_release(&f->h);
    leat_topology_free(f->t);
    memory_env_free(f->env);
}

/* Another run of the same sink over the same files. */
static inline void run_again(struct fixture *f, const struct leat_file_sink_opts *opts)
{
    harness_release(&f->h);
    leat_topology_free(f->t);
    set_up_in(f, f->env, opts);
}

static inline int check(struct fixture *f)
{
    return f->h.node->sink->check(f->h.node, f->env, &f->h.err);
}

/* One subtask's whole life but for the commit: `count` orders from `from` on. */
static inline int write_subtask(
    struct fixture *f, uint32_t subtask, uint32_t parallelism, int64_t from, uint32_t count)
{
    struct leat_sink *sink = harness_sink(&f->h, subtask, parallelism);
    if (!sink)
        return f->h.err.code;
    int code = harness_write(&f->h, sink, from, count);
    if (code == 0)
        code = harness_prepare(&f->h, sink);
    harness_close_sink(&f->h, sink);
    return code;
}

static inline void must(struct fixture *f, int code)
{
    FAIL_UNLESS(code == 0, "%s", f->h.err.message);
}

/* check, one subtask, commit. */
static inline void write_all(struct fixture *f, int64_t from, uint32_t count)
{
    must(f, check(f));
    must(f, write_subtask(f, 0, 1, from, count));
    must(f, harness_commit(&f->h));
}

/* Reads files back through the file source: lines of JSON. The caller frees. */
static inline char *read_back(struct leat_env *env, const char *path, enum leat_format format, char separator)
{
    leat_topology *t = leat_topology_new("back");
    struct harness h;
    leat_stream *stream = leat_file_source(t, "in",
        &(struct leat_file_source_opts){
            .path = path, .format = format, .separator = separator, .type = harness_order_type() });
    FAIL_UNLESS(stream->node, "%s", leat_topology_error(t, 0)->message);
    harness_init(&h, env, stream->node, 64);
    FAIL_UNLESS(harness_read_all(&h) == 0, "%s", h.err.message);
    char *rows = strdup(h.rows.data ? h.rows.data : "");
    harness_release(&h);
    leat_topology_free(t);
    return rows;
}

static inline void expect_rows(struct leat_env *env, const char *path, int64_t from, int64_t to)
{
    struct leat_strbuf want = { 0 };
    harness_order_lines(&want, from, to);
    char *got = read_back(env, path, (enum leat_format)0, 0);
    FAIL_UNLESS(strcmp(got, want.data ? want.data : "") == 0, "%s: got\n%s", path, got);
    free(got);
    leat__strbuf_release(&want);
}

static inline bool is_there(struct leat_env *env, const char *path)
{
    size_t size;
    return memory_env_get(env, path, &size) != NULL;
}

/* Makes files of one byte with the names, which are separated by spaces. */
static inline size_t put_files(struct leat_env *env, const char *names)
{
    char copy[512], *rest;
    size_t count = 0;
    (void)snprintf(copy, sizeof copy, "%s", names);
    for (char *name = strtok_r(copy, " ", &rest); name; name = strtok_r(NULL, " ", &rest), count++)
        memory_env_put(env, name, "x", 1);
    return count;
}
#endif
