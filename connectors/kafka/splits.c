/* connectors/kafka/splits.c -- which partitions there are, and where each begins and ends, as numbers.
 *
 * Offsets are asked for all partitions in one call per kind (oldest, end, by time), which librdkafka makes one request per
 * broker: a thousand partitions take as long as one. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "base/alloc.h"
#include "base/limits.h"
#include "connectors/kafka/schemas.h"
#include "connectors/kafka/source_private.h"
#include <inttypes.h>
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>

#define DISCOVER_TIMEOUT_MS 10000
#define ASK_AGAIN_MS 100
#define PATTERN_STEPS_MAX 100000u

struct found {
    const char *topic; /* in the list's arena */
    int32_t partition;
    int64_t begin, end; /* end -1: none */
    bool is_first;
};

struct listing {
    const struct leat_kafka_source *spec;
    struct leat_kafka_client *client;
    struct leat_split_list *list;
    struct found *found;
    uint32_t count, capacity;
    int timeout_ms;
    struct leat_error *err;
};

/* ---- consumers ---- */

/* What one worker's partitions may hold between them of what was fetched and not read; one partition never less than 1 MiB,
 * which is a fetch. librdkafka bounds each partition by itself. */
#define QUEUED_BYTES (UINT64_C(64) << 20)
#define QUEUED_BYTES_MIN (UINT64_C(1) << 20)

static int set_default(
    rd_kafka_conf_t *conf, const char *name, const char *if_is, uint64_t value, struct leat_error *err)
{
    char text[32];
    size_t size = sizeof text;
    if (rd_kafka_conf_get(conf, name, text, &size) != RD_KAFKA_CONF_OK || strcmp(text, if_is) != 0)
        return 0; /* the user's */
    (void)snprintf(text, sizeof text, "%" PRIu64, value);
    return leat__kafka_set(conf, name, text, err);
}

static int set_consumer(
    const struct leat_kafka_source *spec, rd_kafka_conf_t *conf, uint32_t partitions, struct leat_error *err)
{
    uint64_t bytes = QUEUED_BYTES / (partitions ? partitions : 1);
    bytes = bytes > QUEUED_BYTES_MIN ? bytes : QUEUED_BYTES_MIN;
    LEAT_TRY(set_default(conf, "queued.max.messages.kbytes", "65536", bytes / 1024, err));
    LEAT_TRY(
        set_default(conf, "queued.min.messages", "100000", 10000000, err)); /* bytes decide, not messages */
    LEAT_TRY(leat__kafka_set(conf, "enable.partition.eof", "true", err));
    LEAT_TRY(leat__kafka_set(conf, "auto.commit.enable", "false", err));
    LEAT_TRY(leat__kafka_set(conf, "offset.store.method", "none", err));
    if (spec->read_uncommitted)
        LEAT_TRY(leat__kafka_set(conf, "isolation.level", "read_uncommitted", err));
    if (spec->group) {
        LEAT_TRY(leat__kafka_set(conf, "group.id", spec->group, err));
        LEAT_TRY(leat__kafka_set(conf, "session.timeout.ms", "6000", err)); /* how long a commit may wait */
    }
    return 0;
}

int leat__kafka_consumer(const struct leat_kafka_source *spec, struct leat_env *env, uint32_t partitions,
    struct leat_kafka_client **client, struct leat_error *err)
{
    rd_kafka_conf_t *conf;
    *client = NULL;
    if (env != leat__env_posix())
        return leat__error(err, LEAT_EUNSUPPORTED,
            "brokers are not part of a simulation: use the test kit's sources, or run the job without "
            ".simulate");
    LEAT_TRY(leat__kafka_conf(&spec->conn, LEAT_KAFKA_CONSUMER, env, &conf, err));
    const int code = set_consumer(spec, conf, partitions, err);
    if (code < 0) {
        rd_kafka_conf_destroy(conf);
        return code;
    }
    return leat__kafka_new(&spec->conn, LEAT_KAFKA_CONSUMER, conf, NULL, client, err);
}

