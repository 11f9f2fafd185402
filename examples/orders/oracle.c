/* examples/orders/oracle.c -- checks the whole output of the orders job against a naive program that shares
 * no code with Leat.
 *
 * It reads the input files with Apache Avro C into arrays, and applies the definitions one after the other,
 * on one thread:
 *   1. An order is too late if its time <= watermark - 1 minute, where the watermark before a row of a file
 * is the newest time of the rows above it, less 10 s, less 1 us. The same for stock counts.
 *   2. Every pending order meets every count of its product at most 5 minutes away; the pair's time is the
 * later of the two.
 *   3. Pairs are grouped by customer and the five minutes that their time is in: how many, and the sum of the
 * totals. Then it reads all part files of the output; of each customer and window the pane with the highest
 * index counts. Both must be equal.
 *
 * Usage: oracle --orders FILE --inventory FILE --output DIR [--top N] */
#include <avro.h>
#include <dirent.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MINUTE_US INT64_C(60000000)
#define OUT_OF_ORDERNESS_US INT64_C(10000000)
#define LATENESS_US MINUTE_US
#define WITHIN_US (5 * MINUTE_US)
#define WINDOW_US (5 * MINUTE_US)

struct order_row {
    char customer[32];
    int64_t product, total, time_us;
};
struct count_row {
    int64_t product, time_us;
};
struct result_row {
    char customer[32];
    int64_t window_us, orders, total, pane_index;
};
struct table {
    void *rows;
    size_t count, capacity, row_size;
};

static void die(const char *what, const char *detail)
{
    (void)fprintf(stderr, "oracle: %s: %s\n", what, detail);
    exit(1);
}

static void *add_row(struct table *table)
{
    if (table->count == table->capacity) {
        table->capacity = table->capacity ? table->capacity * 2 : 4096;
        table->rows = realloc(table->rows, table->capacity * table->row_size);
        if (!table->rows)
            die("memory", "not enough");
    }
    return (char *)table->rows + table->row_size * table->count++;
}

static int64_t get_long(avro_value_t *record, const char *field)
{
    avro_value_t value;
    int64_t number = 0;
    int32_t small = 0;
    if (avro_value_get_by_name(record, field, &value, NULL) != 0)
        die("no such field", field);
    if (avro_value_get_type(&value) == AVRO_INT32) {
        (void)avro_value_get_int(&value, &small);
        return small;
    }
    if (avro_value_get_long(&value, &number) != 0)
        die("not a number", field);
    return number;
}

static void get_text(avro_value_t *record, const char *field, char *text, size_t size)
{
    avro_value_t value;
    const char *from;
    size_t len;
    if (avro_value_get_by_name(record, field, &value, NULL) != 0 ||
        avro_value_get_string(&value, &from, &len) != 0)
        die("not a string", field);
    (void)snprintf(text, size, "%s", from);
}

static int get_enum(avro_value_t *record, const char *field)
{
    avro_value_t value;
    int number = 0;
    if (avro_value_get_by_name(record, field, &value, NULL) != 0 || avro_value_get_enum(&value, &number) != 0)
        die("not an enum", field);
    return number;
}

/* Calls `row` for every record of the file, in order. */
static void read_file(const char *path, void (*row)(avro_value_t *record, void *arg), void *arg)
{
    avro_file_reader_t reader;
    avro_value_t record;
    if (avro_file_reader(path, &reader) != 0)
        die(path, avro_strerror());
    avro_schema_t schema = avro_file_reader_get_writer_schema(reader);
    avro_value_iface_t *iface = avro_generic_class_from_schema(schema);
    (void)avro_generic_value_new(iface, &record);
    while (avro_file_reader_read_value(reader, &record) == 0) {
        row(&record, arg);
        (void)avro_value_reset(&record);
    }
    avro_value_decref(&record);
    avro_value_iface_decref(iface);
    avro_schema_decref(schema);
    (void)avro_file_reader_close(reader);
}

/* Rule 1. */
struct lateness {
    bool any;
    int64_t newest_us;
    uint64_t rows, late, too_late;
};

static bool is_too_late(struct lateness *lateness, int64_t time_us)
{
    const int64_t watermark_us = lateness->newest_us - OUT_OF_ORDERNESS_US - 1;
    const bool late = lateness->any && time_us <= watermark_us;
    const bool too_late = lateness->any && time_us <= watermark_us - LATENESS_US;
    if (!lateness->any || time_us > lateness->newest_us)
        lateness->newest_us = time_us;
    lateness->any = true;
    lateness->rows++;
    lateness->late += late;
    lateness->too_late += too_late;
    return too_late;
}

struct input {
    struct table table;
    struct lateness lateness;
};

