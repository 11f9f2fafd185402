/* tests/unit/record/test_expr.c -- expressions: what each operator and function gives, on a row with all
 * values and on one with nulls. Errors are in test_expr_errors.c, random expressions in test_expr_random.c,
 * all else in test_expr_use.c. */
#include "tests/support/expr_case.h"
#include "tests/support/sample_order.h"
#include "tests/support/unit.h"
#include <string.h>

/* `nulls` is the value in the row of nulls; NULL: the same. */
struct row {
    const char *expr, *values, *nulls;
};

static void check_rows(const struct row *rows, size_t count)
{
    char got[512];
    for (size_t i = 0; i < count; i++) {
        for (uint32_t k = 0; k < SAMPLE_ORDERS; k++) {
            const char *want = k == 0 || !rows[i].nulls ? rows[i].values : rows[i].nulls;
            expr_case_eval(rows[i].expr, 37, k, got, sizeof got);
            FAIL_UNLESS(
                strcmp(got, want) == 0, "%s (row %u)\n  got  %s\n  want %s", rows[i].expr, k, got, want);
        }
    }
}
#define CHECK_ROWS(rows_) check_rows(rows_, COUNT_OF(rows_))

/* ---- literals and fields ---- */

static const struct row literals[] = {
    { "42", "42", NULL },
    { "-9223372036854775808", "-9223372036854775808", NULL },
    { "9223372036854775807", "9223372036854775807", NULL },
    { "- -5", "5", NULL },
    { "+5", "5", NULL },
    { "0.5", "0.5", NULL },
    { "1e3", "1000.0", NULL },
    { "-1.25E-2", "-0.0125", NULL },
    { "'it''s'", "'it''s'", NULL },
    { "''", "''", NULL },
    { "true", "true", NULL },
    { "FALSE", "false", NULL },
    { "null", "null", NULL },
    { "timestamp '2026-01-31T12:00:00Z'", "2026-01-31T12:00:00Z", NULL },
    { "TIMESTAMP '2026-01-31T12:00:00.5+02:00'", "2026-01-31T10:00:00.500Z", NULL },
    { "timestamp '2026-01-31'", "2026-01-31T00:00:00Z", NULL },
    { "interval '5 minutes'", "300000000", NULL },
    { "interval '1 hour 30 minutes'", "5400000000", NULL },
    { "interval '-2 days'", "-172800000000", NULL },
    { "interval '1 week 2 seconds 3 milliseconds 4 microseconds'", "604802003004", NULL },
};

static const struct row fields[] = {
    { "order_id", "1001", "-7" },
    { "customer", "'Ada Lovelace'",
        "'Gr\xc3\xa4"
        "fin \xe2\x82\xac'" },
    { "status", "'PENDING'", "'SHIPPED'" },
    { "quantity", "3", "0" },
    { "total", "1250.5", "-0.5" },
    { "weight", "2.5", "0.0" },
    { "discount", "0.25", "null" },
    { "note", "'urgent: call first'", "null" },
    { "paid", "true", "false" },
    { "gift", "true", "null" },
    { "created", "2026-01-31T12:34:56.789Z", "1969-12-31T23:59:59.999Z" },
    { "shipped", "2026-02-01T00:00:00.000001Z", "null" },
    { "seen", "2026-01-31T12:34:56.789123Z", "1969-12-31T23:59:59.999999Z" },
    { "opened", "2026-01-31T12:34:56Z", "1970-01-01T00:00:00Z" },
    { "due", "2026-02-14T00:00:00Z", "1969-12-31T00:00:00Z" },
    { "clock", "45296789", "0" },
    { "address.street", "'12 St. James''s Square'", "null" },
    { "address.zip", "'SW1Y 4JH'", "null" },
    { "address.floor", "2", "null" },
    { "\"address\" . \"floor\"", "2", "null" },
    { "code", "'AB12'", NULL },
    { "stock", "40", "null" },
    { "previous", "'PAID'", "null" },
    { "cast(amount as double)", "12.34", "-0.01" },
};

static void test_expr__given_literals_and_fields__when_evaluated__then_they_give_their_values(void **state)
{
    (void)state;
    struct row rows[COUNT_OF(fields)];
    CHECK_ROWS(literals);
    memcpy(rows, fields, sizeof rows);
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (strcmp(rows[i].expr, "code") == 0)
            rows[i].nulls = NULL; /* four NUL bytes have no text: see below */
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (strcmp(rows[i].expr, "code") != 0)
            check_rows(&rows[i], 1);
    static const struct row code[] = {
        { "code = 'AB12'", "true", "false" },
        { "byte_length(code)", "4", NULL },
        { "lower(code) || ''", "'ab12'", NULL },
    };
    check_rows(code, 2);
}

