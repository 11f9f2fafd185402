package nexmark;

import java.time.Duration;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.AggregateFunction;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.ListState;
import org.apache.flink.api.common.state.ListStateDescriptor;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.functions.KeySelector;
import org.apache.flink.connector.file.src.FileSource;
import org.apache.flink.core.fs.Path;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.streaming.api.functions.co.KeyedCoProcessFunction;
import org.apache.flink.streaming.api.functions.windowing.ProcessWindowFunction;
import org.apache.flink.streaming.api.windowing.assigners.EventTimeSessionWindows;
import org.apache.flink.streaming.api.windowing.assigners.SlidingEventTimeWindows;
import org.apache.flink.streaming.api.windowing.assigners.TumblingEventTimeWindows;
import org.apache.flink.streaming.api.windowing.windows.TimeWindow;
import org.apache.flink.util.Collector;

/** The queries, as one would write them with the DataStream API: POJO results, object reuse, built-in windows. */
public final class Queries {
    /** A result: its text for checks, and whether it takes one back. */
    public interface Row {
        String text();

        default boolean back() {
            return false;
        }
    }

    private final StreamExecutionEnvironment env;
    private final String input;
    private final Duration disorder;

    public Queries(StreamExecutionEnvironment env, String input, Duration disorder) {
        this.env = env;
        this.input = input;
        this.disorder = disorder;
    }

    private <T extends org.apache.avro.specific.SpecificRecordBase> DataStream<T> read(
            Class<T> type, String name, org.apache.flink.api.common.eventtime.SerializableTimestampAssigner<T> time) {
        FileSource<T> source = FileSource
                .forRecordStreamFormat(new AvroFormat<>(type), new Path(input + "/" + name + ".avro")).build();
        WatermarkStrategy<T> watermarks =
                WatermarkStrategy.<T>forBoundedOutOfOrderness(disorder).withTimestampAssigner(time);
        return env.fromSource(source, watermarks, name).setParallelism(1);
    }

    private DataStream<Person> persons() {
        return read(Person.class, "person", (p, t) -> p.getDateTime());
    }

    private DataStream<Auction> auctions() {
        return read(Auction.class, "auction", (a, t) -> a.getDateTime());
    }

    private DataStream<Bid> bids() {
        return read(Bid.class, "bid", (b, t) -> b.getDateTime());
    }

    public DataStream<? extends Row> declare(String name) {
        switch (name) {
        case "q0":
            return bids().map(b -> new PlainBid(b, b.getPrice())).returns(PlainBid.class);
        case "q1":
            return bids().map(b -> new PlainBid(b, 908 * b.getPrice())).returns(PlainBid.class);
        case "q2":
            return bids().filter(b -> b.getAuction() % 123 == 0)
                    .map(b -> new Numbers(b.getAuction(), b.getPrice())).returns(Numbers.class);
        case "q3":
            return q3();
        case "q5":
            return q5();
        case "q7":
            return q7();
        case "q8":
            return q8();
        case "q9":
            return q9();
        case "q11":
            return q11();
        case "q18":
            return bids().keyBy(new BidPair()).process(new LastBid()).returns(WholeBid.class);
        default:
            throw new IllegalArgumentException("no query " + name);
        }
    }

    // ---- results ----

    /** Some numbers: most results are nothing else. */
    public static final class Numbers implements Row {
        public long[] values;

        public Numbers() {
        }

        public Numbers(long... values) {
            this.values = values;
        }

        @Override
        public String text() {
            StringBuilder text = new StringBuilder();
            for (int i = 0; i < values.length; i++)
                text.append(i == 0 ? "" : "|").append(values[i]);
            return text.toString();
        }
    }

    /** A bid without channel and url; the price as the query says. */
    public static final class PlainBid implements Row {
        public long auction, bidder, price, dateTime;
        public String extra;

        public PlainBid() {
        }

        public PlainBid(Bid b, long price) {
            auction = b.getAuction();
            bidder = b.getBidder();
            this.price = price;
            dateTime = b.getDateTime();
            extra = b.getExtra();
        }

        @Override
        public String text() {
            return auction + "|" + bidder + "|" + price + "|" + dateTime + "|" + extra;
        }
    }

    public static final class WholeBid implements Row {
        public long auction, bidder, price, dateTime;
        public String channel, url, extra;
        public boolean back;

        public WholeBid() {
        }

        public WholeBid(Bid b, boolean back) {
            auction = b.getAuction();
            bidder = b.getBidder();
            price = b.getPrice();
            channel = b.getChannel();
            url = b.getUrl();
            dateTime = b.getDateTime();
            extra = b.getExtra();
            this.back = back;
        }

        @Override
        public String text() {
            return auction + "|" + bidder + "|" + price + "|" + channel + "|" + url + "|" + dateTime + "|" + extra;
        }

        @Override
        public boolean back() {
            return back;
        }
    }

    public static final class Item implements Row {
        public String name, city, state;
        public long id;

        public Item() {
        }

