/* record/expr_private.h -- what the files of the expression compiler share.
 *
 *   text --expr_lex--> tokens --expr_parse--> nodes --expr_type--> typed nodes --expr_compile--> program
 *   program + scratch + rows --expr_run, kernels--> vector
 *
 * A node starts as what was written; typing rewrites it in place to one of LITERAL, PATH, APPLY (a kernel
 * over arguments), AND, OR, CASE, COALESCE. The program is a straight line of instructions, each one kernel
 * over a whole chunk of rows. Its operands are slots: a register (vector in the scratch), a constant (step
 * 0), or a column of the rows themselves (step = size of a row), so that a field need not be copied to be
 * compared.
 *
 * Errors that must not count. `b != 0 and a / b > 1` computes a / b for every row; a kernel that fails
 * somewhere asks leat__expr_is_live whether the row matters: its guard is a chain of conditions (the left
 * side is not false). So the fast path knows nothing of guards. Kernels that are slow or make strings skip
 * such rows.
 *
 * Invariants: (1) a register never shares memory with an operand of the instruction that writes it;
 * (2) a row that a kernel skips gets a defined value (0, ""), since later kernels may look at it; (3) the
 * value of a null row in a column of the records is anything: strings there are not followed; (4) boolean
 * registers hold 0 or 1, null bytes too; (5) kernels never meet a missing record: one of zeroes stands for it. */
#ifndef LEAT_RECORD_EXPR_PRIVATE_H
#define LEAT_RECORD_EXPR_PRIVATE_H
#include "base/arena.h"
#include "base/assert.h"
#include "base/error.h"
#include "base/limits.h"
#include "record/expr.h"

#define EXPR_INLINE static inline __attribute__((always_inline))
#define EXPR_CHUNK_ROWS 1024u /* registers stay in the caches whatever the size of the batch */
#define EXPR_NONE UINT32_MAX

/* ---- text ---- */

struct expr_source {
    const char *text;
    uint32_t len;
    struct leat_error *err;
};

/* LEAT_EEXPR with "column N: " before the text; `at` is a byte of the source. */
int leat__expr_fail(const struct expr_source *source, uint32_t at, const char *format, ...) LEAT_PRINTF(3, 4);
uint32_t leat__expr_column(const char *text, uint32_t at); /* counted from 1, in characters */
int leat__expr_no_memory(const struct expr_source *source);
/* Words are compared without case, in ASCII whatever the locale. */
bool leat__expr_same_word(struct leat_sv text, const char *word);
/* "; did you mean \"total\"?" or nothing. */
#define EXPR_HINT_BYTES 96u
const char *leat__expr_hint(
    struct leat_sv word, const char *const *candidates, size_t count, char hint[EXPR_HINT_BYTES]);
/* "order_id, total, ..." */
#define EXPR_NAMES_BYTES 256u
const char *leat__expr_names(const char *const *names, size_t count, char text[EXPR_NAMES_BYTES]);

enum expr_token_kind {
    EXPR_END = 1,
    EXPR_INTEGER,
    EXPR_REAL,
    EXPR_TEXT, /* 'quoted' */
    EXPR_WORD,
    EXPR_NAME, /* "quoted" */
    EXPR_PLUS,
    EXPR_MINUS,
    EXPR_STAR,
    EXPR_SLASH,
    EXPR_PERCENT,
    EXPR_JOIN, /* || */
    EXPR_EQ,
    EXPR_NE,
    EXPR_LT,
    EXPR_LE,
    EXPR_GT,
    EXPR_GE,
    EXPR_TILDE,
    EXPR_OPEN,
    EXPR_CLOSE,
    EXPR_COMMA,
    EXPR_DOT,
};

struct expr_token {
    enum expr_token_kind kind;
    uint32_t at, len;
    uint64_t integer;
    double real;
    struct leat_sv text; /* TEXT and NAME without quotes, WORD as written */
};

struct expr_lexer {
    const struct expr_source *source;
    struct leat_arena *arena;
    uint32_t at;
};
LEAT_NODISCARD int leat__expr_lex(struct expr_lexer *lexer, struct expr_token *token);

/* ---- nodes ---- */

struct expr_value {
    enum leat_value_class value_class;
    uint8_t is_null;
    union {
        uint8_t boolean;
        int64_t integer;
        double real;
        struct leat_sv string;
    } as;
};

struct expr_frame;
struct expr_instr;
typedef int (*expr_kernel)(struct expr_frame *f, const struct expr_instr *in);

enum {
    EXPR_STRICT = 1, /* null where an argument is: the runner does it, before the kernel */
    EXPR_GUARDED = 2, /* may fail or is slow: needs to know its guard */
    EXPR_GIVES_NULL = 4, /* may be null though no argument is */
};

