/* record/copy.h -- copying rows together with the bytes that their views show.
 * A copier is compiled once per type: for flat rows it is a memcpy and one copy per string. */
#ifndef LEAT_RECORD_COPY_H
#define LEAT_RECORD_COPY_H
#include "record/batch.h"

struct leat_copier;

/* Copies `size` bytes, mostly few: by words that overlap, reading and writing nothing beyond them. */
static inline void leat__copy_bytes(void *to, const void *from, size_t size)
{
    char *t = (char *)to;
    const char *f = (const char *)from;
    if (size > 64) {
        memcpy(t, f, size);
    } else if (size > 32) {
        memcpy(t, f, 32);
        memcpy(t + size - 32, f + size - 32, 32);
    } else if (size >= 16) {
        memcpy(t, f, 16);
        memcpy(t + size - 16, f + size - 16, 16);
    } else if (size >= 8) {
        memcpy(t, f, 8);
        memcpy(t + size - 8, f + size - 8, 8);
    } else if (size >= 4) {
        memcpy(t, f, 4);
        memcpy(t + size - 4, f + size - 4, 4);
    } else {
        for (size_t i = 0; i < size; i++)
            t[i] = f[i];
    }
}

LEAT_NODISCARD int leat__copier_new(const struct leat_type *type, struct leat_copier **copier);
void leat__copier_free(struct leat_copier *copier);
/* Whether rows hold no views at all (then a memcpy does). */
bool leat__copier_is_flat(const struct leat_copier *copier);

/* Appends a deep copy of `record` to the batch, which has room: its bytes go to the batch's arena.
 * event_us and key_hash of the new row are the caller's to set. LEAT_ENOMEM or 0. */
LEAT_NODISCARD int leat__copy_push(struct leat_copier *copier, struct leat_batch *to, const void *record);
/* Makes the record at `row` (in batch `to`) independent: copies all that its views show into to's arena. */
LEAT_NODISCARD int leat__copy_adopt(struct leat_copier *copier, struct leat_batch *to, void *row);

/* The same for rows first .. first+count-1 of `to`: several times as fast. Rows that follow each other and show the
 * same string may then share one copy. */
LEAT_NODISCARD int leat__copy_adopt_rows(
    struct leat_copier *copier, struct leat_batch *to, uint32_t first, uint32_t count);

/* Bytes that leat__copy_to writes for this record: the struct and all it shows, each part aligned to 8. */
size_t leat__copy_size(struct leat_copier *copier, const void *record);
/* Writes a self-contained copy into `memory` (aligned to 8, leat__copy_size bytes): the struct first, its
 * views pointing into the same block. It may be moved only with leat__copy_rebase. */
void leat__copy_to(struct leat_copier *copier, const void *record, void *memory);
/* Both at once: writes the copy if it takes no more than `room`; how much it takes. What it writes else is of no use. */
size_t leat__copy_within(struct leat_copier *copier, const void *record, void *memory, size_t room);
/* After a self-contained copy was moved by memcpy: corrects its views by the distance moved. */
void leat__copy_rebase(struct leat_copier *copier, void *record, ptrdiff_t moved);
#endif