/* ---- operators ---- */

static const struct row arithmetic[] = {
    { "1 + 2 * 3", "7", NULL },
    { "(1 + 2) * 3", "9", NULL },
    { "7 / 2", "3", NULL },
    { "-7 / 2", "-3", NULL },
    { "7 % 3", "1", NULL },
    { "-7 % 3", "-1", NULL },
    { "7 / 2.0", "3.5", NULL },
    { "7.5 % 2", "1.5", NULL },
    { "1.0 / 0", "Infinity", NULL },
    { "-9223372036854775808 % -1", "0", NULL },
    { "10 - 2 - 3", "5", NULL },
    { "-2 * -3", "6", NULL },
    { "- order_id", "-1001", "7" },
    { "order_id + 1", "1002", "-6" },
    { "order_id - quantity", "998", "-7" },
    { "order_id * 2", "2002", "-14" },
    { "order_id / 10", "100", "0" },
    { "order_id % 10", "1", "-7" },
    { "order_id / -10", "-100", "0" },
    { "order_id % -10", "1", "-7" },
    { "order_id / -1", "-1001", "7" },
    { "order_id % -1", "0", NULL },
    { "order_id / 1", "1001", "-7" },
    { "order_id / 1024", "0", NULL },
    { "order_id % 7", "0", NULL },
    { "1001 / order_id", "1", "-143" },
    { "2003 % order_id", "1", "1" },
    { "100 - order_id", "-901", "107" },
    { "total * 2", "2501.0", "-1.0" },
    { "total + quantity", "1253.5", "-0.5" },
    { "total / 0.5", "2501.0", "-1.0" },
    { "1 / total", "0.0007996801279488205", "-2.0" },
    { "-total", "-1250.5", "0.5" },
    { "stock + 1", "41", "null" },
    { "1 - stock", "-39", "null" },
    { "stock * discount", "10.0", "null" },
    { "stock / 7", "5", "null" },
    { "stock % 7", "5", "null" },
    { "-stock", "-40", "null" },
    { "order_id + null", "null", NULL },
    { "null + null", "null", NULL },
    { "-null", "null", NULL },
    { "created + interval '1 day'", "2026-02-01T12:34:56.789Z", "1970-01-01T23:59:59.999Z" },
    { "interval '1 hour' + due", "2026-02-14T01:00:00Z", "1969-12-31T01:00:00Z" },
    { "created - interval '56 seconds 789 milliseconds'", "2026-01-31T12:34:00Z",
        "1969-12-31T23:59:03.210Z" },
    { "shipped - created", "41103211001", "null" },
    { "created + null", "null", NULL },
    { "created - null", "null", NULL },
};

static const struct row comparisons[] = {
    { "order_id = 1001", "true", "false" },
    { "order_id == 1001", "true", "false" },
    { "1001 = order_id", "true", "false" },
    { "order_id != 1001", "false", "true" },
    { "order_id <> 1001", "false", "true" },
    { "order_id < 1001", "false", "true" },
    { "order_id <= 1001", "true", "true" },
    { "order_id > 0", "true", "false" },
    { "order_id >= 1001", "true", "false" },
    { "0 < order_id", "true", "false" },
    { "0 >= order_id", "false", "true" },
    { "order_id > quantity", "true", "false" },
    { "quantity = 3", "true", "false" },
    { "quantity < stock", "true", "null" },
    { "stock >= 40", "true", "null" },
    { "stock = null", "null", NULL },
    { "null <> 1", "null", NULL },
    { "total > 1000", "true", "false" },
    { "total = 1250.5", "true", "false" },
    { "total >= order_id", "true", "true" },
    { "order_id > 1000.5", "true", "false" },
    { "weight = 2.5", "true", "false" },
    { "discount < 1", "true", "null" },
    { "0.0 / 0.0 = 0.0 / 0.0", "false", NULL },
    { "0.0 / 0.0 != 0.0 / 0.0", "true", NULL },
    { "customer = 'Ada Lovelace'", "true", "false" },
    { "customer < 'B'", "true", "false" },
    { "customer >= 'Ada'", "true", "true" },
    { "note = 'urgent: call first'", "true", "null" },
    { "note > customer", "true", "null" },
    { "customer != note", "true", "null" },
    { "'a' < 'ab'", "true", NULL },
    { "status = 'PENDING'", "true", "false" },
    { "'PENDING' = status", "true", "false" },
    { "status != 'PAID'", "true", "true" },
    { "previous = 'PAID'", "true", "null" },
    { "status = previous", "false", "null" },
    { "status < 'PF'", "true", "false" },
    { "status = customer", "false", "false" },
    { "paid = true", "true", "false" },
    { "paid != gift", "false", "null" },
    { "created > timestamp '2026-01-01'", "true", "false" },
    { "due = timestamp '2026-02-14T00:00:00Z'", "true", "false" },
    { "shipped <= created", "false", "null" },
    { "quantity between 1 and 3", "true", "false" },
    { "quantity not between 1 and 3", "false", "true" },
    { "stock between 1 and null", "null", NULL },
    { "stock between 41 and null", "false", "null" },
    { "total between -1 and 1300", "true", "true" },
    { "address.zip between 'S' and 'T'", "true", "null" },
};

