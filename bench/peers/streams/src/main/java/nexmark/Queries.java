package nexmark;

import static org.apache.kafka.common.serialization.Serdes.ByteArray;

import java.time.Duration;
import java.time.LocalDate;
import java.util.Set;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.ProcessorSupplier;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;
import org.apache.kafka.streams.state.WindowStore;

/**
 * The queries, as one would write them for Kafka Streams: input is keyed by what queries group by, so that there is no
 * repartition topic but q5's second step; stores are RocksDB's with the record cache before them.
 */
final class Queries {
    private static final Duration DISORDER = Duration.ofSeconds(4), TEN_SECONDS = Duration.ofSeconds(10);

    private final StreamsBuilder builder;
    private final String prefix, output;

    Queries(StreamsBuilder builder, String prefix, String output) {
        this.builder = builder;
        this.prefix = prefix;
        this.output = output;
    }

    void declare(String query) {
        switch (query) {
        case "q1" -> q1();
        case "q5" -> q5();
        case "q8" -> q8();
        case "q17" -> q17();
        default -> throw new IllegalArgumentException("no query " + query);
        }
    }

    private <T> KStream<Long, T> read(String name, org.apache.kafka.common.serialization.Serde<T> serde) {
        return builder.stream(prefix + "-" + name, Consumed.with(Serdes.Long(), serde));
    }

    private void q1() {
        read("bid", Codec.BID).mapValues(bid -> bid.withPrice(908 * bid.price))
                .to(output, Produced.with(Serdes.Long(), Codec.BID));
    }

    private void q5() {
        read("bid", Codec.PRESENCE).groupByKey()
                .windowedBy(TimeWindows.ofSizeAndGrace(TEN_SECONDS, DISORDER).advanceBy(Duration.ofSeconds(2)))
                .count(Materialized.<Long, Long, WindowStore<Bytes, byte[]>>as("counts").withKeySerde(Serdes.Long())
                        .withCachingEnabled())
                .toStream()
                .map((window, num) -> KeyValue.pair(window.window().end(), new Codec.Count(window.key(), num)))
                .groupByKey(Grouped.with("by-window", Serdes.Long(), Codec.COUNT))
                .aggregate(Codec.Leaders::new, (end, count, leaders) -> leaders.add(count),
                        Materialized.<Long, Codec.Leaders, KeyValueStore<Bytes, byte[]>>as("leaders")
                                .withKeySerde(Serdes.Long()).withValueSerde(Codec.LEADERS).withCachingEnabled())
                .toStream().mapValues((end, leaders) -> leaders.message(end))
                .to(output, Produced.with(Serdes.Long(), ByteArray()));
    }

    private void q17() {
        read("bid", Codec.PRICE).groupByKey().windowedBy(TimeWindows.ofSizeAndGrace(Duration.ofDays(1), DISORDER))
                .aggregate(Codec.Stats::new, (auction, price, stats) -> stats.add(price),
                        Materialized.<Long, Codec.Stats, WindowStore<Bytes, byte[]>>as("stats")
                                .withKeySerde(Serdes.Long()).withValueSerde(Codec.STATS).withCachingEnabled())
                .toStream().map((window, stats) -> {
                    byte[] day = day(window.window().start());
                    byte[] key = new Codec.Writer(30).number(window.key()).text(day).done();
                    return KeyValue.pair(key, stats.message(window.key(), day));
                }).to(output, Produced.with(ByteArray(), ByteArray()));
    }

    private static byte[] day(long ms) {
        return Codec.utf8(LocalDate.ofEpochDay(Math.floorDiv(ms, 86400000L)).toString());
    }

    private void q8() {
        read("person", Codec.PERSON).merge(read("auction", Codec.AUCTION)).process(new NewSellers())
                .to(output, Produced.with(Serdes.Long(), ByteArray()));
    }

    /** By the processor API: a row once, as soon as both are there; the DSL's join would give it again for each auction. */
    private static final class NewSellers implements ProcessorSupplier<Long, Codec.Event, Long, byte[]> {
        @Override
        public Set<StoreBuilder<?>> stores() {
            return Set.of(store("persons"), store("sellers"));
        }

        private static StoreBuilder<WindowStore<Long, byte[]>> store(String name) {
            return Stores.windowStoreBuilder(
                    Stores.persistentWindowStore(name, TEN_SECONDS.plus(DISORDER), TEN_SECONDS, false), Serdes.Long(),
                    ByteArray()).withCachingEnabled();
        }

        @Override
        public Processor<Long, Codec.Event, Long, byte[]> get() {
            return new Join();
        }
    }

    private static final class Join implements Processor<Long, Codec.Event, Long, byte[]> {
        private static final byte[] THERE = {};
        private ProcessorContext<Long, byte[]> context;
        private WindowStore<Long, byte[]> persons, sellers;

        @Override
        public void init(ProcessorContext<Long, byte[]> given) {
            context = given;
            persons = given.getStateStore("persons");
            sellers = given.getStateStore("sellers");
        }

        @Override
        public void process(Record<Long, Codec.Event> record) {
            long id = record.key(), start = record.timestamp() - Math.floorMod(record.timestamp(), 10000L);
            byte[] name = record.value().name;
            if (name != null) {
                persons.put(id, name, start);
                if (sellers.fetch(id, start) != null)
                    give(record, name, start);
            } else if (sellers.fetch(id, start) == null) {
                sellers.put(id, THERE, start);
                name = persons.fetch(id, start);
                if (name != null)
                    give(record, name, start);
            }
        }

        private void give(Record<Long, Codec.Event> record, byte[] name, long start) {
            context.forward(record.withValue(
                    new Codec.Writer(name.length + 40).number(record.key()).text(name).number(start).done()));
        }
    }
}