        Item(Person p, long id) {
            name = p.getName();
            city = p.getCity();
            state = p.getState();
            this.id = id;
        }

        @Override
        public String text() {
            return name + "|" + city + "|" + state + "|" + id;
        }
    }

    public static final class NewSeller implements Row {
        public long id, start;
        public String name;

        @Override
        public String text() {
            return id + "|" + name + "|" + start;
        }
    }

    // ---- q3 ----

    private DataStream<Item> q3() {
        DataStream<Auction> items = auctions().filter(a -> a.getCategory() == 10);
        DataStream<Person> local = persons().filter(
                p -> p.getState().equals("OR") || p.getState().equals("ID") || p.getState().equals("CA"));
        return items.keyBy(Auction::getSeller).connect(local.keyBy(Person::getId)).process(new LocalItems())
                .returns(Item.class);
    }

    private static final class LocalItems extends KeyedCoProcessFunction<Long, Auction, Person, Item> {
        private transient ValueState<Person> person;
        private transient ListState<Long> waiting;

        @Override
        public void open(OpenContext context) {
            person = getRuntimeContext().getState(new ValueStateDescriptor<>("person", Person.class));
            waiting = getRuntimeContext().getListState(new ListStateDescriptor<>("waiting", Types.LONG));
        }

        @Override
        public void processElement1(Auction a, Context context, Collector<Item> out) throws Exception {
            Person p = person.value();
            if (p != null)
                out.collect(new Item(p, a.getId()));
            else
                waiting.add(a.getId());
        }

        @Override
        public void processElement2(Person p, Context context, Collector<Item> out) throws Exception {
            person.update(p);
            for (long id : waiting.get())
                out.collect(new Item(p, id));
            waiting.clear();
        }
    }

    // ---- q5 ----

    private static final class Count<T> implements AggregateFunction<T, Long, Long> {
        @Override
        public Long createAccumulator() {
            return 0L;
        }

        @Override
        public Long add(T value, Long count) {
            return count + 1;
        }

        @Override
        public Long getResult(Long count) {
            return count;
        }

        @Override
        public Long merge(Long a, Long b) {
            return a + b;
        }
    }

    private static final class WithEnd extends ProcessWindowFunction<Long, Numbers, Long, TimeWindow> {
        @Override
        public void process(Long auction, Context context, Iterable<Long> counts, Collector<Numbers> out) {
            out.collect(new Numbers(auction, counts.iterator().next(), context.window().getEnd()));
        }
    }

    private DataStream<Numbers> q5() {
        return bids().keyBy(Bid::getAuction)
                .window(SlidingEventTimeWindows.of(Duration.ofSeconds(10), Duration.ofSeconds(2)))
                .aggregate(new Count<>(), new WithEnd()).keyBy(r -> r.values[2])
                .process(new Leaders<Numbers>(Numbers.class, r -> r.values[1], r -> r.values[2] - 1))
                .returns(Numbers.class);
    }

    /** All rows of a key with the most of something, when the watermark says that there are no more. */
    private interface Number<T> extends java.io.Serializable {
        long of(T row);
    }

    private static final class Leaders<T> extends KeyedProcessFunction<Long, T, T> {
        private final Class<T> type;
        private final Number<T> measure, end;
        private transient ValueState<Long> most;
        private transient ListState<T> leaders;

        Leaders(Class<T> type, Number<T> measure, Number<T> end) {
            this.type = type;
            this.measure = measure;
            this.end = end;
        }

        @Override
        public void open(OpenContext context) {
            most = getRuntimeContext().getState(new ValueStateDescriptor<>("most", Types.LONG));
            leaders = getRuntimeContext().getListState(new ListStateDescriptor<>("leaders", type));
        }

        @Override
        public void processElement(T row, Context context, Collector<T> out) throws Exception {
            Long before = most.value();
            long now = measure.of(row);
            if (before != null && now < before)
                return;
            if (before == null)
                context.timerService().registerEventTimeTimer(end.of(row));
            if (before != null && now > before)
                leaders.clear();
            if (before == null || now > before)
                most.update(now);
            leaders.add(row);
        }

        @Override
        public void onTimer(long time, OnTimerContext context, Collector<T> out) throws Exception {
            for (T row : leaders.get())
                out.collect(row);
            leaders.clear();
            most.clear();
        }
    }

    // ---- q7: the highest of groups of bidders first, so that there is no single task for all bids ----

    private DataStream<PlainBid> q7() {
        Number<PlainBid> price = b -> b.price, end = b -> b.dateTime / 10000 * 10000 + 9999;
        return bids().map(b -> new PlainBid(b, b.getPrice())).returns(PlainBid.class)
                .keyBy(b -> b.dateTime / 10000 * 16 + b.bidder % 16)
                .process(new Leaders<>(PlainBid.class, price, end)).returns(PlainBid.class)
                .keyBy(b -> b.dateTime / 10000).process(new Leaders<>(PlainBid.class, price, end))
                .returns(PlainBid.class);
    }

    // ---- q8 ----

