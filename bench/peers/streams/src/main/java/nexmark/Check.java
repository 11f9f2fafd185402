package nexmark;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.utils.Bytes;

/**
 * The check value of a result (bench/nexmark/check.h): BROKERS QUERY TOPIC..., a line for each topic: what transactions have written,
 * of queries whose rows replace each other the newest of each key.
 */
public final class Check {
    public static void main(String[] args) {
        for (int i = 2; i < args.length; i++)
            check(args[0], args[1], args[i]);
    }

    private static void check(String brokers, String query, String topic) {
        boolean newest = query.equals("q17") || query.equals("q5");
        Map<Bytes, byte[]> rows = new HashMap<>();
        long[] sum = {0, 0, 0}; // rows, hashes, messages
        Properties p = new Properties();
        p.put("bootstrap.servers", brokers);
        p.put("isolation.level", "read_committed");
        try (KafkaConsumer<byte[], byte[]> consumer =
                new KafkaConsumer<>(p, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            List<TopicPartition> all = new ArrayList<>();
            consumer.partitionsFor(topic).forEach(at -> all.add(new TopicPartition(topic, at.partition())));
            consumer.assign(all);
            consumer.seekToBeginning(all);
            Map<TopicPartition, Long> ends = consumer.endOffsets(all);
            while (all.stream().anyMatch(at -> consumer.position(at) < ends.get(at)))
                for (ConsumerRecord<byte[], byte[]> message : consumer.poll(Duration.ofMillis(200))) {
                    sum[2]++;
                    if (newest && message.key() != null)
                        rows.put(Bytes.wrap(message.key()), message.value());
                    else
                        add(sum, query, message.value());
                }
        }
        rows.values().forEach(value -> add(sum, query, value));
        System.out.printf("%s %d rows, %016x, %d messages%n", topic, sum[0], sum[1], sum[2]);
    }

    private static void add(long[] sum, String query, byte[] value) {
        Codec.Reader in = new Codec.Reader(value);
        while (in.more()) {
            sum[0]++;
            sum[1] += fnv1a(text(query, in));
        }
    }

    private static String text(String query, Codec.Reader in) {
        String fields = switch (query) {
        case "q1" -> "nnnnt";
        case "q5" -> "nnn";
        case "q8" -> "ntn";
        case "q17" -> "ntnnnnnnnn";
        default -> throw new IllegalArgumentException("no query " + query);
        };
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < fields.length(); i++) {
            if (i > 0)
                text.append('|');
            if (fields.charAt(i) == 'n')
                text.append(in.number());
            else
                text.append(new String(in.text(), StandardCharsets.UTF_8));
        }
        return text.toString();
    }

    private static long fnv1a(String text) {
        long hash = 0xcbf29ce484222325L;
        for (byte b : text.getBytes(StandardCharsets.UTF_8))
            hash = (hash ^ (b & 0xff)) * 0x100000001b3L;
        return hash;
    }
}