static const struct row lists[] = {
    { "quantity in (1, 2, 3)", "true", "false" },
    { "quantity not in (1, 2, 3)", "false", "true" },
    { "quantity in (5)", "false", "false" },
    { "quantity in (3, null)", "true", "null" },
    { "quantity not in (3, null)", "false", "null" },
    { "stock in (40, 41)", "true", "null" },
    { "stock in (1, 2, null)", "null", NULL },
    { "quantity in (10, 11, 12, 13, 14, 15, 16, 17, 18, 3)", "true", "false" },
    { "quantity in (10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 10, 0)", "false", "true" },
    { "total in (1250.5, 2)", "true", "false" },
    { "total in (1, 2, 3, 4, 5, 6, 7, 8, 9, -0.5)", "false", "true" },
    { "weight * -1 in (0.0, 7)", "false", "true" },
    { "quantity in (3.0, 4)", "true", "false" },
    { "customer in ('Ada Lovelace', 'Bob')", "true", "false" },
    { "note in ('x', 'urgent: call first')", "true", "null" },
    { "note in ('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'urgent: call first', 'i')", "true", "null" },
    { "customer in ('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', '', 'a')", "false", "false" },
    { "status in ('PENDING', 'PAID')", "true", "false" },
    { "status not in ('PENDING', 'PAID')", "false", "true" },
    { "previous in ('PAID', null)", "true", "null" },
    { "status in ('PENDING', customer)", "true", "false" },
    { "order_id in (quantity, stock, 1001)", "true", "null" },
    { "paid in (true)", "true", "false" },
    { "created in (timestamp '2026-01-31T12:34:56.789Z')", "true", "false" },
    { "null in (1, 2)", "null", NULL },
    { "1 in (1, 2)", "true", NULL },
    { "1 in (null)", "null", NULL },
};

static const struct row patterns[] = {
    { "customer like 'Ada%'", "true", "false" },
    { "customer like '%lace'", "true", "false" },
    { "customer like '%Love%'", "true", "false" },
    { "customer like 'Ada Lovelace'", "true", "false" },
    { "customer like 'ada%'", "false", NULL },
    { "customer like '%'", "true", NULL },
    { "customer like ''", "false", NULL },
    { "'' like ''", "true", NULL },
    { "'' like '%'", "true", NULL },
    { "'' like '_'", "false", NULL },
    { "customer like '%a%a%'", "true", "false" },
    { "customer like 'A%e%e'", "true", "false" },
    { "customer like 'Gr_fin _'", "false", "true" },
    { "customer like 'Gr_fin __'", "false", "false" },
    { "customer like '%_Lovelace'", "true", "false" },
    { "customer like '__a%'", "true", "false" },
    { "customer like '_%_%_%'", "true", "true" },
    { "customer not like 'Ada%'", "false", "true" },
    { "note like 'urgent%'", "true", "null" },
    { "note like null", "null", NULL },
    { "'50%' like '50!%' escape '!'", "true", NULL },
    { "'50x' like '50!%' escape '!'", "false", NULL },
    { "'a_b' like 'a\\_b' escape '\\'", "true", NULL },
    { "'a_b%' like '%!_%!%' escape '!'", "true", NULL },
    { "'a!b' like 'a!!_' escape '!'", "true", NULL },
    { "'aXb' like 'a!_b' escape '!'", "false", NULL },
    { "'abab' like 'ab'", "false", NULL },
    { "'aba' like 'ab%ba'", "false", NULL },
    { "'aaab' like '%aab'", "true", NULL },
    { "'mississippi' like '%iss%ip%'", "true", NULL },
    { "'mississippi' like '%issi_p_'", "true", NULL },
    { "status like 'P%'", "true", "false" },
    { "customer like customer", "true", "true" },
    { "note like '%' || substring(customer, 1, 0) || 'call%'", "true", "null" },
    { "customer ~ '^Ada'", "true", "false" },
    { "customer matches 'L[a-z]+e$'", "true", "false" },
    { "customer not matches 'L[a-z]+e$'", "false", "true" },
    { "customer ~ 'Gr.fin .$'", "false", "true" },
    { "customer ~ '\\d'", "false", NULL },
    { "note ~ 'call'", "true", "null" },
    { "note ~ null", "null", NULL },
    { "customer ~ '(?i)ada'", "true", "false" },
    { "customer ~ 'A' || 'da'", "true", "false" },
    { "'it''s' ~ '''s$'", "true", NULL },
};