/* ---- topics ---- */

static int no_memory(struct listing *l)
{
    return leat__error(l->err, LEAT_ENOMEM, "out of memory for the list of partitions");
}

static int add_partitions(struct listing *l, const char *topic, uint32_t partitions)
{
    const char *copy = leat__arena_str(&l->list->arena, topic);
    if (!copy)
        return no_memory(l);
    if (l->count + partitions > LEAT_SPLITS_MAX)
        return leat__error(l->err, LEAT_ELIMIT,
            "there are more than %u partitions: read them by several sources", LEAT_SPLITS_MAX);
    if (l->count + partitions > l->capacity) {
        const uint32_t capacity = 2 * (l->count + partitions);
        struct found *grown = leat__realloc(l->found, capacity * sizeof *grown);
        if (!grown)
            return no_memory(l);
        l->found = grown;
        l->capacity = capacity;
    }
    for (uint32_t p = 0; p < partitions; p++)
        l->found[l->count++] = (struct found){ .topic = copy, .partition = (int32_t)p, .end = -1 };
    return 0;
}

static void *allocate(size_t size, void *ignored)
{
    (void)ignored;
    return leat__malloc(size);
}

static void release(void *p, void *ignored)
{
    (void)ignored;
    leat__free(p);
}

struct pattern {
    pcre2_general_context *memory;
    pcre2_code *code;
    pcre2_match_data *match;
    pcre2_match_context *context;
};

static void free_pattern(struct pattern *p)
{
    pcre2_match_context_free(p->context);
    pcre2_match_data_free(p->match);
    pcre2_code_free(p->code);
    pcre2_general_context_free(p->memory);
}

/* A pattern for whole names. */
static int compile(struct listing *l, struct pattern *p)
{
    int number;
    PCRE2_SIZE at;
    unsigned char why[128];
    *p = (struct pattern){ .memory = pcre2_general_context_create(allocate, release, NULL) };
    pcre2_compile_context *context = p->memory ? pcre2_compile_context_create(p->memory) : NULL;
    if (!context)
        return no_memory(l);
    p->code = pcre2_compile((PCRE2_SPTR)l->spec->topics[0], PCRE2_ZERO_TERMINATED,
        PCRE2_ANCHORED | PCRE2_ENDANCHORED, &number, &at, context);
    pcre2_compile_context_free(context);
    if (!p->code) {
        (void)pcre2_get_error_message(number, why, sizeof why);
        return leat__error(l->err, LEAT_EDECLARE, "topics: pattern \"%s\", at character %zu: %s",
            l->spec->topics[0], at + 1, (const char *)why);
    }
    p->match = pcre2_match_data_create_from_pattern(p->code, p->memory);
    p->context = pcre2_match_context_create(p->memory);
    if (!p->match || !p->context)
        return no_memory(l);
    pcre2_set_match_limit(p->context, PATTERN_STEPS_MAX);
    return 0;
}

static bool matches(const struct pattern *p, const char *topic)
{
    return pcre2_match(p->code, (PCRE2_SPTR)topic, PCRE2_ZERO_TERMINATED, 0, 0, p->match, p->context) >= 0;
}

/* Kafka's own topics begin so; nobody means them by a pattern. */
static bool is_internal(const char *topic)
{
    return topic[0] == '_' && topic[1] == '_';
}

static int add_matching(struct listing *l, const struct pattern *p)
{
    const struct rd_kafka_metadata *metadata;
    int code = 0;
    const rd_kafka_resp_err_t result = leat__kafka_metadata(l->client, NULL, &metadata, l->timeout_ms);
    if (result)
        return leat__kafka_error(l->client, result, NULL, "list the topics", l->err);
    for (int i = 0; code == 0 && i < metadata->topic_cnt; i++) {
        const struct rd_kafka_metadata_topic *topic = &metadata->topics[i];
        if (!topic->err && !is_internal(topic->topic) && matches(p, topic->topic))
            code = add_partitions(l, topic->topic, (uint32_t)topic->partition_cnt);
    }
    rd_kafka_metadata_destroy(metadata);
    return code;
}