struct expr_op {
    expr_kernel run;
    uint32_t flags;
};

enum expr_kind {
    EXPR_LITERAL = 1,
    EXPR_PATH,
    EXPR_APPLY,
    EXPR_AND, /* any number of arguments, as OR and COALESCE */
    EXPR_OR,
    EXPR_CASE, /* when, then, when, then, ..., else */
    EXPR_COALESCE,
    /* What typing rewrites. */
    EXPR_NOT,
    EXPR_NEGATE,
    EXPR_BINARY, /* by token */
    EXPR_IS_NULL,
    EXPR_IN, /* what, item, item, ... */
    EXPR_LIKE, /* what, pattern, (escape) */
    EXPR_MATCHES, /* what, pattern */
    EXPR_NULLIF,
    EXPR_CAST,
    EXPR_CALL,
};

struct expr_step {
    struct leat_sv name;
    uint32_t at;
    bool is_quoted;
};

/* How a field gets into a register. */
struct expr_load {
    struct leat_place place;
    uint32_t side; /* 0, or 1 for the right record */
    bool may_miss; /* so may the whole record of that side */
    const struct leat_sv *symbols; /* of an enum that is read as strings */
};

struct expr_node {
    enum expr_kind kind;
    uint32_t at; /* where errors point */
    uint32_t depth;
    uint32_t args_count;
    struct expr_node **args;
    enum expr_token_kind token; /* BINARY */
    struct leat_sv name; /* CALL; CAST: the target */
    const struct expr_step *steps; /* PATH */
    uint32_t steps_count;

    bool is_typed;
    bool is_nullable;
    enum leat_value_class value_class;
    struct expr_value value; /* LITERAL */
    struct expr_load *load; /* PATH */
    struct expr_op op; /* APPLY; PATH: run is NULL when the rows serve as the column */
    const void *extra; /* APPLY: what the kernel needs besides its arguments */
    const char *failure; /* all arguments are known, and this is what is wrong with them */

    const void *made_by; /* the program that `slot` belongs to: nodes may be shared (between) */
    uint32_t slot;
};

EXPR_INLINE bool leat__expr_is_literal(const struct expr_node *node)
{
    return node->kind == EXPR_LITERAL;
}

/* ---- programs ---- */

enum expr_slot_kind { EXPR_SLOT_REGISTER = 1, EXPR_SLOT_CONSTANT, EXPR_SLOT_COLUMN };

struct expr_slot {
    enum expr_slot_kind kind;
    uint32_t width; /* bytes of a value: 1, 8 or 16 */
    bool is_nullable;
    uint32_t data; /* buffer, or EXPR_NONE */
    uint32_t nulls; /* buffer of bytes, or EXPR_NONE */
    uint32_t offset; /* COLUMN */
    struct expr_value value; /* CONSTANT */
    uint32_t last_use; /* instruction */
};

enum expr_when { EXPR_WHEN_NOT_FALSE = 1, EXPR_WHEN_NOT_TRUE, EXPR_WHEN_TRUE, EXPR_WHEN_NULL };

/* A row counts if the parent says so and the slot's value is as `when` says. Guard 0 is "always". */
struct expr_guard {
    uint32_t parent;
    uint32_t slot;
    enum expr_when when;
};

struct expr_instr {
    expr_kernel run;
    uint32_t flags;
    uint32_t dst;
    uint32_t args_count;
    const uint32_t *args;
    uint32_t guard;
    uint32_t at; /* of the text */
    const void *extra;
};

struct expr_program {
    const struct expr_instr *instrs;
    uint32_t instrs_count;
    struct expr_slot *slots;
    uint32_t slots_count;
    const struct expr_guard *guards;
    const uint8_t *buffers; /* width of each */
    uint32_t buffers_count;
    uint32_t root; /* a register of its own, in memory given for each run */
    uint32_t root_width;
    enum leat_value_class value_class;
    bool is_nullable;
};

struct leat_expr {
    struct leat_arena arena;
    const char *text;
    struct expr_program program;
    struct leat_place place;
    bool is_place;
    bool is_constant;
    const struct leat_type *type;
    uint32_t sides; /* 1 or 2 */
    uint32_t may_miss; /* bit per side */
    const void *absent; /* zeroes in place of a missing record; NULL where none can be missing */
    struct expr_regex *regexes; /* all of them, to be freed */
    uint32_t captures_max;
};

/* What the steps from text to program share. */
struct expr_compiler {
    struct expr_source source;
    struct leat_arena *arena;
    struct leat_expr *expr;
    const struct leat_type *types[2];
    const char *names[2];
    uint32_t sides;
    uint32_t may_miss; /* bit per side */
    uint32_t nodes_count;
};