static void on_order(avro_value_t *record, void *arg)
{
    struct input *input = arg;
    const int64_t time_us = get_long(record, "ordered_at") * 1000;
    const bool too_late = is_too_late(&input->lateness, time_us);
    if (get_enum(record, "status") != 0 || too_late) /* 0: PENDING */
        return;
    struct order_row *row = add_row(&input->table);
    get_text(record, "customer_id", row->customer, sizeof row->customer);
    row->product = get_long(record, "product_id");
    row->total = get_long(record, "total");
    row->time_us = time_us;
}

static void on_count(avro_value_t *record, void *arg)
{
    struct input *input = arg;
    const int64_t time_us = get_long(record, "updated_at") * 1000;
    if (is_too_late(&input->lateness, time_us))
        return;
    struct count_row *row = add_row(&input->table);
    row->product = get_long(record, "product_id");
    row->time_us = time_us;
}

static int by_product_and_time(const void *a, const void *b)
{
    const struct count_row *x = a, *y = b;
    if (x->product != y->product)
        return x->product < y->product ? -1 : 1;
    return x->time_us < y->time_us ? -1 : x->time_us > y->time_us;
}

static int by_customer_and_window(const void *a, const void *b)
{
    const struct result_row *x = a, *y = b;
    const int names = strcmp(x->customer, y->customer);
    if (names != 0)
        return names;
    if (x->window_us != y->window_us)
        return x->window_us < y->window_us ? -1 : 1;
    return x->pane_index < y->pane_index ? -1 : x->pane_index > y->pane_index;
}

static int by_total(const void *a, const void *b)
{
    const struct result_row *x = a, *y = b;
    if (x->orders != y->orders)
        return x->orders > y->orders ? -1 : 1;
    return by_customer_and_window(a, b);
}

/* Rules 2 and 3, pair by pair; then equal groups are added up. */
static void compute(const struct input *orders, struct input *counts, struct table *results)
{
    struct count_row *stock = counts->table.rows;
    qsort(stock, counts->table.count, sizeof *stock, by_product_and_time);
    for (size_t i = 0; i < orders->table.count; i++) {
        const struct order_row *order = (const struct order_row *)orders->table.rows + i;
        size_t low = 0, high = counts->table.count;
        const struct count_row first = { order->product, order->time_us - WITHIN_US };
        while (low < high) {
            const size_t middle = low + (high - low) / 2;
            if (by_product_and_time(&stock[middle], &first) < 0)
                low = middle + 1;
            else
                high = middle;
        }
        for (; low < counts->table.count && stock[low].product == order->product &&
             stock[low].time_us <= order->time_us + WITHIN_US;
             low++) {
            const int64_t time_us = stock[low].time_us > order->time_us ? stock[low].time_us : order->time_us;
            struct result_row *row = add_row(results);
            memset(row, 0, sizeof *row);
            memcpy(row->customer, order->customer, sizeof row->customer);
            row->window_us = time_us - time_us % WINDOW_US - (time_us % WINDOW_US < 0 ? WINDOW_US : 0);
            row->orders = 1;
            row->total = order->total;
        }
    }
    struct result_row *rows = results->rows;
    size_t kept = 0;
    if (results->count > 0)
        qsort(rows, results->count, sizeof *rows, by_customer_and_window);
    for (size_t i = 0; i < results->count; i++) {
        if (kept > 0 && strcmp(rows[kept - 1].customer, rows[i].customer) == 0 &&
            rows[kept - 1].window_us == rows[i].window_us) {
            rows[kept - 1].orders += rows[i].orders;
            rows[kept - 1].total += rows[i].total;
        } else {
            rows[kept++] = rows[i];
        }
    }
    results->count = kept;
}

struct output {
    struct table table;
    uint64_t panes, late_panes;
};

static void on_result(avro_value_t *record, void *arg)
{
    struct output *output = arg;
    struct result_row *row = add_row(&output->table);
    memset(row, 0, sizeof *row);
    get_text(record, "customer_id", row->customer, sizeof row->customer);
    row->window_us = get_long(record, "window_start") * 1000;
    row->orders = get_long(record, "order_count");
    row->total = get_long(record, "total_value");
    row->pane_index = get_long(record, "pane_index");
    output->panes++;
    output->late_panes += get_enum(record, "pane") == 2; /* LATE */
    if (get_long(record, "window_end") * 1000 != row->window_us + WINDOW_US)
        die("window_end is not window_start + 5 minutes", row->customer);
}

