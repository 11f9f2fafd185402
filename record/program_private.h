/* record/program_private.h -- programs: what decoders, encoders and copiers are compiled to.
 *
 * A program is an array of small instructions that are run over the rows of a batch; each kind of program has
 * its own operation codes. Jumps are indexes of instructions. The instructions for the items of arrays and
 * maps are subprograms in the same array, behind the main one, found through `items`. */
#ifndef LEAT_RECORD_PROGRAM_PRIVATE_H
#define LEAT_RECORD_PROGRAM_PRIVATE_H
#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"
#include "record/schema_private.h"

struct leat__op {
    uint32_t code;
    uint32_t offset; /* in the struct */
    uint32_t a, b; /* by operation */
};

/* A subprogram for the items of an array or the entries of a map. */
struct leat__items {
    uint32_t start; /* its first instruction */
    uint32_t size; /* of an item in memory */
    bool is_empty; /* an item takes no bytes on the wire */
    bool must_zero; /* the program does not write every byte of an item */
    const struct leat_type *type; /* of the array or map */
};

struct leat__program {
    struct leat__op *ops;
    const char **places; /* by instruction: the field path for errors, or NULL; borrowed */
    uint32_t ops_count, ops_capacity;
    uint32_t *jumps; /* jump tables of unions */
    uint32_t jumps_count, jumps_capacity;
    struct leat__items *items;
    uint32_t items_count, items_capacity;
    int failed; /* sticky: LEAT_ENOMEM or LEAT_ELIMIT */
};

/* A zeroed program is ready for use. */
void leat__program_release(struct leat__program *program);
/* Appends an instruction and gives its index. */
uint32_t leat__program_emit(
    struct leat__program *program, uint32_t code, uint32_t offset, uint32_t a, uint32_t b, const char *place);
/* Appends `count` entries to the jump tables; gives the index of the first. */
uint32_t leat__program_jumps(struct leat__program *program, uint32_t count);
uint32_t leat__program_items(struct leat__program *program, const struct leat__items *items);
/* Where two instructions of `singles` follow each other, the first gets the code of the pair: `pairs` + i * n
 * + j. The second keeps its own, so that jumps to it stay right. A pair saves a dispatch, which is half of
 * the cost of a short instruction. */
void leat__program_fuse(struct leat__program *program, const uint32_t *singles, uint32_t n, uint32_t pairs);
/* 0, or what went wrong while it was written, with text. */
int leat__program_check(const struct leat__program *program, struct leat_error *err);
#endif