LEAT_NODISCARD int leat__expr_parse(struct expr_compiler *c, struct expr_node **root);
bool leat__expr_is_reserved(const struct expr_token *token); /* a word that is no name */
/* A node with room for arguments; NULL after an error (too many, too deep, no memory). */
struct expr_node *leat__expr_node(
    struct expr_compiler *c, enum expr_kind kind, uint32_t at, uint32_t args_count);
LEAT_NODISCARD int leat__expr_node_close(struct expr_compiler *c, struct expr_node *node); /* sets depth */
LEAT_NODISCARD int leat__expr_parse_interval(
    const struct expr_source *source, const struct expr_token *token, int64_t *us);
LEAT_NODISCARD int leat__expr_parse_timestamp(
    const struct expr_source *source, const struct expr_token *token, int64_t *us);

/* expr_type.c */
LEAT_NODISCARD int leat__expr_type_node(struct expr_compiler *c, struct expr_node *node);
const char *leat__expr_class_name(enum leat_value_class value_class);
/* Makes *arg a value of the class where that loses nothing: null of any, integer to float. */
LEAT_NODISCARD int leat__expr_coerce(
    struct expr_compiler *c, struct expr_node **arg, enum leat_value_class value_class);
/* The class that all of the nodes become (with coerce): args[0], args[step], ... */
LEAT_NODISCARD int leat__expr_unify(struct expr_compiler *c, struct expr_node **args, uint32_t count,
    uint32_t step, const char *what, enum leat_value_class *value_class);
/* Makes the typed node an APPLY, and a literal if all it needs is known. */
LEAT_NODISCARD int leat__expr_apply(struct expr_compiler *c, struct expr_node *node, struct expr_op op,
    enum leat_value_class value_class, const void *extra);
void leat__expr_set_literal(struct expr_node *node, struct expr_value value);

/* expr_path.c: fields. resolve finds the place; load chooses class and kernel. */
LEAT_NODISCARD int leat__expr_path_resolve(struct expr_compiler *c, struct expr_node *node);
LEAT_NODISCARD int leat__expr_path_load(struct expr_compiler *c, struct expr_node *node);
LEAT_NODISCARD int leat__expr_path_load_decimal(struct expr_compiler *c, struct expr_node *node);
LEAT_NODISCARD int leat__expr_path_is_null(struct expr_compiler *c, struct expr_node *node);
/* A node of the enum's number, for a path that is an enum; NULL after an error. */
struct expr_node *leat__expr_path_code(struct expr_compiler *c, const struct expr_node *path);
bool leat__expr_path_is_enum(const struct expr_node *node);
int leat__expr_load_nulls(struct expr_frame *f, const struct expr_instr *in);

/* expr_call.c */
struct expr_function {
    const char *name;
    const char *usage; /* "substring(text, from[, length])" */
    const char *args; /* a letter each: s string, i integer, f float, n number, t timestamp, b boolean */
    uint32_t args_min;
    char result; /* a letter, or n: the class of the arguments */
    struct expr_op op; /* n: for integers */
    struct expr_op op_float; /* n: for floats */
    int (*type)(struct expr_compiler *c, struct expr_node *node); /* instead of all the above but the name */
};
LEAT_NODISCARD int leat__expr_type_call(struct expr_compiler *c, struct expr_node *node);
/* Tables end with a NULL name. */
extern const struct expr_function leat__expr_functions_math[];
extern const struct expr_function leat__expr_functions_string[];
extern const struct expr_function leat__expr_functions_time[];
/* Used by several files' own typing functions. */
LEAT_NODISCARD int leat__expr_want_args(struct expr_compiler *c, const struct expr_node *node,
    const char *usage, uint32_t args_min, uint32_t args_max);
LEAT_NODISCARD int leat__expr_want_arg(
    struct expr_compiler *c, struct expr_node *node, uint32_t i, char letter, const char *usage);

/* Kernels by operator: run is NULL where there is none. */
struct expr_op leat__expr_op_arithmetic(enum expr_token_kind token, enum leat_value_class value_class);
struct expr_op leat__expr_op_negate(enum leat_value_class value_class);
/* Division and remainder by a constant other than 0 and -1; NULL when out of memory. */
const void *leat__expr_divisor_new(struct leat_arena *arena, int64_t divisor);
struct expr_op leat__expr_op_divisor(enum expr_token_kind token);
struct expr_op leat__expr_op_compare(enum expr_token_kind token, enum leat_value_class value_class);
struct expr_op leat__expr_op_cast(enum leat_value_class from, enum leat_value_class to, bool to_int32);
extern const struct expr_op leat__expr_op_not, leat__expr_op_and, leat__expr_op_or;
extern const struct expr_op leat__expr_op_is_null;
extern const struct expr_op leat__expr_op_concat;
struct expr_op leat__expr_op_copy(uint32_t width);
struct expr_op leat__expr_op_select(uint32_t width); /* condition, then, else */
struct expr_op leat__expr_op_coalesce(uint32_t width);
struct expr_op leat__expr_op_nullif(uint32_t width); /* value, condition */
LEAT_NODISCARD int leat__expr_type_like(struct expr_compiler *c, struct expr_node *node);
LEAT_NODISCARD int leat__expr_type_matches(struct expr_compiler *c, struct expr_node *node);
int leat__expr_type_regex_extract(struct expr_compiler *c, struct expr_node *node);
LEAT_NODISCARD int leat__expr_type_set(struct expr_compiler *c, struct expr_node *node);
void leat__expr_regexes_free(struct expr_regex *regexes);

