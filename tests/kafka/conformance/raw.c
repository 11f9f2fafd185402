/* tests/kafka/conformance/raw.c -- requests as bytes, for what librdkafka does not show or would not send. */
#include "tests/kafka/conformance/conformance.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CORRELATION = 77 };

void raw_begin(struct raw *raw, bool flexible)
{
    *raw = (struct raw){ .out.flexible = flexible };
}

void raw_end(struct raw *raw)
{
    FAIL_UNLESS(!raw->in.bad, "an answer is shorter than it must be");
    kb_out_free(&raw->out);
    kb_out_free(&raw->answer);
}

static int connect_to(const char *bootstrap)
{
    struct sockaddr_in address = { .sin_family = AF_INET };
    const char *colon = strrchr(bootstrap, ':');
    FAIL_UNLESS(colon && strncmp(bootstrap, "127.0.0.1:", 10) == 0, "%s is no broker on loopback", bootstrap);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    FAIL_UNLESS(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0, "%s: %s", bootstrap,
        strerror(errno));
    return fd;
}

static void receive(int fd, uint8_t *data, size_t size)
{
    size_t have = 0;
    while (have < size) {
        const ssize_t got = recv(fd, data + have, size - have, 0);
        FAIL_UNLESS(got > 0, "the broker closed the connection");
        have += (size_t)got;
    }
}

void raw_send(struct kafka *k, struct raw *raw, int16_t api, int16_t version)
{
    struct kb_out frame = { 0 };
    uint8_t length[4];
    kb_put_i32(&frame, 0);
    kb_put_i16(&frame, api);
    kb_put_i16(&frame, version);
    kb_put_i32(&frame, CORRELATION);
    kb_put_str(&frame, "conformance");
    frame.flexible = raw->out.flexible;
    kb_put_tags(&frame);
    kb_put_raw(&frame, raw->out.data, raw->out.len);
    kb_set_i32(frame.data, (int32_t)frame.len - 4);
    const int fd = connect_to(kafka_bootstrap(k));
    FAIL_UNLESS(
        send(fd, frame.data, frame.len, MSG_NOSIGNAL) == (ssize_t)frame.len, "not sent: %s", strerror(errno));
    receive(fd, length, sizeof length);
    const size_t size = (size_t)kb_get_i32(length);
    kb_out_free(&raw->answer);
    raw->answer.data = kb_new(size + 1);
    receive(fd, raw->answer.data, size);
    (void)close(fd);
    kb_out_free(&frame);
    raw->in = (struct kb_in){
        .at = raw->answer.data, .end = raw->answer.data + size, .flexible = raw->out.flexible
    };
    FAIL_UNLESS(kb_i32(&raw->in) == CORRELATION, "the answer is to another request");
    kb_tags(&raw->in);
}

int16_t raw_init(struct kafka *k, const char *id, int32_t timeout_ms, int64_t *pid, int16_t *epoch)
{
    struct raw raw;
    raw_begin(&raw, true);
    kb_put_str(&raw.out, id);
    kb_put_i32(&raw.out, timeout_ms);
    kb_put_i64(&raw.out, *pid);
    kb_put_i16(&raw.out, *epoch);
    kb_put_tags(&raw.out);
    raw_send(k, &raw, KB_INIT_PRODUCER_ID, 4);
    (void)kb_i32(&raw.in);
    const int16_t code = kb_i16(&raw.in);
    if (!code) {
        *pid = kb_i64(&raw.in);
        *epoch = kb_i16(&raw.in);
    }
    raw_end(&raw);
    return code;
}

int16_t raw_add_partition(struct kafka *k, const char *id, int64_t pid, int16_t epoch, const char *topic)
{
    struct raw raw;
    raw_begin(&raw, true);
    kb_put_str(&raw.out, id);
    kb_put_i64(&raw.out, pid);
    kb_put_i16(&raw.out, epoch);
    kb_put_count(&raw.out, 1);
    kb_put_str(&raw.out, topic);
    kb_put_count(&raw.out, 1);
    kb_put_i32(&raw.out, 0);
    kb_put_tags(&raw.out);
    kb_put_tags(&raw.out);
    raw_send(k, &raw, KB_ADD_PARTITIONS, 3);
    (void)kb_i32(&raw.in);
    (void)kb_count(&raw.in);
    (void)kb_text(&raw.in);
    (void)kb_count(&raw.in);
    (void)kb_i32(&raw.in);
    const int16_t code = kb_i16(&raw.in);
    raw_end(&raw);
    return code;
}

int16_t raw_end_txn(struct kafka *k, const char *id, int64_t pid, int16_t epoch, bool commit)
{
    struct raw raw;
    raw_begin(&raw, true);
    kb_put_str(&raw.out, id);
    kb_put_i64(&raw.out, pid);
    kb_put_i16(&raw.out, epoch);
    kb_put_i8(&raw.out, commit);
    kb_put_tags(&raw.out);
    raw_send(k, &raw, KB_END_TXN, 3);
    (void)kb_i32(&raw.in);
    const int16_t code = kb_i16(&raw.in);
    raw_end(&raw);
    return code;
}

