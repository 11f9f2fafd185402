package nexmark;

import java.nio.charset.StandardCharsets;
import org.apache.flink.api.common.accumulators.LongCounter;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.streaming.api.functions.sink.RichSinkFunction;

/**
 * Counts rows, and with `check` adds up the check value of their text (fields joined by |). What takes a row back
 * subtracts.
 */
public final class CheckSink<T extends Queries.Row> extends RichSinkFunction<T> {
    private static final long serialVersionUID = 1;
    private final boolean check;
    private transient LongCounter rows, sum, given;

    public CheckSink(boolean check) {
        this.check = check;
    }

    @Override
    public void open(Configuration parameters) {
        rows = new LongCounter();
        sum = new LongCounter();
        given = new LongCounter();
        getRuntimeContext().addAccumulator("rows", rows);
        getRuntimeContext().addAccumulator("sum", sum);
        getRuntimeContext().addAccumulator("given", given);
    }

    @Override
    public void invoke(T row, Context context) {
        given.add(1L);
        rows.add(row.back() ? -1L : 1L);
        if (check) {
            long hash = fnv1a(row.text());
            sum.add(row.back() ? -hash : hash);
        }
    }

    private static long fnv1a(String text) {
        long hash = 0xcbf29ce484222325L;
        for (byte b : text.getBytes(StandardCharsets.UTF_8))
            hash = (hash ^ (b & 0xff)) * 0x100000001b3L;
        return hash;
    }
}
