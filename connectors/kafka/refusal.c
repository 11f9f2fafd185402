/* connectors/kafka/refusal.c -- see the header. What is a refusal: librdkafka's codes for authentication and TLS, and, since it
 * has no code for it, a line of its log that tells of an alert, by which the other side ends TLS. */
#include "connectors/kafka/refusal.h"
#include "base/env.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STALE_NS (INT64_C(60) * 1000000000) /* librdkafka repeats itself at least every 30 s */

static int64_t now_ns(void)
{
    struct leat_env *env = leat__env_posix(); /* brokers are not part of a simulation */
    return env->mono_ns(env);
}

/* Held for as long as some bytes take to copy. */
static void lock(struct leat_kafka_refusal *r)
{
    while (__atomic_test_and_set(&r->locked, __ATOMIC_ACQUIRE))
        ;
}

static void unlock(struct leat_kafka_refusal *r)
{
    __atomic_clear(&r->locked, __ATOMIC_RELEASE);
}

static void note(struct leat_kafka_refusal *r, rd_kafka_resp_err_t code, bool is_exact, const char *remedy,
    const char *text)
{
    const int64_t now = now_ns();
    lock(r);
    const bool goes_on = r->code && now - r->last_ns < STALE_NS;
    if (!goes_on)
        r->since_ns = now;
    r->last_ns = now;
    if (is_exact || !goes_on || !r->is_exact) {
        __atomic_store_n(&r->code, (int)code, __ATOMIC_RELAXED);
        r->is_exact = is_exact;
        r->remedy = remedy;
        (void)snprintf(r->text, sizeof r->text, "%s", text);
    }
    unlock(r);
}

/* ---- alerts ---- */

#define OWN_CERTIFICATE \
    "set ssl.certificate.location and ssl.key.location to a certificate whose CA the brokers know"

static void hear_alert(struct leat_kafka_refusal *r, int number, const char *text)
{
    switch (number) {
    case 42: /* bad, which Java also says of none */
    case 116: /* required */
        note(r, RD_KAFKA_RESP_ERR__SSL, true, OWN_CERTIFICATE,
            "the broker wants a certificate of this client, and got none or not a good one");
        return;
    case 43: /* unsupported */
    case 44: /* revoked */
    case 45: /* expired */
    case 46: /* unknown */
    case 48: /* unknown CA */
    case 49: /* access denied */
        note(r, RD_KAFKA_RESP_ERR__SSL, true, OWN_CERTIFICATE,
            "the broker does not accept the certificate of this client");
        return;
    default:
        note(r, RD_KAFKA_RESP_ERR__SSL, false, "check security.protocol and the ssl.* properties", text);
    }
}

void leat__kafka_refusal_hear(struct leat_kafka_refusal *r, rd_kafka_resp_err_t code, const char *text)
{
    static const char alert[] = "SSL alert number ";
    const char *at = strstr(text, alert);
    if (at)
        hear_alert(r, (int)strtol(at + sizeof alert - 1, NULL, 10), text);
    else if (code == RD_KAFKA_RESP_ERR__SSL)
        note(r, code, false, "check security.protocol and the ssl.* properties", text);
    else if (code == RD_KAFKA_RESP_ERR__AUTHENTICATION ||
        code == RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED)
        note(r, code, false, "check sasl.mechanism, the user and the password", text);
}

/* ---- certificates ---- */

static const struct {
    int from, to; /* OpenSSL's numbers, which are fixed */
    const char *is, *remedy;
} reasons[] = {
    { 9, 9, "is not valid yet", "look at the clocks of both" },
    { 10, 10, "has expired", "the brokers need a new one" },
    { 23, 23, "was revoked", "the brokers need a new one" },
    { 18, 21, "is of a CA that ssl.ca.location does not have",
        "set ssl.ca.location to the certificate of the brokers' CA" },
    { 2, 2, "is of a CA that ssl.ca.location does not have",
        "set ssl.ca.location to the certificate of the brokers' CA" },
    { 62, 62, "is for another host", "connect by a name that is in it" },
    { 64, 64, "is for another host", "connect by a name that is in it" },
};

void leat__kafka_refusal_certificate(struct leat_kafka_refusal *r, const char *name, int reason)
{
    char text[sizeof r->text];
    const char *is = "can not be verified", *remedy = "check ssl.ca.location";
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
        if (reason >= reasons[i].from && reason <= reasons[i].to) {
            is = reasons[i].is;
            remedy = reasons[i].remedy;
        }
    (void)snprintf(text, sizeof text, "the certificate of %.100s %s (X509 error %d)", name, is, reason);
    note(r, RD_KAFKA_RESP_ERR__SSL, true, remedy, text);
}

/* ---- asking ---- */

void leat__kafka_refusal_end(struct leat_kafka_refusal *r)
{
    if (!__atomic_load_n(&r->code, __ATOMIC_RELAXED))
        return;
    lock(r);
    __atomic_store_n(&r->code, 0, __ATOMIC_RELAXED);
    unlock(r);
}

bool leat__kafka_refusal_read(struct leat_kafka_refusal *r, struct leat_kafka_refusal *copy)
{
    lock(r);
    *copy = *r;
    unlock(r);
    return copy->code && now_ns() - copy->last_ns < STALE_NS;
}

bool leat__kafka_refusal_lasts(struct leat_kafka_refusal *r, int64_t for_ms)
{
    struct leat_kafka_refusal copy;
    if (!__atomic_load_n(&r->code, __ATOMIC_RELAXED))
        return false;
    return leat__kafka_refusal_read(r, &copy) && now_ns() - copy.since_ns >= for_ms * 1000000;
}
