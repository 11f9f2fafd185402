/* base/env_point.c -- points at which a test kills or stops the process; see point.h. */
#include "base/error.h"
#include "base/point.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static const char *const point_names[] = {
#define LEAT_POINT_NAME(id_, name_, text_) name_,
    LEAT_POINT_TABLE(LEAT_POINT_NAME)
#undef LEAT_POINT_NAME
};

uint32_t leat__point_armed = LEAT_POINTS_COUNT;
static uint64_t point_passages_left; /* atomic */

static int point_signal = SIGKILL;

void leat__point_pass(enum leat_point point)
{
    (void)point;
    if (__atomic_sub_fetch(&point_passages_left, 1, __ATOMIC_RELAXED) == 0)
        (void)raise(point_signal);
}

const char *leat__point_name(enum leat_point point)
{
    return (uint32_t)point < LEAT_POINTS_COUNT ? point_names[point] : "?";
}

static int arm(const char *name, const char *text, int signal, struct leat_error *err)
{
    const char *colon = strrchr(text, ':');
    const size_t len = colon ? (size_t)(colon - text) : strlen(text);
    char *end = NULL;
    const unsigned long long passages = colon ? strtoull(colon + 1, &end, 10) : 1;
    if (colon && (colon[1] < '0' || colon[1] > '9' || *end || passages == 0))
        return leat__error(err, LEAT_EINVAL,
            "%s=%s: behind the colon stands how often the point is passed, a number from 1 on", name, text);
    for (uint32_t i = 0; i < LEAT_POINTS_COUNT; i++) {
        if (strlen(point_names[i]) != len || memcmp(point_names[i], text, len) != 0)
            continue;
        point_signal = signal;
        __atomic_store_n(&point_passages_left, passages, __ATOMIC_RELAXED);
        __atomic_store_n(&leat__point_armed, i, __ATOMIC_RELEASE);
        return 0;
    }
    return leat__error(
        err, LEAT_EINVAL, "%s=%s: there is no such point; base/point.h lists them", name, text);
}

int leat__point_arm(struct leat_error *err)
{
    const char *kill_at = getenv("LEAT_KILL_AT"), *stop_at = getenv("LEAT_STOP_AT");
    if (kill_at && *kill_at)
        return arm("LEAT_KILL_AT", kill_at, SIGKILL, err);
    return stop_at && *stop_at ? arm("LEAT_STOP_AT", stop_at, SIGSTOP, err) : 0;
}