static const struct row logic[] = {
    { "true and true", "true", NULL },
    { "true and false", "false", NULL },
    { "true and null", "null", NULL },
    { "false and null", "false", NULL },
    { "null and null", "null", NULL },
    { "null and true", "null", NULL },
    { "true or null", "true", NULL },
    { "false or null", "null", NULL },
    { "null or true", "true", NULL },
    { "null or null", "null", NULL },
    { "false or false", "false", NULL },
    { "not true", "false", NULL },
    { "not null", "null", NULL },
    { "gift and true", "true", "null" },
    { "gift and false", "false", NULL },
    { "gift or true", "true", NULL },
    { "gift or false", "true", "null" },
    { "true and gift", "true", "null" },
    { "gift and gift", "true", "null" },
    { "gift or gift", "true", "null" },
    { "not gift", "false", "null" },
    { "paid and gift", "true", "false" },
    { "gift and paid", "true", "false" },
    { "paid or gift", "true", "null" },
    { "gift or paid", "true", "null" },
    { "gift or not paid", "true", "true" },
    { "paid and gift and stock > 1", "true", "false" },
    { "not paid and not gift", "false", "null" },
    { "paid or quantity = 0 and total < 0", "true", "true" },
    { "(paid or quantity = 0) and total < 0", "false", "true" },
    { "not paid or total > 0", "true", "true" },
    { "not (paid or total < 0)", "false", "false" },
    { "NOT paid = false", "true", "false" },
    { "note is null", "false", "true" },
    { "note IS NOT NULL", "true", "false" },
    { "customer is null", "false", NULL },
    { "customer is not null", "true", NULL },
    { "address is null", "false", "true" },
    { "address.zip is null", "false", "true" },
    { "tags is null", "false", NULL },
    { "stock + 1 is null", "false", "true" },
    { "null is null", "true", NULL },
    { "1 is null", "false", NULL },
    { "(gift or null) is null", "false", "true" },
};

static const struct row conditionals[] = {
    { "case when quantity > 2 then 'many' when quantity > 0 then 'few' else 'none' end", "'many'", "'none'" },
    { "case when quantity > 2 then 'many' end", "'many'", "null" },
    { "case when stock > 2 then 1 else 2 end", "1", "2" },
    { "case quantity when 3 then 'three' when 0 then 'zero' end", "'three'", "'zero'" },
    { "case stock when null then 1 when 40 then 2 else 3 end", "2", "3" },
    { "case status when 'PENDING' then 1 when 'SHIPPED' then 2 end", "1", "2" },
    { "case when paid then quantity else total end", "3.0", "-0.5" },
    { "case when paid then note else null end", "'urgent: call first'", "null" },
    { "case when paid then created end", "2026-01-31T12:34:56.789Z", "null" },
    { "case when true then 1 else 2 end", "1", NULL },
    { "case when null then 1 end", "null", NULL },
    { "case when paid then case when gift then 1 else 2 end else 3 end", "1", "3" },
    { "coalesce(stock, quantity)", "40", "0" },
    { "coalesce(stock, null, -1)", "40", "-1" },
    { "coalesce(note, address.zip, customer)", "'urgent: call first'",
        "'Gr\xc3\xa4"
        "fin \xe2\x82\xac'" },
    { "coalesce(stock, discount)", "40.0", "null" },
    { "coalesce(gift, false)", "true", "false" },
    { "coalesce(null, null)", "null", NULL },
    { "coalesce(null, 5)", "5", NULL },
    { "coalesce(status, 'x')", "'PENDING'", "'SHIPPED'" },
    { "nullif(quantity, 0)", "3", "null" },
    { "nullif(quantity, 3)", "null", "0" },
    { "nullif(stock, 41)", "40", "null" },
    { "nullif(status, 'PENDING')", "null", "'SHIPPED'" },
    { "nullif(quantity, null)", "3", "0" },
    { "nullif(total, -0.5)", "1250.5", "null" },
    { "nullif(5, 5)", "null", NULL },
    { "if(paid, 'yes', 'no')", "'yes'", "'no'" },
    { "if(gift, 1, 2.5)", "1.0", "2.5" },
    { "if(stock > 0, stock, null)", "40", "null" },
};

