/* tests/kafka/broker/api_config.c -- DescribeConfigs, AlterConfigs: what is kept of a topic's settings, and no broker's. */
#include "tests/kafka/broker/broker.h"
#include <stdio.h>

enum {
    RESOURCE_TOPIC = 2,
    SOURCE_TOPIC = 1,
    SOURCE_DEFAULT = 5,
    TYPE_STRING = 2,
    TYPE_INT = 3,
    TYPE_LIST = 7
};

struct setting {
    const char *name;
    char value[16];
    bool is_default;
    int8_t type;
};

enum { SETTINGS = 3 };

static void settings_of(const struct kb_topic *t, struct setting *s)
{
    s[0] = (struct setting){ .name = "cleanup.policy", .is_default = !t->compact, .type = TYPE_LIST };
    (void)snprintf(s[0].value, sizeof s[0].value, "%s", t->compact ? "compact" : "delete");
    s[1] = (struct setting){
        .name = "max.message.bytes", .is_default = t->max_message_bytes == KB_MESSAGE_BYTES, .type = TYPE_INT
    };
    (void)snprintf(s[1].value, sizeof s[1].value, "%d", (int)t->max_message_bytes);
    s[2] = (struct setting){
        .name = "message.timestamp.type", .is_default = !t->append_time, .type = TYPE_STRING
    };
    (void)snprintf(s[2].value, sizeof s[2].value, "%s", t->append_time ? "LogAppendTime" : "CreateTime");
}

/* Whether one of the names is the setting's; `names` is at the first. */
static bool is_asked(struct kb_in names, int32_t count, const char *name)
{
    bool found = count < 0; /* null: all */
    for (int32_t i = 0; i < count; i++)
        found = kb_same(kb_text(&names), name) || found;
    return found;
}

static void put_setting(struct kb_request *r, const struct setting *s)
{
    kb_put_str(r->out, s->name);
    kb_put_str(r->out, s->value);
    kb_put_i8(r->out, 0); /* may be changed */
    kb_put_i8(r->out, r->version == 0 ? s->is_default : s->is_default ? SOURCE_DEFAULT : SOURCE_TOPIC);
    kb_put_i8(r->out, 0); /* no secret */
    if (r->version >= 1)
        kb_put_count(r->out, 0);
    if (r->version >= 3) {
        kb_put_i8(r->out, s->type);
        kb_put_str(r->out, NULL);
    }
    kb_put_tags(r->out);
}

static void put_head(struct kb_request *r, int16_t code, int8_t type, struct kb_text name)
{
    kb_put_i16(r->out, code);
    kb_put_str(r->out, NULL);
    kb_put_i8(r->out, type);
    kb_put_text(r->out, name.data, name.len);
}

static struct kb_topic *find_resource(struct kb_request *r, int8_t type, struct kb_text name, int16_t *code)
{
    struct kb_topic *t = type == RESOURCE_TOPIC ? kb_topic_find(r->broker, name) : NULL;
    *code = r->inject;
    if (!t && !*code)
        *code = type == RESOURCE_TOPIC ? KB_UNKNOWN_TOPIC : KB_INVALID_REQUEST;
    return *code ? NULL : t;
}

static void describe_one(struct kb_request *r)
{
    struct kb_in *in = &r->in;
    struct setting settings[SETTINGS];
    int32_t found = 0;
    int16_t code;
    const int8_t type = kb_i8(in);
    const struct kb_text name = kb_text(in);
    const int32_t count = kb_count(in);
    const struct kb_in names = *in;
    for (int32_t i = 0; i < count && !in->bad; i++)
        (void)kb_text(in);
    kb_tags(in);
    if (in->bad)
        return;
    const struct kb_topic *t = find_resource(r, type, name, &code);
    put_head(r, code, type, name);
    if (t)
        settings_of(t, settings);
    for (int32_t i = 0; t && i < SETTINGS; i++)
        found += is_asked(names, count, settings[i].name);
    kb_put_count(r->out, found);
    for (int32_t i = 0; t && i < SETTINGS; i++)
        if (is_asked(names, count, settings[i].name))
            put_setting(r, &settings[i]);
    kb_put_tags(r->out);
}

void kb_describe_configs(struct kb_request *r)
{
    struct kb_in *in = &r->in;
    kb_put_i32(r->out, 0);
    const int32_t count = kb_count(in);
    kb_put_count(r->out, count);
    for (int32_t i = 0; i < count && !in->bad; i++)
        describe_one(r);
    if (r->version >= 1)
        (void)kb_i8(in); /* synonyms: there are none */
    if (r->version >= 3)
        (void)kb_i8(in); /* documentation: as little */
    kb_tags(in);
    kb_put_tags(r->out);
}

/* What is not given is its default again. */
static int16_t alter(struct kb_topic *t, struct kb_in configs, int32_t count)
{
    struct kb_topic changed = *t;
    int16_t code = 0;
    changed.compact = changed.append_time = false;
    changed.max_message_bytes = KB_MESSAGE_BYTES;
    for (int32_t i = 0; i < count && !code; i++) {
        const struct kb_text name = kb_text(&configs), value = kb_text(&configs);
        kb_tags(&configs);
        code = kb_topic_configure(&changed, name, value);
    }
    if (!code)
        *t = changed;
    return code;
}

void kb_alter_configs(struct kb_request *r)
{
    struct kb_in *in = &r->in;
    kb_put_i32(r->out, 0);
    const int32_t count = kb_count(in);
    kb_put_count(r->out, count);
    for (int32_t i = 0; i < count && !in->bad; i++) {
        int16_t code;
        const int8_t type = kb_i8(in);
        const struct kb_text name = kb_text(in);
        const int32_t configs_count = kb_count(in);
        const struct kb_in configs = *in;
        for (int32_t k = 0; k < configs_count && !in->bad; k++) {
            (void)kb_text(in);
            (void)kb_text(in);
            kb_tags(in);
        }
        kb_tags(in);
        if (in->bad)
            return;
        struct kb_topic *t = find_resource(r, type, name, &code);
        put_head(r, t ? alter(t, configs, configs_count) : code, type, name);
        kb_put_tags(r->out);
    }
    (void)kb_i8(in); /* only to be looked at: nobody here asks so */
    kb_tags(in);
    kb_put_tags(r->out);
}
