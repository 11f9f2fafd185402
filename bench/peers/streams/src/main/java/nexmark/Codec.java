package nexmark;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;

/**
 * Messages and states as bytes. Messages are Avro, written and read by hand: only the fields that a query uses, and texts stay
 * bytes. So nothing is spent on a library for records.
 */
final class Codec {
    private Codec() {
    }

    static <T> Serde<T> serde(Function<T, byte[]> write, Function<byte[], T> read) {
        return Serdes.serdeFrom((topic, value) -> value == null ? null : write.apply(value),
                (topic, bytes) -> bytes == null ? null : read.apply(bytes));
    }

    /** Reads Avro. */
    static final class Reader {
        final byte[] bytes;
        int at;

        Reader(byte[] bytes) {
            this.bytes = bytes;
        }

        long number() {
            long value = 0;
            int shift = 0;
            byte b;
            do {
                b = bytes[at++];
                value |= (b & 0x7fL) << shift;
                shift += 7;
            } while (b < 0);
            return (value >>> 1) ^ -(value & 1);
        }

        byte[] text() {
            int length = (int) number();
            byte[] text = new byte[length];
            System.arraycopy(bytes, at, text, 0, length);
            at += length;
            return text;
        }

        void skipText() {
            int length = (int) number();
            at += length;
        }

        boolean more() {
            return at < bytes.length;
        }
    }

    /** Writes Avro. */
    static final class Writer {
        private byte[] bytes;
        private int at;

        Writer(int most) {
            bytes = new byte[most];
        }

        Writer number(long value) {
            long rest = (value << 1) ^ (value >> 63);
            while ((rest & ~0x7fL) != 0) {
                bytes[at++] = (byte) (rest & 0x7f | 0x80);
                rest >>>= 7;
            }
            bytes[at++] = (byte) rest;
            return this;
        }

        Writer text(byte[] text) {
            number(text.length);
            System.arraycopy(text, 0, bytes, at, text.length);
            at += text.length;
            return this;
        }

        byte[] done() {
            byte[] all = new byte[at];
            System.arraycopy(bytes, 0, all, 0, at);
            return all;
        }
    }

    /** Of a bid what q1 and q17 use; q5 uses but that it is there. */
    static final class Bid {
        long auction, bidder, price, dateTime;
        byte[] extra;

        static Bid read(byte[] bytes) {
            Reader in = new Reader(bytes);
            Bid bid = new Bid();
            bid.auction = in.number();
            bid.bidder = in.number();
            bid.price = in.number();
            in.skipText();
            in.skipText();
            bid.dateTime = in.number();
            bid.extra = in.text();
            return bid;
        }

        byte[] write() {
            return new Writer(extra.length + 50).number(auction).number(bidder).number(price).number(dateTime).text(extra)
                    .done();
        }

        Bid withPrice(long newPrice) {
            price = newPrice;
            return this;
        }
    }

    static final Serde<Bid> BID = serde(Bid::write, Bid::read);

    /** Only the price. */
    static final Serde<Long> PRICE = serde(price -> {
        throw new UnsupportedOperationException();
    }, bytes -> {
        Reader in = new Reader(bytes);
        in.number();
        in.number();
        return in.number();
    });

    /** Nothing of it. */
    static final Serde<Boolean> PRESENCE = serde(there -> new byte[0], bytes -> Boolean.TRUE);

    /** A person's name, or nothing for an auction. */
    static final class Event {
        byte[] name;
    }

    static final Serde<Event> PERSON = serde(event -> event.name, bytes -> {
        Reader in = new Reader(bytes);
        Event event = new Event();
        in.number();
        event.name = in.text();
        return event;
    });
    private static final Event AN_AUCTION = new Event();
    static final Serde<Event> AUCTION = serde(event -> new byte[0], bytes -> AN_AUCTION);

    /** Statistics of q17. */
    static final class Stats {
        long total, rank1, rank2, rank3, min = Long.MAX_VALUE, max = Long.MIN_VALUE, sum;

        Stats add(long price) {
            total++;
            if (price < 10000)
                rank1++;
            else if (price < 1000000)
                rank2++;
            else
                rank3++;
            min = Math.min(min, price);
            max = Math.max(max, price);
            sum += price;
            return this;
        }

        static Stats read(byte[] bytes) {
            ByteBuffer in = ByteBuffer.wrap(bytes);
            Stats s = new Stats();
            s.total = in.getLong();
            s.rank1 = in.getLong();
            s.rank2 = in.getLong();
            s.rank3 = in.getLong();
            s.min = in.getLong();
            s.max = in.getLong();
            s.sum = in.getLong();
            return s;
        }

        byte[] write() {
            return ByteBuffer.allocate(56).putLong(total).putLong(rank1).putLong(rank2).putLong(rank3).putLong(min)
                    .putLong(max).putLong(sum).array();
        }

        byte[] message(long auction, byte[] day) {
            return new Writer(120).number(auction).text(day).number(total).number(rank1).number(rank2).number(rank3)
                    .number(min).number(max).number(sum / total).number(sum).done();
        }
    }

    static final Serde<Stats> STATS = serde(Stats::write, Stats::read);

    /** How many bids an auction has in a window. */
    record Count(long auction, long num) {
    }

    static final Serde<Count> COUNT = serde(c -> ByteBuffer.allocate(16).putLong(c.auction).putLong(c.num).array(), bytes -> {
        ByteBuffer in = ByteBuffer.wrap(bytes);
        return new Count(in.getLong(), in.getLong());
    });

    /** The auctions with the most bids of a window. Counts only rise, so what was a leader's stands until it is passed. */
    static final class Leaders {
        long most;
        final List<Long> auctions = new ArrayList<>(2);

        Leaders add(Count c) {
            if (c.num > most) {
                most = c.num;
                auctions.clear();
            }
            if (c.num == most && !auctions.contains(c.auction))
                auctions.add(c.auction);
            return this;
        }

        static Leaders read(byte[] bytes) {
            ByteBuffer in = ByteBuffer.wrap(bytes);
            Leaders leaders = new Leaders();
            leaders.most = in.getLong();
            while (in.hasRemaining())
                leaders.auctions.add(in.getLong());
            return leaders;
        }

        byte[] write() {
            ByteBuffer out = ByteBuffer.allocate(8 + 8 * auctions.size()).putLong(most);
            for (long auction : auctions)
                out.putLong(auction);
            return out.array();
        }

        /** A row for each, one behind another. */
        byte[] message(long end) {
            Writer out = new Writer(30 * auctions.size());
            for (long auction : auctions)
                out.number(auction).number(most).number(end);
            return out.done();
        }
    }

    static final Serde<Leaders> LEADERS = serde(Leaders::write, Leaders::read);

    static byte[] utf8(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }
}
