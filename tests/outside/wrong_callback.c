/* tests/outside/wrong_callback.c -- must not compile for users of the CMake package: a function for one
 * record type where a function for another is asked. */
#include <leat/leat.h>

struct order {
    int64_t total;
};
struct payment {
    int64_t amount;
};

static void on_payment(const struct payment *p)
{
    (void)p;
}

int main(void)
{
    void (*on_order)(const struct order *) = on_payment;
    on_order(NULL);
    return 0;
}
