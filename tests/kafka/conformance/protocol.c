/* tests/kafka/conformance/protocol.c -- numbers that librdkafka hides: epochs, sequences, repeated and late requests. */
#include "tests/kafka/conformance/conformance.h"
#include <stdio.h>

struct producer {
    const char *id;
    int64_t pid;
    int16_t epoch;
};

/* Asks again while a transaction is being ended. */
static int16_t patiently(int16_t (*ask)(struct kafka *k, struct producer *p, const char *topic),
    struct kafka *k, struct producer *p, const char *topic)
{
    const int64_t deadline = steady_ms() + WAIT_MS;
    int16_t code;
    while ((code = ask(k, p, topic)) == KB_CONCURRENT || code == 14 || code == 15 || code == 16) {
        FAIL_UNLESS(steady_ms() < deadline, "asked for too long, error %d", code);
        pause_ms(20);
    }
    return code;
}

static int16_t ask_init(struct kafka *k, struct producer *p, const char *topic)
{
    (void)topic;
    return raw_init(k, p->id, 60000, &p->pid, &p->epoch);
}

static int16_t ask_add(struct kafka *k, struct producer *p, const char *topic)
{
    return raw_add_partition(k, p->id, p->pid, p->epoch, topic);
}

static int16_t ask_commit(struct kafka *k, struct producer *p, const char *topic)
{
    (void)topic;
    return raw_end_txn(k, p->id, p->pid, p->epoch, true);
}

static int16_t ask_abort(struct kafka *k, struct producer *p, const char *topic)
{
    (void)topic;
    return raw_end_txn(k, p->id, p->pid, p->epoch, false);
}

static struct producer start(struct kafka *k, const char *name)
{
    struct producer p = { kafka_name(k, name), -1, -1 };
    assert_int_equal(patiently(ask_init, k, &p, NULL), 0);
    assert_int_equal(p.epoch, 0);
    assert_true(p.pid >= 0);
    return p;
}

/* Markers are written a little after the end was answered. */
static void wait_for_stable(struct kafka *k, const char *topic, int64_t offset)
{
    const int64_t deadline = steady_ms() + WAIT_MS;
    int64_t got;
    while ((got = end_of(k, topic, 0, true)) < offset) {
        FAIL_UNLESS(steady_ms() < deadline, "%s is stable up to %lld", topic, (long long)got);
        pause_ms(20);
    }
    assert_int_equal(got, offset);
}

static void sequences(struct kafka *k)
{
    const char *topic = kafka_name(k, "sequence");
    int64_t pid = -1, base = -1;
    int16_t epoch = -1;
    kafka_topic_create(k, topic, 1, NULL);
    assert_int_equal(raw_init(k, NULL, 60000, &pid, &epoch), 0);
    assert_int_equal(epoch, 0);
    assert_int_equal(raw_produce(k, NULL, pid, 0, 0, topic, "a", &base), 0);
    assert_int_equal(base, 0);
    assert_int_equal(raw_produce(k, NULL, pid, 0, 1, topic, "b", &base), 0);
    assert_int_equal(base, 1);
    assert_int_equal(
        raw_produce(k, NULL, pid, 0, 0, topic, "a", &base), 0); /* again: the old place, not stored */
    assert_int_equal(base, 0);
    assert_int_equal(raw_produce(k, NULL, pid, 0, 3, topic, "gap", &base), 45);
    assert_int_equal(raw_produce(k, NULL, pid, 1, 5, topic, "new epoch", &base), 45);
    assert_int_equal(raw_produce(k, NULL, pid, 1, 0, topic, "c", &base), 0);
    assert_int_equal(raw_produce(k, NULL, pid, 0, 2, topic, "old epoch", &base), KB_OLD_EPOCH);
    check_values(k, topic, true, "0 a\n1 b\n2 c\n");
}

static void only_the_last_five_are_known(struct kafka *k)
{
    const char *topic = kafka_name(k, "five");
    int64_t pid = -1, base = -1;
    int16_t epoch = -1;
    kafka_topic_create(k, topic, 1, NULL);
    assert_int_equal(raw_init(k, NULL, 60000, &pid, &epoch), 0);
    for (int32_t i = 0; i < 6; i++)
        assert_int_equal(raw_produce(k, NULL, pid, 0, i, topic, "v", &base), 0);
    assert_int_equal(raw_produce(k, NULL, pid, 0, 1, topic, "v", &base), 0);
    assert_int_equal(base, 1);
    assert_int_equal(raw_produce(k, NULL, pid, 0, 0, topic, "v", &base), 45);
}