static const struct row casts[] = {
    { "cast(2.9 as int)", "2", NULL },
    { "cast(-2.9 as long)", "-2", NULL },
    { "cast(total as long)", "1250", "0" },
    { "cast('42' as int)", "42", NULL },
    { "cast('-42' as long)", "-42", NULL },
    { "cast(paid as int)", "1", "0" },
    { "cast(quantity as double)", "3.0", "0.0" },
    { "cast('1.5e2' as double)", "150.0", NULL },
    { "cast(quantity as string)", "'3'", "'0'" },
    { "cast(total as string)", "'1250.5'", "'-0.5'" },
    { "cast(paid as string)", "'true'", "'false'" },
    { "cast(status as string)", "'PENDING'", "'SHIPPED'" },
    { "cast(created as string)", "'2026-01-31T12:34:56.789Z'", "'1969-12-31T23:59:59.999Z'" },
    { "cast(stock as string)", "'40'", "null" },
    { "cast(1.0 / 0 as string)", "'Infinity'", NULL },
    { "cast(-1.0 / 0 as string)", "'-Infinity'", NULL },
    { "cast(0.0 / 0 as string)", "'NaN'", NULL },
    { "cast('TRUE' as boolean)", "true", NULL },
    { "cast('false' as boolean)", "false", NULL },
    { "cast(quantity as boolean)", "true", "false" },
    { "cast('2026-01-31T12:00:00Z' as timestamp)", "2026-01-31T12:00:00Z", NULL },
    { "cast(created as timestamp)", "2026-01-31T12:34:56.789Z", "1969-12-31T23:59:59.999Z" },
    { "cast(null as string)", "null", NULL },
    { "cast(quantity as int)", "3", "0" },
    { "cast(amount as double) * 100", "1234.0", "-1.0" },
    { "CAST(quantity AS Double)", "3.0", "0.0" },
};