static int compare_found(const void *a, const void *b)
{
    const struct found *x = a, *y = b;
    const int order = strcmp(x->topic, y->topic);
    return order ? order : (x->partition > y->partition) - (x->partition < y->partition);
}

static int find_partitions(struct listing *l)
{
    if (l->spec->is_pattern) {
        struct pattern pattern;
        int code = compile(l, &pattern);
        if (code == 0)
            code = add_matching(l, &pattern);
        free_pattern(&pattern);
        LEAT_TRY(code);
    }
    for (uint32_t i = 0; !l->spec->is_pattern && i < l->spec->topics_count; i++) {
        uint32_t partitions;
        LEAT_TRY(leat__kafka_partitions(l->client, l->spec->topics[i], l->timeout_ms, &partitions, l->err));
        LEAT_TRY(add_partitions(l, l->spec->topics[i], partitions));
    }
    if (l->count > 0)
        qsort(l->found, l->count, sizeof *l->found, compare_found);
    return 0;
}

/* ---- offsets ---- */

static rd_kafka_topic_partition_list_t *list_of(const struct listing *l, int64_t offset)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)l->count);
    for (uint32_t i = 0; i < l->count; i++)
        rd_kafka_topic_partition_list_add(list, l->found[i].topic, l->found[i].partition)->offset = offset;
    return list;
}

static int check_list(struct listing *l, const rd_kafka_topic_partition_list_t *list, const char *what)
{
    for (int i = 0; i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *at = &list->elems[i];
        char doing[400];
        if (!at->err)
            continue;
        (void)snprintf(doing, sizeof doing, "find %s of topic \"%s\", partition %d", what, at->topic,
            (int)at->partition);
        return leat__kafka_error(l->client, at->err, NULL, doing, l->err);
    }
    return 0;
}

static int ask_once(struct listing *l, int64_t time, const char *what, int64_t *offsets)
{
    char doing[64];
    rd_kafka_topic_partition_list_t *list = list_of(l, time);
    const rd_kafka_resp_err_t result = rd_kafka_offsets_for_times(l->client->rk, list, l->timeout_ms);
    (void)snprintf(doing, sizeof doing, "find %s of the partitions", what);
    int code = check_list(l, list, what);
    if (code == 0 && result)
        code = leat__kafka_error(l->client, result, NULL, doing, l->err);
    for (uint32_t i = 0; code == 0 && i < l->count; i++)
        offsets[i] = list->elems[i].offset; /* librdkafka keeps the order */
    rd_kafka_topic_partition_list_destroy(list);
    return code;
}

/* The offsets at a time (ms), or at RD_KAFKA_OFFSET_BEGINNING or _END, one for each partition found. A partition whose leader
 * is just being chosen has one in a moment. */
static int ask_offsets(struct listing *l, int64_t time, const char *what, int64_t *offsets)
{
    struct leat_env *env = leat__env_posix();
    const int64_t until_ns = env->mono_ns(env) + (int64_t)l->timeout_ms * 1000000;
    int code;
    while ((code = ask_once(l, time, what, offsets)) == LEAT_ECONNECT && env->mono_ns(env) < until_ns &&
        !leat__kafka_refusal_lasts(&l->client->refusal, LEAT_KAFKA_REFUSED_BEGIN_MS))
        (void)rd_kafka_poll(l->client->rk, ASK_AGAIN_MS);
    return code;
}

