/* runtime/watermark.c -- see the header for the rules. Merging is linear in the parts; they are few. */
#include "runtime/watermark.h"
#include "base/alloc.h"
#include "base/assert.h"

int leat__wm_init(struct leat_wm_merge *merge, uint32_t count)
{
    merge->parts = leat__calloc(count, sizeof *merge->parts);
    if (!merge->parts)
        return LEAT_ENOMEM;
    merge->count = count;
    merge->merged_us = count ? LEAT_TIME_MIN : LEAT_TIME_MAX;
    merge->idle = false;
    merge->ended = count == 0;
    merge->grows = false;
    merge->together = false;
    merge->awaited_count = 0;
    for (uint32_t i = 0; i < count; i++)
        merge->parts[i] = (struct leat_wm_part){ .wm_us = LEAT_TIME_MIN, .counts = true };
    return 0;
}

void leat__wm_release(struct leat_wm_merge *merge)
{
    leat__free(merge->parts);
    merge->parts = NULL;
    merge->count = 0;
}

void leat__wm_restore(struct leat_wm_merge *merge, int64_t merged_us)
{
    if (merge->ended)
        return;
    merge->merged_us = merged_us;
    merge->awaited_count = merge->count;
    for (uint32_t i = 0; i < merge->count; i++)
        merge->parts[i] = (struct leat_wm_part){ .wm_us = LEAT_TIME_MIN, .awaited = true };
}

/* Whether it is the first that is heard of the part. */
static bool hear(struct leat_wm_merge *merge, struct leat_wm_part *part)
{
    if (!part->awaited)
        return false;
    part->awaited = false;
    merge->awaited_count--;
    return true;
}

/* Rule (8), before merging. */
static void agree(struct leat_wm_merge *merge)
{
    bool all_idle = merge->together;
    for (uint32_t i = 0; i < merge->count && all_idle; i++)
        all_idle = merge->parts[i].ended || merge->parts[i].said_idle;
    for (uint32_t i = 0; i < merge->count && merge->together; i++) {
        struct leat_wm_part *part = &merge->parts[i];
        part->idle = all_idle && !part->ended;
        part->counts = part->counts && !part->idle;
    }
}

static bool merge_again(struct leat_wm_merge *merge)
{
    const int64_t before_us = merge->merged_us;
    const bool idle_before = merge->idle, ended_before = merge->ended;
    int64_t minimum_us = LEAT_TIME_MAX, maximum_us = LEAT_TIME_MIN;
    bool any_counts = false, all_ended = !merge->grows, any_active = false;

    agree(merge);
    for (uint32_t i = 0; i < merge->count; i++) {
        struct leat_wm_part *part = &merge->parts[i];
        if (!part->counts && !part->idle && part->wm_us >= merge->merged_us)
            part->counts = true; /* rule (4) */
        all_ended = all_ended && part->ended;
        any_active = any_active || (!part->idle && !part->ended);
        if (!part->ended && part->wm_us > maximum_us)
            maximum_us = part->wm_us;
        if (part->counts && !part->ended) {
            any_counts = true;
            if (part->wm_us < minimum_us)
                minimum_us = part->wm_us;
        }
    }
    int64_t merged_us = merge->merged_us;
    if (all_ended)
        merged_us = LEAT_TIME_MAX;
    else if (any_counts)
        merged_us = minimum_us;
    else if (!any_active)
        merged_us = maximum_us; /* rule (3) */
    if (merged_us > merge->merged_us && merge->awaited_count == 0) /* rule (6) */
        merge->merged_us = merged_us;
    merge->ended = all_ended;
    merge->idle = !all_ended && !any_active;
    LEAT_ASSERT(merge->merged_us >= before_us);
    return merge->merged_us != before_us || merge->idle != idle_before || merge->ended != ended_before;
}

void leat__wm_grows(struct leat_wm_merge *merge)
{
    merge->grows = true;
    if (merge->count > 0)
        return;
    merge->merged_us = LEAT_TIME_MIN;
    merge->ended = false;
    merge->idle = true;
}

int leat__wm_add(struct leat_wm_merge *merge)
{
    LEAT_ASSERT(merge->grows && merge->awaited_count == 0);
    struct leat_wm_part *parts = leat__realloc(merge->parts, (merge->count + 1) * sizeof *parts);
    if (!parts)
        return LEAT_ENOMEM;
    merge->parts = parts;
    parts[merge->count++] = (struct leat_wm_part){ .wm_us = LEAT_TIME_MIN };
    (void)merge_again(merge);
    return 0;
}

void leat__wm_grown(struct leat_wm_merge *merge)
{
    merge->grows = false;
    (void)merge_again(merge);
}

bool leat__wm_advance(struct leat_wm_merge *merge, uint32_t i, int64_t wm_us)
{
    struct leat_wm_part *part = &merge->parts[i];
    const bool heard = !part->ended && hear(merge, part);
    if (part->ended || (!heard && wm_us <= part->wm_us && !part->idle && !part->said_idle))
        return false;
    if (wm_us > part->wm_us)
        part->wm_us = wm_us;
    part->idle = part->said_idle = false;
    return merge_again(merge) || heard;
}

bool leat__wm_set_active(struct leat_wm_merge *merge, uint32_t i)
{
    struct leat_wm_part *part = &merge->parts[i];
    if (part->ended || (!part->idle && !part->said_idle))
        return false;
    part->idle = part->said_idle = false;
    return merge_again(merge);
}

bool leat__wm_set_idle(struct leat_wm_merge *merge, uint32_t i)
{
    struct leat_wm_part *part = &merge->parts[i];
    if (part->ended || part->idle)
        return false;
    const bool heard = hear(merge, part);
    part->said_idle = true;
    part->idle = !merge->together;
    part->counts = part->counts && !part->idle;
    return merge_again(merge) || heard;
}

bool leat__wm_end(struct leat_wm_merge *merge, uint32_t i)
{
    struct leat_wm_part *part = &merge->parts[i];
    if (part->ended)
        return false;
    const bool heard = hear(merge, part);
    part->ended = true;
    part->idle = false;
    part->wm_us = LEAT_TIME_MAX;
    return merge_again(merge) || heard;
}
