/* bench/nexmark/input.h -- where the three streams come from. */
#ifndef NEXMARK_INPUT_H
#define NEXMARK_INPUT_H
#include "bench/nexmark/generator.h"
#include "bench/nexmark/nexmark.h"

#define NEXMARK_SPLITS_MAX 8u

/* Records as Avro, in memory: one run, or one for each split; of n splits the k-th has each n-th record from the k-th on. */
struct nexmark_bytes {
    char *data;
    size_t len;
    size_t cuts[NEXMARK_SPLITS_MAX - 1];
};

struct nexmark_input {
    /* A directory of person, auction and bid, as .avro or .jsonl; or a URL (leat/url.h) in which {} stands for these names;
     * or NULL: */
    const char *dir;
    uint64_t events; /* the first so many of the generator, */
    const struct nexmark_bytes *avro; /* encoded already, by kind; or NULL: made as the job runs */
    int64_t disorder_us; /* how far behind a record may come */
    uint32_t splits; /* of what is generated or encoded; 0: one */
};

struct nexmark *nexmark_new(leat_topology *t, const struct nexmark_input *input);
void nexmark_free(struct nexmark *n);
/* Declares sources and sinks that keep what the generator makes. `dir`: a directory, where files end in `format`, "jsonl" or
 * "avro"; or a URL with {}. */
void nexmark_declare_files(leat_topology *t, const char *dir, const char *format, uint64_t events);
/* The generator's first events as Avro, for so many splits. False: out of memory. */
bool nexmark_encode(uint64_t events, uint32_t splits, struct nexmark_bytes avro[NEXMARK_BID + 1]);
#endif