static void read_output(const char *dir, struct output *output)
{
    DIR *handle = opendir(dir);
    struct dirent *entry;
    char path[4096];
    if (!handle)
        die("cannot open the output directory", dir);
    while ((entry = readdir(handle)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
        read_file(path, on_result, output);
    }
    (void)closedir(handle);
    struct result_row *rows = output->table.rows;
    size_t kept = 0;
    if (output->table.count > 0)
        qsort(rows, output->table.count, sizeof *rows, by_customer_and_window);
    for (size_t i = 0; i < output->table.count; i++) {
        const bool same = i + 1 < output->table.count &&
            strcmp(rows[i].customer, rows[i + 1].customer) == 0 && rows[i].window_us == rows[i + 1].window_us;
        if (same && rows[i].pane_index == rows[i + 1].pane_index)
            die("two panes of one customer and window have the same index", rows[i].customer);
        if (!same)
            rows[kept++] = rows[i]; /* the last pane of its window */
    }
    output->table.count = kept;
}

/* How many rows differ; shows the first few. */
static size_t compare(const struct table *expected, const struct table *got)
{
    const struct result_row *e = expected->rows, *g = got->rows;
    size_t i = 0, k = 0, different = 0;
    while (i < expected->count || k < got->count) {
        int order = i == expected->count ? 1 : k == got->count ? -1 : strcmp(e[i].customer, g[k].customer);
        if (order == 0)
            order = e[i].window_us < g[k].window_us ? -1 : e[i].window_us > g[k].window_us;
        const bool equal = order == 0 && e[i].orders == g[k].orders && e[i].total == g[k].total;
        if (!equal && different++ < 10) {
            const struct result_row *row = order <= 0 ? &e[i] : &g[k];
            printf("  %s window %" PRId64 ":", row->customer, row->window_us);
            if (order <= 0)
                printf(" expected %" PRId64 " orders, %" PRId64, e[i].orders, e[i].total);
            if (order >= 0)
                printf(" got %" PRId64 " orders, %" PRId64, g[k].orders, g[k].total);
            printf("\n");
        }
        i += order <= 0;
        k += order >= 0;
    }
    return different;
}

static void print_top(struct table *results, size_t top)
{
    struct result_row *rows = results->rows;
    if (top > results->count)
        top = results->count;
    if (top == 0)
        return;
    qsort(rows, results->count, sizeof *rows, by_total);
    printf("\n  %-16s %-20s %8s %14s\n", "customer", "window (UTC)", "orders", "value");
    for (size_t i = 0; i < top; i++) {
        const time_t second = (time_t)(rows[i].window_us / 1000000);
        struct tm utc;
        char text[32];
        (void)gmtime_r(&second, &utc);
        (void)strftime(text, sizeof text, "%Y-%m-%d %H:%M", &utc);
        printf("  %-16s %-20s %8" PRId64 " %11" PRId64 ".%02d\n", rows[i].customer, text, rows[i].orders,
            rows[i].total / 100, (int)(rows[i].total % 100));
    }
    printf("\n");
}

int main(int argc, char **argv)
{
    const char *orders_path = NULL, *inventory_path = NULL, *output_path = NULL;
    size_t top = 0;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--orders") == 0)
            orders_path = argv[i + 1];
        else if (strcmp(argv[i], "--inventory") == 0)
            inventory_path = argv[i + 1];
        else if (strcmp(argv[i], "--output") == 0)
            output_path = argv[i + 1];
        else if (strcmp(argv[i], "--top") == 0)
            top = strtoul(argv[i + 1], NULL, 10);
    }
    if (!orders_path || !inventory_path || !output_path) {
        (void)fprintf(stderr, "Usage: %s --orders FILE --inventory FILE --output DIR [--top N]\n", argv[0]);
        return 2;
    }
    struct input orders = { .table = { .row_size = sizeof(struct order_row) } };
    struct input counts = { .table = { .row_size = sizeof(struct count_row) } };
    struct table expected = { .row_size = sizeof(struct result_row) };
    struct output output = { .table = { .row_size = sizeof(struct result_row) } };
    read_file(orders_path, on_order, &orders);
    read_file(inventory_path, on_count, &counts);
    compute(&orders, &counts, &expected);
    read_output(output_path, &output);
    const size_t different = compare(&expected, &output.table);
    print_top(&output.table, top);
    printf("oracle: %" PRIu64 " orders (%" PRIu64 " late, %" PRIu64 " of them too late), %" PRIu64
           " stock counts\n",
        orders.lateness.rows, orders.lateness.late, orders.lateness.too_late, counts.lateness.rows);
    printf("oracle: %" PRIu64 " panes in the output, %" PRIu64 " of them late\n", output.panes,
        output.late_panes);
    printf("oracle: %zu rows expected, %zu rows found, %zu different: %s\n", expected.count,
        output.table.count, different, different ? "NOT EQUAL" : "equal");
    const bool empty = expected.count == 0;
    if (empty)
        printf("oracle: nothing was expected: the input holds no pending order with a count in range\n");
    free(orders.table.rows);
    free(counts.table.rows);
    free(expected.rows);
    free(output.table.rows);
    return different ? 1 : 0;
}
