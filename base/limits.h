/* base/limits.h -- every bound of the engine has its name here. */
#ifndef LEAT_BASE_LIMITS_H
#define LEAT_BASE_LIMITS_H

#define LEAT_BATCH_ROWS_DEFAULT 1024u
#define LEAT_BATCH_ROWS_MAX 65536u
#define LEAT_BATCH_BYTES_MAX (256u * 1024u) /* of rows; a batch holds at least one row */
#define LEAT_BUFFER_BYTES_DEFAULT (64u * 1024u) /* of a batch's own arena buffers */
#define LEAT_BUFFER_SLACK_BYTES 16u /* readable behind every buffer's end */
#define LEAT_WORKERS_MAX 256u
#define LEAT_MAX_PARALLELISM_DEFAULT 128u
#define LEAT_MAX_PARALLELISM_MAX 32768u
#define LEAT_NODES_MAX 1024u
#define LEAT_NODE_INPUTS_MAX 16u
#define LEAT_NODE_OUTPUTS_MAX 16u
#define LEAT_SPLITS_MAX 65536u /* of a source */
#define LEAT_NAME_BYTES_MAX 63u
#define LEAT_CHANNEL_MESSAGES_DEFAULT 16u /* batches between two workers on one edge */
#define LEAT_CHANNEL_MESSAGES_MAX 65536u
#define LEAT_SCHEMA_BYTES_MAX (1024u * 1024u)
#define LEAT_SCHEMA_DEPTH_MAX 64u
#define LEAT_SCHEMA_NODES_MAX 65536u
#define LEAT_RECORD_BYTES_MAX (16u * 1024u * 1024u) /* in memory, views included, of one decoded record */
#define LEAT_SKIP_DEPTH_MAX 1024u /* of recursive data that a decoder skips */
#define LEAT_EMPTY_ITEMS_MAX \
    4096u /* of an array's items that take no bytes: a count alone must not cost much */
#define LEAT_PROGRAM_OPS_MAX (1u << 20) /* instructions of a decoder, encoder or copier */
#define LEAT_ROW_BYTES_MAX (64u * 1024u) /* sizeof a record's struct */
#define LEAT_BLOCK_BYTES_MAX (64u * 1024u * 1024u) /* of an Avro container block, packed or unpacked */
#define LEAT_LINE_BYTES_MAX (16u * 1024u * 1024u) /* of a JSON or CSV line */
#define LEAT_EXPR_BYTES_MAX (64u * 1024u)
#define LEAT_EXPR_DEPTH_MAX 128u
#define LEAT_EXPR_NODES_MAX 4096u
#define LEAT_EXPR_SCRATCH_BYTES_MAX \
    (256u * 1024u * 1024u) /* of strings made while one batch is evaluated \
                            */
#define LEAT_REGEX_STEPS_MAX 1000000u /* of one match */
#define LEAT_KEY_FIELDS_MAX 16u
#define LEAT_AGGREGATES_MAX 32u
#endif