static void damaged_batches(struct kafka *k)
{
    const char *topic = kafka_name(k, "damaged");
    struct kb_out batch = { 0 };
    int64_t base = -1;
    kafka_topic_create(k, topic, 1, NULL);
    raw_batch(&batch, -1, -1, -1, false, "value");
    batch.data[batch.len - 3] ^= 1;
    assert_int_equal(raw_produce_bytes(k, NULL, topic, batch.data, batch.len, &base), KB_CORRUPT);
    batch.data[batch.len - 3] ^= 1;
    assert_int_equal(raw_produce_bytes(k, NULL, topic, batch.data, batch.len, &base), 0);
    kb_out_free(&batch);
    check_values(k, topic, true, "0 value\n");
}

static void writing_without_telling(struct kafka *k)
{
    const char *topic = kafka_name(k, "untold");
    int64_t base = -1;
    kafka_topic_create(k, topic, 1, NULL);
    struct producer p = start(k, "untold-id");
    assert_int_equal(raw_produce(k, p.id, p.pid, p.epoch, 0, topic, "v", &base), KB_INVALID_TXN_STATE);
    assert_int_equal(patiently(ask_add, k, &p, topic), 0);
    assert_int_equal(raw_produce(k, p.id, p.pid, p.epoch, 0, topic, "v", &base), 0);
    assert_int_equal(patiently(ask_commit, k, &p, NULL), 0);
    wait_for_stable(k, topic, 2);
    check_values(k, topic, true, "0 v\n");
}

static void ends_may_be_repeated(struct kafka *k)
{
    const char *topic = kafka_name(k, "ends");
    int64_t base = -1;
    kafka_topic_create(k, topic, 1, NULL);
    struct producer p = start(k, "ends-id");
    assert_int_equal(patiently(ask_commit, k, &p, NULL), KB_INVALID_TXN_STATE); /* none was begun */
    assert_int_equal(patiently(ask_add, k, &p, topic), 0);
    assert_int_equal(raw_produce(k, p.id, p.pid, p.epoch, 0, topic, "v", &base), 0);
    assert_int_equal(patiently(ask_commit, k, &p, NULL), 0);
    assert_int_equal(patiently(ask_commit, k, &p, NULL), 0);
    assert_int_equal(patiently(ask_abort, k, &p, NULL), KB_INVALID_TXN_STATE);
    assert_int_equal(patiently(ask_add, k, &p, topic), 0);
    assert_int_equal(patiently(ask_abort, k, &p, NULL), 0);
    assert_int_equal(patiently(ask_abort, k, &p, NULL), 0);
    assert_int_equal(patiently(ask_commit, k, &p, NULL), KB_INVALID_TXN_STATE);
    wait_for_stable(k, topic, 3);
    check_values(k, topic, true, "0 v\n");
}

/* Nothing in an end says which transaction it is for: one that was on its way for long ends the next. */
static void a_late_end_ends_the_next(struct kafka *k)
{
    const char *topic = kafka_name(k, "late");
    int64_t base = -1;
    kafka_topic_create(k, topic, 1, NULL);
    struct producer p = start(k, "late-id");
    assert_int_equal(patiently(ask_add, k, &p, topic), 0);
    assert_int_equal(raw_produce(k, p.id, p.pid, p.epoch, 0, topic, "first", &base), 0);
    assert_int_equal(patiently(ask_commit, k, &p, NULL), 0);
    assert_int_equal(patiently(ask_add, k, &p, topic), 0);
    assert_int_equal(raw_produce(k, p.id, p.pid, p.epoch, 1, topic, "half", &base), 0);
    assert_int_equal(patiently(ask_commit, k, &p, NULL), 0); /* the copy of the first one */
    wait_for_stable(k, topic, 4);
    check_values(k, topic, true, "0 first\n2 half\n");
    /* After a newer epoch it ends nothing. */
    struct producer newer = { p.id, -1, -1 };
    assert_int_equal(patiently(ask_init, k, &newer, NULL), 0);
    assert_int_equal(newer.pid, p.pid);
    assert_int_equal(newer.epoch, p.epoch + 1);
    assert_int_equal(patiently(ask_add, k, &newer, topic), 0);
    assert_int_equal(patiently(ask_commit, k, &p, NULL), KB_FENCED);
    assert_int_equal(patiently(ask_add, k, &p, topic), KB_FENCED);
    assert_int_equal(patiently(ask_abort, k, &newer, NULL), 0);
}