static const struct row strings[] = {
    { "length('abc')", "3", NULL },
    { "length(customer)", "12", "8" },
    { "byte_length(customer)", "12", "11" },
    { "length('')", "0", NULL },
    { "length(note)", "18", "null" },
    { "lower(customer)", "'ada lovelace'",
        "'gr\xc3\xa4"
        "fin \xe2\x82\xac'" },
    { "upper(customer)", "'ADA LOVELACE'",
        "'GR\xc3\xa4"
        "FIN \xe2\x82\xac'" },
    { "upper(note)", "'URGENT: CALL FIRST'", "null" },
    { "upper(status)", "'PENDING'", "'SHIPPED'" },
    { "trim('  a b  ')", "'a b'", NULL },
    { "ltrim('  a b  ')", "'a b  '", NULL },
    { "rtrim('  a b  ')", "'  a b'", NULL },
    { "trim('   ')", "''", NULL },
    { "substring(customer, 1, 3)", "'Ada'", "'Gr\xc3\xa4'" },
    { "substring(customer, 5)", "'Lovelace'", "'in \xe2\x82\xac'" },
    { "substring('hello', 0, 3)", "'he'", NULL },
    { "substring('hello', -1)", "'hello'", NULL },
    { "substring('hello', 2, 0)", "''", NULL },
    { "substring('hello', 2, -5)", "''", NULL },
    { "substring('hello', 6)", "''", NULL },
    { "substring('hello', 2, 9223372036854775807)", "'ello'", NULL },
    { "substring('hello', -9223372036854775808)", "'hello'", NULL },
    { "substring(note, 1, quantity)", "'urg'", "null" },
    { "position('hello', 'l')", "3", NULL },
    { "position('hello', 'x')", "0", NULL },
    { "position('hello', '')", "1", NULL },
    { "position(customer, '\xe2\x82\xac')", "0", "8" },
    { "replace('banana', 'an', 'o')", "'booa'", NULL },
    { "replace('banana', '', 'o')", "'banana'", NULL },
    { "replace('banana', 'x', 'o')", "'banana'", NULL },
    { "replace('aaa', 'a', '')", "''", NULL },
    { "replace(note, 'urgent', 'late')", "'late: call first'", "null" },
    { "starts_with(customer, 'Ada')", "true", "false" },
    { "starts_with('a', 'ab')", "false", NULL },
    { "ends_with(customer, 'lace')", "true", "false" },
    { "ends_with('a', '')", "true", NULL },
    { "contains(customer, 'Love')", "true", "false" },
    { "contains(note, 'call')", "true", "null" },
    { "split_part('a,b,c', ',', 2)", "'b'", NULL },
    { "split_part('a,b,c', ',', 3)", "'c'", NULL },
    { "split_part('a,b,c', ',', 4)", "''", NULL },
    { "split_part('a,b,c', ',', 0)", "''", NULL },
    { "split_part('a,b,c', '', 1)", "'a,b,c'", NULL },
    { "split_part('a,,c', ',', 2)", "''", NULL },
    { "split_part(note, ' ', 2)", "'call'", "null" },
    { "concat('a', 'b', 'c')", "'abc'", NULL },
    { "concat(customer)", "'Ada Lovelace'",
        "'Gr\xc3\xa4"
        "fin \xe2\x82\xac'" },
    { "'a' || 'b' || 'c'", "'abc'", NULL },
    { "'x' || note || 'y'", "'xurgent: call firsty'", "null" },
    { "status || '!'", "'PENDING!'", "'SHIPPED!'" },
    { "'a' || null", "null", NULL },
    { "upper('a' || lower('B')) || cast(quantity as string)", "'AB3'", "'AB0'" },
    { "regex_extract(customer, '(\\w+) (\\w+)', 2)", "'Lovelace'", "null" },
    { "regex_extract(customer, '^[A-Z]', 0)", "'A'", "'G'" },
    { "regex_extract('ab', 'a(x)?b', 1)", "null", NULL },
    { "regex_extract('ab', 'a(x*)b', 1)", "''", NULL },
    { "regex_extract(note, '[a-z]+', 0)", "'urgent'", "null" },
    { "regex_extract(null, 'a', 0)", "null", NULL },
};

static const struct row numbers[] = {
    { "abs(-3)", "3", NULL },
    { "abs(-2.5)", "2.5", NULL },
    { "abs(order_id)", "1001", "7" },
    { "abs(total)", "1250.5", "0.5" },
    { "abs(stock)", "40", "null" },
    { "sign(order_id)", "1", "-1" },
    { "sign(total)", "1.0", "-1.0" },
    { "sign(0)", "0", NULL },
    { "round(2.5)", "3.0", NULL },
    { "round(-2.5)", "-3.0", NULL },
    { "round(2.4)", "2.0", NULL },
    { "round(7)", "7", NULL },
    { "round(2.345, 1)", "2.3", NULL },
    { "round(1250.5, -2)", "1300.0", NULL },
    { "round(1.0, 400)", "1.0", NULL },
    { "round(1.0, -400)", "0.0", NULL },
    { "round(total, 0)", "1251.0", "-1.0" },
    { "round(quantity, 1)", "3.0", "0.0" },
    { "floor(-0.5)", "-1.0", NULL },
    { "floor(total)", "1250.0", "-1.0" },
    { "floor(quantity)", "3", "0" },
    { "ceil(0.2)", "1.0", NULL },
    { "ceil(total)", "1251.0", "-0.0" },
    { "sqrt(16)", "4.0", NULL },
    { "sqrt(-1)", "NaN", NULL },
    { "power(2, 10)", "1024.0", NULL },
    { "mod(7, 3)", "1", NULL },
    { "mod(order_id, 10)", "1", "-7" },
    { "mod(7.5, 2)", "1.5", NULL },
    { "ln(1)", "0.0", NULL },
    { "ln(0)", "-Infinity", NULL },
    { "exp(0)", "1.0", NULL },
    { "least(3, 1, 2)", "1", NULL },
    { "greatest(3, 1, 2)", "3", NULL },
    { "least(quantity, total)", "3.0", "-0.5" },
    { "greatest(stock, quantity)", "40", "null" },
    { "greatest(customer, 'B', 'C')", "'C'",
        "'Gr\xc3\xa4"
        "fin \xe2\x82\xac'" },
    { "least(note, customer)", "'Ada Lovelace'", "null" },
    { "greatest(created, due)", "2026-02-14T00:00:00Z", "1969-12-31T23:59:59.999Z" },
    { "least(0.0 / 0, 5)", "5.0", NULL },
    { "greatest(0.0 / 0, 5)", "NaN", NULL },
    { "least(null, null)", "null", NULL },
    { "greatest(1, null)", "null", NULL },
};

