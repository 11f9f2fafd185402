/* connectors/file/content_hash.c -- the hash of what was written to a file (XXH3, 64 bits), as it is written
 * and when it is read again. It tells a file that a commit has made visible before from one that others put
 * there. */
#include "connectors/file/sink_private.h"
#include "base/alloc.h"
#define XXH_INLINE_ALL
#include <xxhash.h>

#define READ_BYTES (256u * 1024u)

struct leat_content_hash {
    XXH3_state_t state;
};

struct leat_content_hash *leat__content_hash_new(void)
{
    struct leat_content_hash *hash = leat__aligned_alloc(64, sizeof *hash);
    if (hash)
        leat__content_hash_clear(hash);
    return hash;
}

void leat__content_hash_free(struct leat_content_hash *hash)
{
    leat__free(hash);
}

void leat__content_hash_clear(struct leat_content_hash *hash)
{
    (void)XXH3_64bits_reset(&hash->state);
}

void leat__content_hash_add(struct leat_content_hash *hash, const void *data, size_t size)
{
    (void)XXH3_64bits_update(&hash->state, data, size);
}

uint64_t leat__content_hash_value(const struct leat_content_hash *hash)
{
    return XXH3_64bits_digest(&hash->state);
}

static int read_file(struct leat_env *env, const char *path, char *buffer, struct leat_content_hash *hash,
    uint64_t *size, struct leat_error *err)
{
    leat_fd fd;
    int64_t got;
    *size = 0;
    LEAT_TRY(env->fs_open(env, path, LEAT_OPEN_READ, &fd, err));
    while ((got = env->fs_pread(env, fd, buffer, READ_BYTES, *size, err)) > 0) {
        leat__content_hash_add(hash, buffer, (size_t)got);
        *size += (uint64_t)got;
    }
    env->fs_close(env, fd);
    return got < 0 ? leat__error_prefix(err, "%s", path) : 0;
}

int leat__content_hash_of_file(
    struct leat_env *env, const char *path, uint64_t *size, uint64_t *value, struct leat_error *err)
{
    struct leat_content_hash *hash = leat__content_hash_new();
    char *buffer = leat__malloc(READ_BYTES);
    int code = hash && buffer ? 0 : leat__error(err, LEAT_ENOMEM, "%s: out of memory for reading it", path);
    if (code == 0)
        code = read_file(env, path, buffer, hash, size, err);
    if (code == 0)
        *value = leat__content_hash_value(hash);
    leat__free(buffer);
    leat__content_hash_free(hash);
    return code;
}
