/* connectors/kafka/partition.c -- see the header. */
#include "connectors/kafka/partition.h"

int32_t leat__kafka_murmur2(const void *data, size_t len)
{
    const uint32_t m = 0x5bd1e995u;
    const unsigned char *p = data;
    uint32_t h = 0x9747b28cu ^ (uint32_t)len;
    for (; len >= 4; len -= 4, p += 4) {
        uint32_t k = p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
        k *= m;
        k ^= k >> 24;
        k *= m;
        h *= m;
        h ^= k;
    }
    if (len > 0) {
        for (size_t i = len; i-- > 0;)
            h ^= (uint32_t)p[i] << 8 * i;
        h *= m;
    }
    h ^= h >> 13;
    h *= m;
    h ^= h >> 15;
    return (int32_t)h;
}

uint32_t leat__kafka_partition_of_key(struct leat_sv key, uint32_t partitions)
{
    return ((uint32_t)leat__kafka_murmur2(key.data, key.len) & 0x7fffffffu) % partitions;
}

uint32_t leat__kafka_spread(struct leat_kafka_spread *spread, size_t bytes, uint32_t partitions)
{
    if (spread->bytes >= LEAT_KAFKA_RUN_BYTES) {
        spread->next++;
        spread->bytes = 0;
    }
    spread->bytes += bytes;
    return spread->next % partitions;
}