static const struct row times[] = {
    { "year(created)", "2026", "1969" },
    { "month(created)", "1", "12" },
    { "day(created)", "31", "31" },
    { "hour(created)", "12", "23" },
    { "minute(created)", "34", "59" },
    { "second(created)", "56", "59" },
    { "day_of_week(created)", "6", "3" },
    { "day_of_week(timestamp '2026-02-01')", "7", NULL },
    { "day_of_week(timestamp '2026-02-02')", "1", NULL },
    { "day_of_year(created)", "31", "365" },
    { "day_of_year(timestamp '2024-12-31')", "366", NULL },
    { "day_of_year(timestamp '2024-03-01')", "61", NULL },
    { "year(timestamp '0001-01-01')", "1", NULL },
    { "day(timestamp '2000-02-29')", "29", NULL },
    { "month(timestamp '1900-03-01')", "3", NULL },
    { "year(shipped)", "2026", "null" },
    { "date_trunc('hour', created)", "2026-01-31T12:00:00Z", "1969-12-31T23:00:00Z" },
    { "date_trunc('minute', created)", "2026-01-31T12:34:00Z", "1969-12-31T23:59:00Z" },
    { "date_trunc('second', created)", "2026-01-31T12:34:56Z", "1969-12-31T23:59:59Z" },
    { "date_trunc('millisecond', seen)", "2026-01-31T12:34:56.789Z", "1969-12-31T23:59:59.999Z" },
    { "date_trunc('microsecond', seen)", "2026-01-31T12:34:56.789123Z", "1969-12-31T23:59:59.999999Z" },
    { "date_trunc('day', created)", "2026-01-31T00:00:00Z", "1969-12-31T00:00:00Z" },
    { "date_trunc('week', created)", "2026-01-26T00:00:00Z", "1969-12-29T00:00:00Z" },
    { "date_trunc('week', timestamp '2026-01-26')", "2026-01-26T00:00:00Z", NULL },
    { "date_trunc('month', created)", "2026-01-01T00:00:00Z", "1969-12-01T00:00:00Z" },
    { "date_trunc('quarter', timestamp '2026-06-30')", "2026-04-01T00:00:00Z", NULL },
    { "date_trunc('QUARTER', timestamp '2026-12-31')", "2026-10-01T00:00:00Z", NULL },
    { "date_trunc('year', created)", "2026-01-01T00:00:00Z", "1969-01-01T00:00:00Z" },
    { "to_timestamp('2026-01-31T12:00:00Z')", "2026-01-31T12:00:00Z", NULL },
    { "format_timestamp(created)", "'2026-01-31T12:34:56.789Z'", "'1969-12-31T23:59:59.999Z'" },
    { "epoch_millis(created)", "1769862896789", "-1" },
    { "epoch_millis(seen)", "1769862896789", "-1" },
    { "epoch_micros(created)", "1769862896789000", "-1000" },
    { "timestamp_millis(1769862896789)", "2026-01-31T12:34:56.789Z", NULL },
    { "timestamp_micros(order_id)", "1970-01-01T00:00:00.001001Z", "1969-12-31T23:59:59.999993Z" },
    { "timestamp_millis(stock)", "1970-01-01T00:00:00.040Z", "null" },
    { "add_seconds(created, 4)", "2026-01-31T12:35:00.789Z", "1970-01-01T00:00:03.999Z" },
    { "diff_seconds(shipped, created)", "41103", "null" },
    { "diff_seconds(created, shipped)", "-41103", "null" },
    { "shipped - created > interval '11 hours'", "true", "null" },
};