static int ask_group(struct listing *l, int64_t *offsets)
{
    char doing[400];
    rd_kafka_topic_partition_list_t *list = list_of(l, RD_KAFKA_OFFSET_INVALID);
    const rd_kafka_resp_err_t result = rd_kafka_committed(l->client->rk, list, l->timeout_ms);
    (void)snprintf(doing, sizeof doing, "read the offsets of group \"%s\"", l->spec->group);
    int code = result ? leat__kafka_error(l->client, result, NULL, doing, l->err) : 0;
    if (code == 0)
        code = check_list(l, list, "the group's offset");
    for (uint32_t i = 0; code == 0 && i < l->count; i++)
        offsets[i] = list->elems[i].offset;
    rd_kafka_topic_partition_list_destroy(list);
    return code;
}

static int64_t given_offset(const struct leat_kafka_source *spec, const struct found *found)
{
    for (uint32_t i = 0; i < spec->given_count; i++)
        if (spec->given[i].partition == found->partition && strcmp(spec->given[i].topic, found->topic) == 0)
            return spec->given[i].offset;
    return RD_KAFKA_OFFSET_BEGINNING;
}

/* Partitions that start_offsets names must be there. */
static int check_given(struct listing *l)
{
    for (uint32_t i = 0; i < l->spec->given_count; i++) {
        const struct leat_kafka_given *given = &l->spec->given[i];
        bool there = false;
        for (uint32_t k = 0; k < l->count && !there; k++)
            there = l->found[k].partition == given->partition && strcmp(l->found[k].topic, given->topic) == 0;
        if (!there)
            return leat__error(l->err, LEAT_ENOTFOUND, "start_offsets: topic \"%s\" has no partition %d",
                given->topic, (int)given->partition);
    }
    return 0;
}

/* Fills wanted[] with offsets; those below 0 stand for the beginning or the end. */
static int ask_starts(struct listing *l, int64_t *wanted)
{
    const struct leat_kafka_source *spec = l->spec;
    switch (spec->start) {
    case LEAT_KAFKA_TIMESTAMP: /* the brokers know milliseconds; -1: nothing is as new */
        return ask_offsets(
            l, spec->start_us / 1000 + (spec->start_us % 1000 != 0), "the time's offset", wanted);
    case LEAT_KAFKA_GROUP:
        return ask_group(l, wanted);
    case LEAT_KAFKA_OFFSETS:
        for (uint32_t i = 0; i < l->count; i++)
            wanted[i] = given_offset(spec, &l->found[i]);
        return check_given(l);
    default:
        for (uint32_t i = 0; i < l->count; i++)
            wanted[i] = spec->start == LEAT_KAFKA_LATEST ? RD_KAFKA_OFFSET_END : RD_KAFKA_OFFSET_BEGINNING;
        return 0;
    }
}

/* What the user gave must be there: else he would believe that he has all from there on. */
static int check_start(struct listing *l, const struct found *found, int64_t oldest, int64_t end)
{
    const char *says = l->spec->start == LEAT_KAFKA_GROUP ? "the group's offset" : "start_offsets:";
    if (found->begin < oldest)
        return leat__error(l->err, LEAT_EDATA,
            "%s %" PRId64 " of topic \"%s\", partition %d is gone: the oldest message is %" PRId64
            " (retention): start there, or with LEAT_KAFKA_EARLIEST",
            says, found->begin, found->topic, (int)found->partition, oldest);
    if (found->begin > end)
        return leat__error(l->err, LEAT_EDATA,
            "%s %" PRId64 " of topic \"%s\", partition %d is behind the end, %" PRId64
            ": was the topic deleted and made anew?",
            says, found->begin, found->topic, (int)found->partition, end);
    return 0;
}

static int set_range(struct listing *l, struct found *found, int64_t wanted, int64_t oldest, int64_t end)
{
    const bool is_late = wanted == RD_KAFKA_OFFSET_END, is_oldest = wanted < 0 && !is_late;
    found->is_first = is_oldest || (!is_late && l->spec->start == LEAT_KAFKA_TIMESTAMP);
    found->begin = is_late ? end : is_oldest || (found->is_first && wanted < oldest) ? oldest : wanted;
    found->end = l->spec->bounded ? end : -1;
    return check_start(l, found, oldest, end);
}

