/* record/expr_time_private.h -- what expr_time.c and expr_cast.c share. */
#ifndef LEAT_RECORD_EXPR_TIME_PRIVATE_H
#define LEAT_RECORD_EXPR_TIME_PRIVATE_H
#include "record/expr_private.h"

/* RFC 3339, or a date alone (midnight UTC). */
bool leat__expr_read_timestamp(struct leat_sv text, int64_t *us);
/* Kernels that are also functions. */
int leat__expr_string_to_timestamp(struct expr_frame *f, const struct expr_instr *in);
int leat__expr_timestamp_to_string(struct expr_frame *f, const struct expr_instr *in);
#endif