static void epochs(struct kafka *k)
{
    const char *topic = kafka_name(k, "epochs");
    int64_t base = -1;
    kafka_topic_create(k, topic, 1, NULL);
    struct producer p = start(k, "epochs-id");
    struct producer own = p, stranger = p, replaced = p;
    assert_int_equal(patiently(ask_init, k, &own, NULL), 0); /* a bump by the producer itself */
    assert_int_equal(own.epoch, 1);
    assert_int_equal(patiently(ask_init, k, &p, NULL), 0); /* the same again, its answer was lost */
    assert_int_equal(p.epoch, 1);
    stranger.pid += 1000000;
    assert_int_equal(patiently(ask_init, k, &stranger, NULL), KB_FENCED);
    struct producer next = { p.id, -1, -1 };
    assert_int_equal(patiently(ask_init, k, &next, NULL), 0);
    assert_int_equal(next.epoch, 2);
    assert_int_equal(patiently(ask_init, k, &replaced, NULL), KB_FENCED);
    /* What is open is aborted with an epoch of its own. */
    assert_int_equal(patiently(ask_add, k, &next, topic), 0);
    assert_int_equal(raw_produce(k, next.id, next.pid, next.epoch, 0, topic, "open", &base), 0);
    struct producer last = { p.id, -1, -1 };
    assert_int_equal(patiently(ask_init, k, &last, NULL), 0);
    assert_int_equal(last.epoch, 4);
    assert_int_equal(raw_produce(k, next.id, next.pid, next.epoch, 1, topic, "zombie", &base), KB_OLD_EPOCH);
    wait_for_stable(k, topic, 2);
    check_values(k, topic, true, "");
}

static void strangers(struct kafka *k)
{
    const char *topic = kafka_name(k, "strange");
    kafka_topic_create(k, topic, 1, NULL);
    struct producer nobody = { kafka_name(k, "nobody-id"), 4711, 0 };
    assert_int_equal(patiently(ask_add, k, &nobody, topic), KB_INVALID_PID_MAPPING);
    assert_int_equal(patiently(ask_commit, k, &nobody, NULL), KB_INVALID_PID_MAPPING);
    struct producer p = start(k, "strange-id");
    assert_int_equal(patiently(ask_add, k, &p, kafka_name(k, "no-topic")), KB_UNKNOWN_TOPIC);
    p.pid += 1000000;
    assert_int_equal(patiently(ask_add, k, &p, topic), KB_INVALID_PID_MAPPING);
}

/* Offsets of a transaction from one that may not, or has not told the coordinator. */
static int16_t txn_offset(struct kafka *k, const struct producer *p, const char *group, const char *topic)
{
    struct raw raw;
    raw_begin(&raw, true);
    kb_put_str(&raw.out, p->id);
    kb_put_str(&raw.out, group);
    kb_put_i64(&raw.out, p->pid);
    kb_put_i16(&raw.out, p->epoch);
    kb_put_i32(&raw.out, -1);
    kb_put_str(&raw.out, "");
    kb_put_str(&raw.out, NULL);
    kb_put_count(&raw.out, 1);
    kb_put_str(&raw.out, topic);
    kb_put_count(&raw.out, 1);
    kb_put_i32(&raw.out, 0);
    kb_put_i64(&raw.out, 5);
    kb_put_i32(&raw.out, -1);
    kb_put_str(&raw.out, "m");
    kb_put_tags(&raw.out);
    kb_put_tags(&raw.out);
    kb_put_tags(&raw.out);
    raw_send(k, &raw, KB_TXN_OFFSET_COMMIT, 3);
    (void)kb_i32(&raw.in);
    (void)kb_count(&raw.in);
    (void)kb_text(&raw.in);
    (void)kb_count(&raw.in);
    (void)kb_i32(&raw.in);
    const int16_t code = kb_i16(&raw.in);
    raw_end(&raw);
    return code;
}

static int16_t add_offsets(struct kafka *k, const struct producer *p, const char *group)
{
    struct raw raw;
    raw_begin(&raw, true);
    kb_put_str(&raw.out, p->id);
    kb_put_i64(&raw.out, p->pid);
    kb_put_i16(&raw.out, p->epoch);
    kb_put_str(&raw.out, group);
    kb_put_tags(&raw.out);
    raw_send(k, &raw, KB_ADD_OFFSETS, 3);
    (void)kb_i32(&raw.in);
    const int16_t code = kb_i16(&raw.in);
    raw_end(&raw);
    return code;
}

