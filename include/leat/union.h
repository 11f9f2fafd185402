/* include/leat/union.h -- several streams of one type as one; in no order between them. */
#ifndef LEAT_UNION_H
#define LEAT_UNION_H
#include <leat/stream.h>

LEAT_BEGIN_DECLS
/* 2 to 16 streams whose types are equal. The watermark is the minimum of the inputs'. A stream may be given
 * twice. */
LEAT_API leat_stream *leat_union(leat_stream *const *streams, size_t count, const char *name);
LEAT_END_DECLS
#endif
