/* base/env_sim.c -- a world for one thread: the clock stands still until it is moved, random numbers come
 * from a seed (splitmix64), files are the real ones. */
#include "base/alloc.h"
#include "base/assert.h"
#include "base/env.h"

struct sim {
    struct leat_env env;
    int64_t now_us; /* since the start */
    int64_t wall_us_start;
    uint64_t state;
};

static int64_t sim_mono_ns(struct leat_env *env)
{
    return ((struct sim *)env->impl)->now_us * 1000;
}

static int64_t sim_wall_us(struct leat_env *env)
{
    const struct sim *sim = env->impl;
    return sim->wall_us_start + sim->now_us;
}

static uint64_t sim_random(struct leat_env *env)
{
    struct sim *sim = env->impl;
    uint64_t z = sim->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

struct leat_env *leat__env_sim_new(uint64_t seed, int64_t wall_us)
{
    struct sim *sim = leat__calloc(1, sizeof *sim);
    if (!sim)
        return NULL;
    sim->env = *leat__env_posix();
    sim->env.impl = sim;
    sim->env.mono_ns = sim_mono_ns;
    sim->env.wall_us = sim_wall_us;
    sim->env.random = sim_random;
    sim->wall_us_start = wall_us;
    sim->state = seed;
    return &sim->env;
}

void leat__env_sim_free(struct leat_env *env)
{
    if (env)
        leat__free(env->impl);
}

void leat__env_sim_advance(struct leat_env *env, int64_t us)
{
    struct sim *sim = env->impl;
    LEAT_ASSERT(us >= 0); /* time never goes back in the simulation */
    sim->now_us += us;
}
