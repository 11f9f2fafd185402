/* base/arena.c -- a list of blocks, each twice the last up to a limit. A request that is larger than the next
 * block would be gets one of its own, behind the newest, whose rest stays in use. */
#include "base/arena.h"
#include "base/alloc.h"
#include <stdio.h>
#include <string.h>

#define BLOCK_BYTES_FIRST 4096u
#define BLOCK_BYTES_MAX (256u * 1024u)

struct leat_arena_block {
    struct leat_arena_block *next;
    size_t used;
    size_t size;
    _Alignas(16) unsigned char data[];
};

void leat__arena_release(struct leat_arena *arena)
{
    struct leat_arena_block *block = arena->blocks;
    while (block) {
        struct leat_arena_block *next = block->next;
        leat__free(block);
        block = next;
    }
    arena->blocks = NULL;
}

static struct leat_arena_block *add_block(struct leat_arena *arena, size_t need)
{
    struct leat_arena_block *newest = arena->blocks;
    size_t bytes = newest ? newest->size * 2 : BLOCK_BYTES_FIRST;
    if (bytes > BLOCK_BYTES_MAX)
        bytes = BLOCK_BYTES_MAX;
    const bool own = newest && need > bytes;
    struct leat_arena_block *block = leat__malloc(sizeof *block + (need > bytes ? need : bytes));
    if (!block)
        return NULL;
    block->used = 0;
    block->size = need > bytes ? need : bytes;
    block->next = own ? newest->next : newest;
    *(own ? &newest->next : &arena->blocks) = block;
    return block;
}

void *leat__arena_alloc(struct leat_arena *arena, size_t size)
{
    struct leat_arena_block *block = arena->blocks;
    if (size > SIZE_MAX / 2)
        return NULL;
    const size_t need = (size + 15) & ~(size_t)15;
    if (!block || block->size - block->used < need) {
        block = add_block(arena, need);
        if (!block)
            return NULL;
    }
    void *p = block->data + block->used;
    block->used += need;
    return memset(p, 0, need);
}

void *leat__arena_array(struct leat_arena *arena, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        return NULL;
    return leat__arena_alloc(arena, bytes);
}

void *leat__arena_copy(struct leat_arena *arena, const void *data, size_t size)
{
    void *p = leat__arena_alloc(arena, size);
    return p && size ? memcpy(p, data, size) : p;
}

char *leat__arena_strn(struct leat_arena *arena, const char *text, size_t len)
{
    char *copy = leat__arena_alloc(arena, len + 1);
    if (copy)
        memcpy(copy, text, len);
    return copy;
}

char *leat__arena_str(struct leat_arena *arena, const char *text)
{
    return text ? leat__arena_strn(arena, text, strlen(text)) : NULL;
}

char *leat__arena_printf(struct leat_arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len < 0)
        return NULL;
    char *text = leat__arena_alloc(arena, (size_t)len + 1);
    if (!text)
        return NULL;
    va_start(args, format);
    (void)vsnprintf(text, (size_t)len + 1, format, args);
    va_end(args);
    return text;
}