static int find_ranges(struct listing *l)
{
    int64_t *offsets = leat__calloc(3 * (size_t)l->count + 1, sizeof *offsets);
    if (!offsets)
        return no_memory(l);
    int64_t *wanted = offsets, *oldest = offsets + l->count, *ends = oldest + l->count;
    int code = l->count ? ask_starts(l, wanted) : 0;
    if (code == 0 && l->count)
        code = ask_offsets(l, RD_KAFKA_OFFSET_BEGINNING, "the oldest message", oldest);
    if (code == 0 && l->count) /* the last: what comes between may lie behind it, but nothing is skipped */
        code = ask_offsets(l, RD_KAFKA_OFFSET_END, "the end", ends);
    for (uint32_t i = 0; code == 0 && i < l->count; i++)
        code = set_range(l, &l->found[i], wanted[i], oldest[i], ends[i]);
    leat__free(offsets);
    return code;
}

/* ---- splits ---- */

static const char *begin_text(struct listing *l, const struct found *found)
{
    const struct leat_kafka_position position = {
        .next = found->begin, .end = found->end, .is_first = found->is_first, .last = { .offset = -1 }
    };
    struct leat_strbuf text = { 0 };
    leat__kafka_position_write(&position, &text);
    const char *copy = text.failed ? NULL : leat__arena_str(&l->list->arena, text.data);
    leat__strbuf_release(&text);
    return copy;
}

static int add_split(struct listing *l, const struct found *found, bool has_begin)
{
    char id[300];
    (void)snprintf(id, sizeof id, "%s/%d", found->topic, (int)found->partition);
    struct leat_split *split = leat__split_add(l->list, id);
    struct leat_kafka_partition *data = leat__arena_alloc(&l->list->arena, sizeof *data);
    if (!split || !data)
        return no_memory(l);
    *data = (struct leat_kafka_partition){ found->topic, found->partition, l->count };
    split->data = data;
    if (has_begin)
        split->begin = begin_text(l, found);
    return has_begin && !split->begin ? no_memory(l) : 0;
}

static int list(struct listing *l, bool has_begin)
{
    LEAT_TRY(find_partitions(l));
    if (has_begin)
        LEAT_TRY(find_ranges(l));
    for (uint32_t i = 0; i < l->count; i++)
        LEAT_TRY(add_split(l, &l->found[i], has_begin));
    return 0;
}

static int run(const struct leat_node *node, struct leat_env *env, struct leat_split_list *splits,
    bool has_begin, int timeout_ms, struct leat_error *err)
{
    struct listing l = { .spec = node->spec, .list = splits, .timeout_ms = timeout_ms, .err = err };
    LEAT_TRY(leat__kafka_consumer(l.spec, env, 1, &l.client, err));
    const int code = list(&l, has_begin);
    leat__free(l.found);
    leat__kafka_free(l.client);
    return code;
}

int leat__kafka_list_splits(const struct leat_node *node, struct leat_env *env,
    struct leat_split_list *splits, struct leat_error *err)
{
    const struct leat_kafka_source *spec = node->spec;
    LEAT_TRY(run(node, env, splits, true, LEAT_KAFKA_TIMEOUT_MS, err));
    for (uint32_t i = 0; i < splits->count && node->policy == LEAT_FAIL; i++) {
        const struct leat_kafka_partition *split = splits->splits[i].data;
        if (split->partition == 0)
            LEAT_TRY(leat__kafka_schemas_check(spec->layout, &spec->conn, env, split->topic, err));
    }
    if (splits->count == 0 && !node->discover_us)
        return leat__error(err, LEAT_ENOTFOUND, "no topic matches \"%s\"", spec->topics[0]);
    return 0;
}

int leat__kafka_discover(const struct leat_node *node, struct leat_env *env, struct leat_split_list *splits,
    struct leat_error *err)
{
    return run(node, env, splits, false, DISCOVER_TIMEOUT_MS, err);
}
