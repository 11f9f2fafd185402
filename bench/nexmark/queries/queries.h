/* bench/nexmark/queries/queries.h -- the queries, one file each; queries.c lists them. */
#ifndef NEXMARK_QUERIES_H
#define NEXMARK_QUERIES_H
#include "bench/nexmark/nexmark.h"

leat_stream *nexmark_q0(struct nexmark *n);
leat_stream *nexmark_q1(struct nexmark *n);
leat_stream *nexmark_q2(struct nexmark *n);
leat_stream *nexmark_q3(struct nexmark *n);
leat_stream *nexmark_q4(struct nexmark *n);
leat_stream *nexmark_q5(struct nexmark *n);
leat_stream *nexmark_q6(struct nexmark *n);
leat_stream *nexmark_q7(struct nexmark *n);
leat_stream *nexmark_q8(struct nexmark *n);
leat_stream *nexmark_q9(struct nexmark *n);
leat_stream *nexmark_q10(struct nexmark *n);
leat_stream *nexmark_q11(struct nexmark *n);
leat_stream *nexmark_q12(struct nexmark *n);
leat_stream *nexmark_q13(struct nexmark *n);
leat_stream *nexmark_q14(struct nexmark *n);
leat_stream *nexmark_q15(struct nexmark *n);
leat_stream *nexmark_q16(struct nexmark *n);
leat_stream *nexmark_q17(struct nexmark *n);
leat_stream *nexmark_q18(struct nexmark *n);
leat_stream *nexmark_q19(struct nexmark *n);
leat_stream *nexmark_q20(struct nexmark *n);
leat_stream *nexmark_q21(struct nexmark *n);
leat_stream *nexmark_q22(struct nexmark *n);
#endif
