/* connectors/kafka/secret.c -- see the header. */
#include "connectors/kafka/secret.h"
#include "base/alloc.h"
#include "connectors/kafka/properties.h"
#include <stdio.h>

#define PIECE_MIN 6u /* so much of a secret is one */

/* ---- references ---- */

static bool is_of_kind(struct leat_sv value, const char *kind, struct leat_sv *of)
{
    const size_t len = strlen(kind);
    if (value.len < len + 3 || memcmp(value.data, "${", 2) != 0 || memcmp(value.data + 2, kind, len) != 0 ||
        value.data[value.len - 1] != '}')
        return false;
    *of = (struct leat_sv){ value.data + 2 + len, value.len - len - 3 };
    return true;
}

bool leat__kafka_is_reference(struct leat_sv value)
{
    struct leat_sv of;
    return is_of_kind(value, "file:", &of) || is_of_kind(value, "env:", &of);
}

int leat__kafka_read_file(
    struct leat_env *env, const char *path, struct leat_strbuf *out, struct leat_error *err)
{
    leat_fd fd;
    LEAT_TRY(env->fs_open(env, path, LEAT_OPEN_READ, &fd, err));
    int64_t n = 0;
    if (!leat__strbuf_reserve(out, LEAT_KAFKA_FILE_BYTES_MAX))
        n = leat__error(err, LEAT_ENOMEM, "out of memory for %s", path);
    else
        n = env->fs_pread(env, fd, out->data + out->len, LEAT_KAFKA_FILE_BYTES_MAX, 0, err);
    env->fs_close(env, fd);
    if (n < 0)
        return (int)n;
    if (n == LEAT_KAFKA_FILE_BYTES_MAX)
        return leat__error(
            err, LEAT_ELIMIT, "%s has more than %d bytes", path, LEAT_KAFKA_FILE_BYTES_MAX - 1);
    out->len += (size_t)n;
    out->data[out->len] = '\0';
    return 0;
}

int leat__kafka_check_closed(struct leat_env *env, const char *path, struct leat_error *err)
{
    struct leat_file_info info;
    LEAT_TRY(env->fs_stat(env, path, &info, err));
    if (info.others_write)
        return leat__error(err, LEAT_EACCESS,
            "%s has a secret, and every user may write it: take that right away (chmod 600 %s)", path, path);
    if (info.others_read && info.is_ours)
        return leat__error(err, LEAT_EACCESS,
            "%s has a secret, and every user may read it: take that right away (chmod 600 %s)", path, path);
    return 0;
}

static int from_file(struct leat_env *env, struct leat_sv name, bool is_secret, struct leat_strbuf *out,
    struct leat_error *err)
{
    struct leat_strbuf path = { 0 };
    leat__strbuf_add(&path, name.data, name.len);
    int code = path.failed ? leat__error(err, LEAT_ENOMEM, "out of memory for a path") : 0;
    if (code == 0 && is_secret)
        code = leat__kafka_check_closed(env, path.data, err);
    if (code == 0)
        code = leat__kafka_read_file(env, path.data, out, err);
    if (code == 0) {
        out->len = strcspn(out->data, "\r\n");
        out->data[out->len] = '\0';
        if (out->len == 0)
            code = leat__error(err, LEAT_EDECLARE, "the first line of %s is empty", path.data);
    }
    leat__strbuf_release(&path);
    return code;
}

int leat__kafka_resolve(struct leat_env *env, struct leat_sv value, bool is_secret, struct leat_strbuf *out,
    struct leat_error *err)
{
    struct leat_sv of;
    if (is_of_kind(value, "file:", &of)) {
        LEAT_TRY(from_file(env, of, is_secret, out, err));
    } else if (is_of_kind(value, "env:", &of)) {
        char name[128];
        if (of.len >= sizeof name)
            return leat__error(
                err, LEAT_EINVAL, "the name of a variable is too long: %.*s", (int)of.len, of.data);
        memcpy(name, of.data, of.len);
        name[of.len] = '\0';
        const char *text = leat__env_variable(name);
        if (!text)
            return leat__error(err, LEAT_ENOTFOUND, "the variable %s of the environment is not set", name);
        leat__strbuf_str(out, text);
    } else {
        leat__strbuf_add(out, value.data, value.len);
    }
    return out->failed ? leat__error(err, LEAT_ENOMEM, "out of memory for a property") : 0;
}

static void wipe(void *data, size_t size)
{
    volatile char *p = data; /* what is written through it is written */
    for (size_t i = 0; i < size; i++)
        p[i] = 0;
}

void leat__kafka_wipe(struct leat_strbuf *text)
{
    if (text->data)
        wipe(text->data, text->capacity);
    leat__strbuf_release(text);
}

/* ---- texts ---- */

/* How much of the secret stands at `text`, wherever in the secret it begins. */
static size_t common(const char *text, const char *secret, size_t len)
{
    size_t longest = 0;
    for (size_t from = 0; from < len; from++) {
        size_t n = 0;
        while (from + n < len && text[n] && text[n] == secret[from + n])
            n++;
        longest = n > longest ? n : longest;
    }
    return longest;
}

static void redact_one(char *text, const char *secret, size_t len)
{
    const size_t least = len < PIECE_MIN ? len : PIECE_MIN;
    for (char *at = text; *at && len > 0; at++) {
        const size_t n = common(at, secret, len);
        if (n < least || n < 3) /* three stars take the place; what is shorter is in every text */
            continue;
        memcpy(at, "***", 3);
        memmove(at + 3, at + n, strlen(at + n) + 1);
        at += 2;
    }
}

void leat__kafka_redact(const rd_kafka_conf_t *conf, char *text)
{
    const char *name;
    for (uint32_t i = 0; (name = leat__kafka_secret_name(i)) != NULL; i++) {
        size_t size = 0;
        if (rd_kafka_conf_get(conf, name, NULL, &size) != RD_KAFKA_CONF_OK || size <= 1)
            continue;
        char *value = leat__malloc(size);
        if (!value) {
            text[0] = '\0'; /* rather nothing than a secret */
            return;
        }
        if (rd_kafka_conf_get(conf, name, value, &size) == RD_KAFKA_CONF_OK)
            redact_one(text, value, strlen(value));
        wipe(value, size);
        leat__free(value);
    }
}