/* Errors in rows that do not matter do not count. */
static const struct row guarded[] = {
    { "quantity != 0 and 6 / quantity = 2", "true", "false" },
    { "quantity = 0 or 6 / quantity = 2", "true", "true" },
    { "quantity != 0 and paid and 6 % quantity = 0", "true", "false" },
    { "quantity != 0 and (gift is null or 6 / quantity > 1)", "true", "false" },
    { "case when quantity = 0 then -1 else 6 / quantity end", "2", "-1" },
    { "case when quantity != 0 then 6 / quantity end", "2", "null" },
    { "case quantity when 0 then 0 when 3 then 6 / quantity else 1 / 0 + quantity end",
        "error: column 61: division by the constant 0", NULL },
    { "if(quantity = 0, 0, 6 / quantity)", "2", "0" },
    { "coalesce(nullif(stock, 40), 6 / nullif(quantity, 0))", "2", "null" },
    { "coalesce(stock, 1 / quantity)",
        "error: row 1, column 19: division by zero; guard it: b != 0 and ..., or "
        "divide by nullif(b, 0)",
        NULL },
    { "6 / nullif(quantity, 0)", "2", "null" },
    { "paid and cast(customer as long) = 1 or not paid",
        "error: row 0, column 27: 'Ada Lovelace' is not a long", NULL },
    { "not paid and cast(customer as long) = 1",
        "error: row 1, column 31: 'Gr\xc3\xa4"
        "fin \xe2\x82\xac' is not a long",
        NULL },
    { "status = 'PAID' and cast(customer as long) = 1", "false", "false" },
    { "paid and previous = 'PAID' or previous is null", "true", "true" },
    { "case when paid then 9223372036854775807 + quantity - quantity end",
        "error: row 0, column 41: 9223372036854775807 + 3 is beyond 64 bits; cast(... as double) of one side "
        "gives a "
        "float",
        NULL },
    { "paid or 9223372036854775807 + 1 = 0",
        "error: row 1, column 29: 9223372036854775807 + 1 is beyond 64 bits; cast(... as double) of one side "
        "gives a "
        "float",
        NULL },
    { "stock > 0 and 100 / (stock - 40 + quantity) > 1", "true", "null" },
    { "order_id > 0 and upper(customer) = 'ADA LOVELACE'", "true", "false" },
    { "order_id < 0 or upper(note) like 'URGENT%'", "true", "true" },
};

#define TABLE_TEST(table_, sentence_) \
    static void test_expr__given_rows_and_nulls__when_evaluated__then_##sentence_(void **state) \
    { \
        (void)state; \
        CHECK_ROWS(table_); \
    }

TABLE_TEST(arithmetic, arithmetic_is_checked_and_null_is_contagious)
TABLE_TEST(comparisons, comparisons_are_three_valued)
TABLE_TEST(lists, in_is_equality_with_any)
TABLE_TEST(patterns, like_and_regular_expressions_match)
TABLE_TEST(logic, truth_tables_are_those_of_sql)
TABLE_TEST(conditionals, conditionals_choose)
TABLE_TEST(casts, casts_convert)
TABLE_TEST(strings, functions_of_strings_work_by_character)
TABLE_TEST(numbers, functions_of_numbers_work)
TABLE_TEST(times, functions_of_timestamps_are_utc)
TABLE_TEST(guarded, errors_in_rows_that_do_not_matter_do_not_count)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expr__given_literals_and_fields__when_evaluated__then_they_give_their_values),
        cmocka_unit_test(
            test_expr__given_rows_and_nulls__when_evaluated__then_arithmetic_is_checked_and_null_is_contagious),
        cmocka_unit_test(test_expr__given_rows_and_nulls__when_evaluated__then_comparisons_are_three_valued),
        cmocka_unit_test(test_expr__given_rows_and_nulls__when_evaluated__then_in_is_equality_with_any),
        cmocka_unit_test(
            test_expr__given_rows_and_nulls__when_evaluated__then_like_and_regular_expressions_match),
        cmocka_unit_test(test_expr__given_rows_and_nulls__when_evaluated__then_truth_tables_are_those_of_sql),
        cmocka_unit_test(test_expr__given_rows_and_nulls__when_evaluated__then_conditionals_choose),
        cmocka_unit_test(test_expr__given_rows_and_nulls__when_evaluated__then_casts_convert),
        cmocka_unit_test(
            test_expr__given_rows_and_nulls__when_evaluated__then_functions_of_strings_work_by_character),
        cmocka_unit_test(test_expr__given_rows_and_nulls__when_evaluated__then_functions_of_numbers_work),
        cmocka_unit_test(
            test_expr__given_rows_and_nulls__when_evaluated__then_functions_of_timestamps_are_utc),
        cmocka_unit_test(
            test_expr__given_rows_and_nulls__when_evaluated__then_errors_in_rows_that_do_not_matter_do_not_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