/* expr_compile.c */
LEAT_NODISCARD int leat__expr_generate(
    struct expr_compiler *c, struct expr_node *root, struct expr_program *program);
/* Makes a node without fields a literal. One that fails stays as it is: a guard may keep it from ever being
 * reached. */
LEAT_NODISCARD int leat__expr_fold(struct expr_compiler *c, struct expr_node *node);
uint32_t leat__expr_width(enum leat_value_class value_class);

/* ---- running ---- */

/* An operand of this run. */
struct expr_vec {
    unsigned char *data;
    size_t step; /* bytes from row to row, 0 for a constant */
    uint8_t *nulls; /* NULL: never null */
    size_t nulls_step; /* 1, or 0 for a constant */
};

struct expr_frame {
    const struct expr_program *program;
    struct leat_expr_scratch *scratch;
    struct expr_vec *slots;
    uint32_t count; /* rows of this chunk */
    uint32_t base; /* the chunk's first row in the batch */
    const unsigned char *rows; /* of the chunk; NULL when there are sides */
    size_t stride;
    const void *const *sides[2];
    const void *absent; /* a record of zeroes that stands for missing ones; or NULL */
    uint32_t may_miss;
    const char *text;
    uint32_t bad_row;
    struct leat_error *err;
};

LEAT_NODISCARD int leat__expr_run(const struct expr_program *program, struct leat_expr_scratch *scratch,
    struct expr_frame *f, uint32_t count, unsigned char *data, uint8_t *nulls);
LEAT_NODISCARD int leat__expr_scratch_of(
    const struct expr_program *program, uint32_t captures_max, struct leat_expr_scratch **scratch);

/* "row 3, column 8: " and the text; gives the code back. */
int leat__expr_row_fail(struct expr_frame *f, const struct expr_instr *in, uint32_t i, int code,
    const char *format, ...) LEAT_PRINTF(5, 6);
/* Bytes that live as long as the result; NULL: failed, and the error is set. */
char *leat__expr_alloc(struct expr_frame *f, const struct expr_instr *in, uint32_t i, size_t size);

/* For regular expressions: match memory of the scratch. */
struct expr_matcher;
struct expr_matcher *leat__expr_matcher(struct expr_frame *f);
LEAT_NODISCARD int leat__expr_matcher_new(uint32_t captures_max, struct expr_matcher **matcher);
void leat__expr_matcher_free(struct expr_matcher *matcher);

/* The value of an operand in row i. */
#define EXPR_AT(type_, vec_, i_) (*(const type_ *)(const void *)((vec_)->data + (size_t)(i_) * (vec_)->step))
#define EXPR_DST(f_, in_) (&(f_)->slots[(in_)->dst])
#define EXPR_ARG(f_, in_, k_) ((const struct expr_vec *)&(f_)->slots[(in_)->args[k_]])

EXPR_INLINE bool leat__expr_null_at(const struct expr_vec *vec, uint32_t i)
{
    return vec->nulls && vec->nulls[i * vec->nulls_step];
}

bool leat__expr_guard_holds(const struct expr_frame *f, uint32_t guard, uint32_t i);

/* Whether row i of the chunk counts: the result is not null there and the guard holds. */
EXPR_INLINE bool leat__expr_is_live(const struct expr_frame *f, const struct expr_instr *in, uint32_t i)
{
    const uint8_t *nulls = f->slots[in->dst].nulls;
    return !(nulls && nulls[i]) && (in->guard == 0 || leat__expr_guard_holds(f, in->guard, i));
}

/* The body runs for every row that counts; others get `zero_`. For slow kernels. */
#define EXPR_EACH_LIVE(f_, in_, i_, out_, zero_) \
    for (uint32_t i_ = 0; i_ < (f_)->count; i_++) \
        if (!leat__expr_is_live((f_), (in_), i_)) \
            (out_)[i_] = (zero_); \
        else
#endif