static void offsets_need_their_transaction(struct kafka *k)
{
    const char *topic = kafka_name(k, "place"), *group = kafka_name(k, "place-group");
    int16_t error = 0;
    kafka_topic_create(k, topic, 1, NULL);
    (void)kafka_committed(k, group, topic, 0, NULL, 0); /* the coordinator of groups is there from now on */
    struct producer p = start(k, "place-id");
    assert_int_equal(txn_offset(k, &p, group, topic), KB_INVALID_TXN_STATE);
    assert_int_equal(add_offsets(k, &p, group), 0);
    assert_int_equal(txn_offset(k, &p, group, topic), 0);
    assert_int_equal(raw_offset(k, group, topic, true, &error), -1);
    assert_int_equal(error, KB_UNSTABLE_OFFSET);
    struct producer next = { p.id, -1, -1 };
    assert_int_equal(patiently(ask_init, k, &next, NULL), 0);
    assert_int_equal(add_offsets(k, &p, group), KB_FENCED);
    assert_int_equal(txn_offset(k, &p, group, topic), KB_OLD_EPOCH);
    const int64_t deadline = steady_ms() + WAIT_MS;
    while (raw_offset(k, group, topic, true, &error) == -1 && error == KB_UNSTABLE_OFFSET) {
        FAIL_UNLESS(steady_ms() < deadline, "the offset stays unstable");
        pause_ms(20);
    }
    assert_int_equal(error, 0);
}

/* What the answer to a fetch says beside the records. */
static void a_fetch_tells_of_aborted_ones(struct kafka *k)
{
    const char *topic = kafka_name(k, "told");
    int64_t base = -1;
    struct raw raw;
    kafka_topic_create(k, topic, 1, NULL);
    struct producer p = start(k, "told-id");
    assert_int_equal(patiently(ask_add, k, &p, topic), 0);
    assert_int_equal(raw_produce(k, p.id, p.pid, p.epoch, 0, topic, "x", &base), 0);
    assert_int_equal(patiently(ask_abort, k, &p, NULL), 0);
    assert_int_equal(patiently(ask_add, k, &p, topic), 0);
    assert_int_equal(raw_produce(k, p.id, p.pid, p.epoch, 1, topic, "y", &base), 0);
    raw_begin(&raw, false);
    kb_put_i32(&raw.out, -1);
    kb_put_i32(&raw.out, 100);
    kb_put_i32(&raw.out, 1);
    kb_put_i32(&raw.out, 1 << 20);
    kb_put_i8(&raw.out, 1);
    kb_put_i32(&raw.out, 0);
    kb_put_i32(&raw.out, -1);
    kb_put_count(&raw.out, 1);
    kb_put_str(&raw.out, topic);
    kb_put_count(&raw.out, 1);
    kb_put_i32(&raw.out, 0);
    kb_put_i32(&raw.out, -1);
    kb_put_i64(&raw.out, 0);
    kb_put_i64(&raw.out, -1);
    kb_put_i32(&raw.out, 1 << 20);
    kb_put_count(&raw.out, 0);
    kb_put_str(&raw.out, "");
    raw_send(k, &raw, KB_FETCH, 11);
    (void)kb_i32(&raw.in);
    assert_int_equal(kb_i16(&raw.in), 0);
    (void)kb_i32(&raw.in);
    assert_int_equal(kb_count(&raw.in), 1);
    (void)kb_text(&raw.in);
    assert_int_equal(kb_count(&raw.in), 1);
    assert_int_equal(kb_i32(&raw.in), 0);
    assert_int_equal(kb_i16(&raw.in), 0);
    assert_int_equal(kb_i64(&raw.in), 3); /* end */
    assert_int_equal(kb_i64(&raw.in), 2); /* last stable offset: the open one begins there */
    assert_int_equal(kb_i64(&raw.in), 0);
    assert_int_equal(kb_count(&raw.in), 1);
    assert_int_equal(kb_i64(&raw.in), p.pid);
    assert_int_equal(kb_i64(&raw.in), 0);
    raw_end(&raw);
    assert_int_equal(patiently(ask_commit, k, &p, NULL), 0);
}

const struct scenario protocol_scenarios[] = {
    { "given batches with sequences, when they come again or leave a gap, then answered as before, or "
      "refused",
        sequences },
    { "given more than five batches, when an older one comes again, then it is out of order",
        only_the_last_five_are_known },
    { "given a batch with a wrong checksum, when produced, then it is refused", damaged_batches },
    { "given a partition that the transaction was not told of, when written, then it is refused",
        writing_without_telling },
    { "given a transaction that ended, when ended again, then well alike and refused otherwise",
        ends_may_be_repeated },
    { "given an end on its way for long, when the next transaction is open, then it ends that; after a bump "
      "nothing",
        a_late_end_ends_the_next },
    { "given producers of one id, when they begin, then epochs rise and older ones are fenced", epochs },
    { "given ids and producers that are not known, when they ask, then each has its error", strangers },
    { "given offsets of a transaction, when it was not told of the group or is fenced, then refused",
        offsets_need_their_transaction },
    { "given aborted and open transactions, when fetched, then the answer tells of them",
        a_fetch_tells_of_aborted_ones },
    { NULL, NULL },
};
