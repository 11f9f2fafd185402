/* base/arena.h -- bump allocation with one lifetime, for what lives as long as a topology or a plan.
 * Not thread-safe. Zeroed memory, aligned to 16. */
#ifndef LEAT_BASE_ARENA_H
#define LEAT_BASE_ARENA_H
#include <leat/api.h>
#include <stdarg.h>

struct leat_arena {
    struct leat_arena_block *blocks; /* newest first */
};

/* A zeroed struct leat_arena is ready for use. */
void leat__arena_release(struct leat_arena *arena); /* frees all; ready for use again */
void *leat__arena_alloc(struct leat_arena *arena, size_t size); /* NULL when out of memory */
void *leat__arena_array(struct leat_arena *arena, size_t count, size_t size); /* checks the product */
void *leat__arena_copy(struct leat_arena *arena, const void *data, size_t size);
char *leat__arena_str(struct leat_arena *arena, const char *text); /* NULL gives NULL */
char *leat__arena_strn(struct leat_arena *arena, const char *text, size_t len);
char *leat__arena_printf(struct leat_arena *arena, const char *format, ...) LEAT_PRINTF(2, 3);
#endif