    private DataStream<NewSeller> q8() {
        return persons().coGroup(auctions()).where(Person::getId).equalTo(Auction::getSeller)
                .window(TumblingEventTimeWindows.of(Duration.ofSeconds(10)))
                .apply((Iterable<Person> people, Iterable<Auction> items, Collector<NewSeller> out) -> {
                    if (!items.iterator().hasNext())
                        return;
                    for (Person p : people) {
                        NewSeller row = new NewSeller();
                        row.id = p.getId();
                        row.name = p.getName();
                        row.start = p.getDateTime() / 10000 * 10000;
                        out.collect(row);
                    }
                }, org.apache.flink.api.common.typeinfo.TypeInformation.of(NewSeller.class));
    }

    // ---- q9 ----

    public static final class Best {
        public long seller, category, opened, expires, bidder, price, dateTime;
    }

    private DataStream<Numbers> q9() {
        DataStream<Numbers> offers = bids().map(b -> new Numbers(b.getAuction(), b.getBidder(), b.getPrice(), b.getDateTime()))
                .returns(Numbers.class);
        return auctions().keyBy(Auction::getId).connect(offers.keyBy(b -> b.values[0])).process(new Winning())
                .returns(Numbers.class);
    }

    private static final class Winning extends KeyedCoProcessFunction<Long, Auction, Numbers, Numbers> {
        private transient ValueState<Best> best;
        private transient ListState<Numbers> early;

        @Override
        public void open(OpenContext context) {
            best = getRuntimeContext().getState(new ValueStateDescriptor<>("best", Best.class));
            early = getRuntimeContext().getListState(new ListStateDescriptor<>("early", Numbers.class));
        }

        private static boolean consider(Best b, Numbers bid) {
            long price = bid.values[2], time = bid.values[3];
            if (time < b.opened || time > b.expires || price < b.price
                    || (b.price > 0 && price == b.price && time >= b.dateTime))
                return false;
            b.bidder = bid.values[1];
            b.price = price;
            b.dateTime = time;
            return true;
        }

        @Override
        public void processElement1(Auction a, Context context, Collector<Numbers> out) throws Exception {
            Best b = new Best();
            b.seller = a.getSeller();
            b.category = a.getCategory();
            b.opened = a.getDateTime();
            b.expires = a.getExpires();
            for (Numbers bid : early.get())
                consider(b, bid);
            early.clear();
            best.update(b);
            context.timerService().registerEventTimeTimer(a.getExpires());
        }

        @Override
        public void processElement2(Numbers bid, Context context, Collector<Numbers> out) throws Exception {
            Best b = best.value();
            if (b != null) {
                if (consider(b, bid))
                    best.update(b);
                return;
            }
            if (bid.values[3] <= context.timerService().currentWatermark())
                return; // its auction is over, or comes too late for it
            early.add(bid);
            context.timerService().registerEventTimeTimer(bid.values[3] / 60000 * 60000 + 120000);
        }

        @Override
        public void onTimer(long time, OnTimerContext context, Collector<Numbers> out) throws Exception {
            Best b = best.value();
            early.clear();
            if (b == null || time < b.expires)
                return;
            if (b.price > 0)
                out.collect(new Numbers(context.getCurrentKey(), b.seller, b.category, b.expires, b.bidder, b.price,
                        b.dateTime));
            best.clear();
        }
    }

    // ---- q11 ----

    private static final class WithBounds extends ProcessWindowFunction<Long, Numbers, Long, TimeWindow> {
        @Override
        public void process(Long bidder, Context context, Iterable<Long> counts, Collector<Numbers> out) {
            out.collect(new Numbers(bidder, counts.iterator().next(), context.window().getStart(),
                    context.window().getEnd()));
        }
    }

    private DataStream<Numbers> q11() {
        return bids().keyBy(Bid::getBidder).window(EventTimeSessionWindows.withGap(Duration.ofSeconds(10)))
                .aggregate(new Count<>(), new WithBounds());
    }

    // ---- q18 ----

    private static final class BidPair
            implements KeySelector<Bid, org.apache.flink.api.java.tuple.Tuple2<Long, Long>> {
        @Override
        public org.apache.flink.api.java.tuple.Tuple2<Long, Long> getKey(Bid b) {
            return org.apache.flink.api.java.tuple.Tuple2.of(b.getBidder(), b.getAuction());
        }
    }

    private static final class LastBid
            extends KeyedProcessFunction<org.apache.flink.api.java.tuple.Tuple2<Long, Long>, Bid, WholeBid> {
        private transient ValueState<Bid> last;

        @Override
        public void open(OpenContext context) {
            last = getRuntimeContext().getState(new ValueStateDescriptor<>("last", Bid.class));
        }

        @Override
        public void processElement(Bid b, Context context, Collector<WholeBid> out) throws Exception {
            Bid before = last.value();
            if (before != null && b.getDateTime() < before.getDateTime())
                return;
            if (before != null)
                out.collect(new WholeBid(before, true));
            out.collect(new WholeBid(b, false));
            last.update(b);
        }
    }
}