void raw_batch(
    struct kb_out *out, int64_t pid, int16_t epoch, int32_t sequence, bool transactional, const char *value)
{
    struct kb_out record = { 0 };
    const int64_t time = 1700000000000;
    kb_put_i8(&record, 0);
    kb_put_varint(&record, 0);
    kb_put_varint(&record, 0);
    kb_put_varint(&record, -1);
    kb_put_varint(&record, (int64_t)strlen(value));
    kb_put_raw(&record, value, strlen(value));
    kb_put_varint(&record, 0);
    struct kb_out sized = { 0 };
    kb_put_varint(&sized, (int64_t)record.len);
    kb_put_i64(out, 0);
    kb_put_i32(out, (int32_t)(KB_BATCH_HEAD - 12 + sized.len + record.len));
    kb_put_i32(out, -1);
    kb_put_i8(out, 2);
    const size_t crc = out->len;
    kb_put_i32(out, 0);
    kb_put_i16(out, transactional ? KB_TRANSACTIONAL : 0);
    kb_put_i32(out, 0);
    kb_put_i64(out, time);
    kb_put_i64(out, time);
    kb_put_i64(out, pid);
    kb_put_i16(out, epoch);
    kb_put_i32(out, sequence);
    kb_put_i32(out, 1);
    kb_put_raw(out, sized.data, sized.len);
    kb_put_raw(out, record.data, record.len);
    kb_set_i32(out->data + crc, (int32_t)kb_crc32c(out->data + crc + 4, out->len - crc - 4));
    kb_out_free(&record);
    kb_out_free(&sized);
}

static int16_t produce_once(
    struct kafka *k, const char *id, const char *topic, const uint8_t *data, size_t size, int64_t *base)
{
    struct raw raw;
    raw_begin(&raw, false);
    kb_put_str(&raw.out, id);
    kb_put_i16(&raw.out, -1);
    kb_put_i32(&raw.out, 30000);
    kb_put_count(&raw.out, 1);
    kb_put_str(&raw.out, topic);
    kb_put_count(&raw.out, 1);
    kb_put_i32(&raw.out, 0);
    kb_put_bytes_head(&raw.out, size);
    kb_put_raw(&raw.out, data, size);
    raw_send(k, &raw, KB_PRODUCE, 8);
    (void)kb_count(&raw.in);
    (void)kb_text(&raw.in);
    (void)kb_count(&raw.in);
    (void)kb_i32(&raw.in);
    const int16_t code = kb_i16(&raw.in);
    *base = kb_i64(&raw.in);
    raw_end(&raw);
    return code;
}

/* A partition may have been announced and not yet have begun (5, 6). */
int16_t raw_produce_bytes(
    struct kafka *k, const char *id, const char *topic, const uint8_t *data, size_t size, int64_t *base)
{
    const int64_t deadline = steady_ms() + WAIT_MS;
    int16_t code;
    while ((code = produce_once(k, id, topic, data, size, base)) == 5 || code == 6) {
        FAIL_UNLESS(steady_ms() < deadline, "%s has no leader for too long", topic);
        pause_ms(20);
    }
    return code;
}

int16_t raw_produce(struct kafka *k, const char *id, int64_t pid, int16_t epoch, int32_t sequence,
    const char *topic, const char *value, int64_t *base)
{
    struct kb_out batch = { 0 };
    raw_batch(&batch, pid, epoch, sequence, id != NULL, value);
    const int16_t code = raw_produce_bytes(k, id, topic, batch.data, batch.len, base);
    kb_out_free(&batch);
    return code;
}

void raw_topic_id(struct kafka *k, const char *topic, uint8_t *id)
{
    struct raw raw;
    static const uint8_t none[16];
    raw_begin(&raw, true);
    kb_put_count(&raw.out, 1);
    kb_put_raw(&raw.out, none, sizeof none);
    kb_put_str(&raw.out, topic);
    kb_put_tags(&raw.out);
    kb_put_i8(&raw.out, 0);
    kb_put_i8(&raw.out, 0);
    kb_put_tags(&raw.out);
    raw_send(k, &raw, KB_METADATA, 12);
    (void)kb_i32(&raw.in);
    for (int32_t count = kb_count(&raw.in); count > 0 && !raw.in.bad; count--) {
        (void)kb_i32(&raw.in);
        (void)kb_text(&raw.in);
        (void)kb_i32(&raw.in);
        (void)kb_text(&raw.in);
        kb_tags(&raw.in);
    }
    (void)kb_text(&raw.in);
    (void)kb_i32(&raw.in);
    assert_int_equal(kb_count(&raw.in), 1);
    assert_int_equal(kb_i16(&raw.in), 0);
    assert_true(kb_same(kb_text(&raw.in), topic));
    const uint8_t *got = kb_raw(&raw.in, sizeof none);
    assert_non_null(got);
    memcpy(id, got, sizeof none);
    raw_end(&raw);
}

int64_t raw_offset(struct kafka *k, const char *group, const char *topic, bool stable, int16_t *error)
{
    struct raw raw;
    raw_begin(&raw, true);
    kb_put_str(&raw.out, group);
    kb_put_count(&raw.out, 1);
    kb_put_str(&raw.out, topic);
    kb_put_count(&raw.out, 1);
    kb_put_i32(&raw.out, 0);
    kb_put_tags(&raw.out);
    kb_put_i8(&raw.out, stable);
    kb_put_tags(&raw.out);
    raw_send(k, &raw, KB_OFFSET_FETCH, 7);
    (void)kb_i32(&raw.in);
    assert_int_equal(kb_count(&raw.in), 1);
    (void)kb_text(&raw.in);
    (void)kb_count(&raw.in);
    (void)kb_i32(&raw.in);
    const int64_t offset = kb_i64(&raw.in);
    (void)kb_i32(&raw.in);
    (void)kb_text(&raw.in);
    *error = kb_i16(&raw.in);
    raw_end(&raw);
    return offset;
}
