/* record/program.c -- growing the arrays of a program. Failure is sticky, so that compilers check once. */
#include "record/program_private.h"
#include "base/alloc.h"

void leat__program_release(struct leat__program *program)
{
    leat__free(program->ops);
    leat__free(program->places);
    leat__free(program->jumps);
    leat__free(program->items);
    memset(program, 0, sizeof *program);
}

/* Makes room for `need` elements of `size` bytes in an array that may move; false when it can not. */
static bool grow(struct leat__program *program, void **array, uint32_t *capacity, uint32_t need, size_t size)
{
    uint32_t wanted = *capacity ? *capacity : 16;
    if (program->failed)
        return false;
    if (need <= *capacity)
        return true;
    if (need > LEAT_PROGRAM_OPS_MAX) {
        program->failed = LEAT_ELIMIT;
        return false;
    }
    while (wanted < need)
        wanted *= 2;
    void *grown = leat__realloc(*array, wanted * size);
    if (!grown) {
        program->failed = LEAT_ENOMEM;
        return false;
    }
    *array = grown;
    *capacity = wanted;
    return true;
}

uint32_t leat__program_emit(
    struct leat__program *program, uint32_t code, uint32_t offset, uint32_t a, uint32_t b, const char *place)
{
    const uint32_t at = program->ops_count;
    void *ops = program->ops, *places = (void *)program->places;
    uint32_t capacity = program->ops_capacity;
    bool fits = grow(program, &ops, &capacity, at + 1, sizeof *program->ops);
    program->ops = ops;
    capacity = program->ops_capacity;
    fits = fits && grow(program, &places, &capacity, at + 1, sizeof *program->places);
    program->places = places;
    if (!fits)
        return 0;
    program->ops_capacity = capacity;
    program->ops[at] = (struct leat__op){ code, offset, a, b };
    program->places[at] = place;
    program->ops_count++;
    return at;
}

uint32_t leat__program_jumps(struct leat__program *program, uint32_t count)
{
    const uint32_t at = program->jumps_count;
    void *jumps = program->jumps;
    const bool fits = count <= LEAT_PROGRAM_OPS_MAX &&
        grow(program, &jumps, &program->jumps_capacity, at + count, sizeof(uint32_t));
    program->jumps = jumps;
    if (!fits) {
        program->failed = program->failed ? program->failed : LEAT_ELIMIT;
        return 0;
    }
    program->jumps_count += count;
    memset(program->jumps + at, 0, count * sizeof(uint32_t));
    return at;
}

uint32_t leat__program_items(struct leat__program *program, const struct leat__items *items)
{
    const uint32_t at = program->items_count;
    void *array = program->items;
    const bool fits = grow(program, &array, &program->items_capacity, at + 1, sizeof *items);
    program->items = array;
    if (!fits)
        return 0;
    program->items[at] = *items;
    program->items_count++;
    return at;
}

/* The place of a code among the singles, or n. */
static uint32_t find_single(const uint32_t *singles, uint32_t n, uint32_t code)
{
    uint32_t i = 0;
    while (i < n && singles[i] != code)
        i++;
    return i;
}

void leat__program_fuse(struct leat__program *program, const uint32_t *singles, uint32_t n, uint32_t pairs)
{
    for (uint32_t i = 0; i + 1 < program->ops_count; i++) {
        const uint32_t a = find_single(singles, n, program->ops[i].code);
        const uint32_t b = find_single(singles, n, program->ops[i + 1].code);
        if (a == n || b == n)
            continue;
        program->ops[i].code = pairs + a * n + b;
        i++;
    }
}

int leat__program_check(const struct leat__program *program, struct leat_error *err)
{
    if (program->failed == LEAT_ENOMEM)
        return leat__error(err, LEAT_ENOMEM, "out of memory while compiling a codec");
    if (program->failed)
        return leat__error(err, LEAT_ELIMIT, "the types need more than %u instructions: make them simpler",
            LEAT_PROGRAM_OPS_MAX);
    return 0;
}
