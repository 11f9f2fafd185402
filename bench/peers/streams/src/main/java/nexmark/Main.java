package nexmark;

import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListOffsetsResult;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;

/**
 * Runs a query some times in this virtual machine: --brokers B --query qN --prefix NAME --output TOPIC --state-dir DIR
 * [--interval-ms N] [--cache-mb N] [--repeat N]. The n-th run writes to TOPIC-n. A line of figures for each; the first ones
 * warm up. Streams never end: a run has ended with the last change of its output or of its offsets, before some intervals of silence.
 */
public final class Main {
    private static final int PARTITIONS = 4, SILENT_INTERVALS = 4;

    private final Map<String, String> options;
    private final String query, name, output;
    private final long intervalMs;

    private Main(Map<String, String> options, int run) {
        this.options = options;
        query = options.get("--query");
        output = options.get("--output") + "-" + run;
        name = "streams-" + output;
        intervalMs = Long.parseLong(options.getOrDefault("--interval-ms", "1000"));
    }

    public static void main(String[] args) throws Exception {
        Map<String, String> options = new HashMap<>();
        for (int i = 0; i + 1 < args.length; i += 2)
            options.put(args[i], args[i + 1]);
        int repeat = Integer.parseInt(options.getOrDefault("--repeat", "1"));
        for (int i = 0; i < repeat; i++)
            new Main(options, i).run();
    }

    private Properties properties() {
        Properties p = new Properties();
        p.put(StreamsConfig.APPLICATION_ID_CONFIG, name);
        p.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, options.get("--brokers"));
        p.put(StreamsConfig.STATE_DIR_CONFIG, options.get("--state-dir"));
        p.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        p.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, intervalMs);
        p.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG,
                Long.parseLong(options.getOrDefault("--cache-mb", "256")) << 20);
        p.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
        p.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
        p.put(StreamsConfig.TOPOLOGY_OPTIMIZATION_CONFIG, StreamsConfig.OPTIMIZE);
        p.put(StreamsConfig.ROCKSDB_CONFIG_SETTER_CLASS_CONFIG, BoundedMemory.class);
        p.put(StreamsConfig.producerPrefix(ProducerConfig.COMPRESSION_TYPE_CONFIG), "lz4");
        p.put(StreamsConfig.producerPrefix(ProducerConfig.BATCH_SIZE_CONFIG), 256 << 10);
        p.put(StreamsConfig.consumerPrefix("auto.offset.reset"), "earliest");
        p.put(StreamsConfig.consumerPrefix("max.poll.records"), 10000);
        p.put(StreamsConfig.consumerPrefix("max.partition.fetch.bytes"), 4 << 20);
        return p;
    }

    private void run() throws Exception {
        try (Admin admin = Admin.create(Map.<String, Object>of("bootstrap.servers", options.get("--brokers")))) {
            admin.createTopics(List.of(new NewTopic(output, PARTITIONS, (short) 1))).all().get();
            StreamsBuilder builder = new StreamsBuilder();
            new Queries(builder, options.get("--prefix"), output).declare(query);
            Properties properties = properties();
            long cpu = cpuNanos(), wall = System.nanoTime();
            KafkaStreams streams = new KafkaStreams(builder.build(properties), properties);
            streams.start();
            long[] end = waitForEnd(admin, streams);
            System.out.printf("%s: %.3f s, %.3f s CPU, %d MiB%n", query, (end[0] - wall) / 1e9, (end[1] - cpu) / 1e9,
                    residentMiB());
            streams.close(Duration.ofSeconds(30));
            clear(Path.of(options.get("--state-dir"), name));
        }
    }

    /** Wall clock and processor time at the last change that anybody can see. */
    private long[] waitForEnd(Admin admin, KafkaStreams streams) throws Exception {
        String seen = "";
        long[] last = {System.nanoTime(), cpuNanos()};
        for (;;) {
            long[] now = {System.nanoTime(), cpuNanos()};
            String state = offsets(admin);
            if (!state.equals(seen)) {
                seen = state;
                last = now;
            } else if (caughtUp && now[0] - last[0] > SILENT_INTERVALS * intervalMs * 1000000L) {
                return last;
            }
            if (streams.state() == KafkaStreams.State.ERROR)
                throw new IllegalStateException("the streams have failed");
            Thread.sleep(100);
        }
    }

    private boolean caughtUp;

    /** Of what was read and what was written, as text. */
    private String offsets(Admin admin) throws Exception {
        Map<TopicPartition, Long> committed = new HashMap<>();
        admin.listConsumerGroupOffsets(name).partitionsToOffsetAndMetadata().get()
                .forEach((partition, at) -> committed.put(partition, at == null ? 0L : at.offset()));
        List<TopicPartition> inputs = committed.keySet().stream()
                .filter(p -> p.topic().startsWith(options.get("--prefix") + "-")).toList();
        Map<TopicPartition, Long> ends = ends(admin, inputs);
        int wanted = (query.equals("q8") ? 2 : 1) * PARTITIONS;
        caughtUp = inputs.size() == wanted && inputs.stream().allMatch(p -> committed.get(p) >= ends.get(p));
        List<TopicPartition> outputs =
                Stream.iterate(0, i -> i + 1).limit(PARTITIONS).map(i -> new TopicPartition(output, i)).toList();
        return new java.util.TreeMap<>(committed.entrySet().stream()
                .collect(Collectors.toMap(e -> e.getKey().toString(), Map.Entry::getValue))) + " "
                + ends(admin, outputs).values().stream().mapToLong(Long::longValue).sum();
    }

    private static Map<TopicPartition, Long> ends(Admin admin, List<TopicPartition> partitions) throws Exception {
        Map<TopicPartition, OffsetSpec> wanted = new HashMap<>();
        partitions.forEach(p -> wanted.put(p, OffsetSpec.latest()));
        Map<TopicPartition, Long> ends = new HashMap<>();
        for (Map.Entry<TopicPartition, ListOffsetsResult.ListOffsetsResultInfo> e : admin.listOffsets(wanted).all().get()
                .entrySet())
            ends.put(e.getKey(), e.getValue().offset());
        return ends;
    }

    private static void clear(Path dir) throws java.io.IOException {
        if (!Files.exists(dir))
            return; // the query has no state
        try (Stream<Path> all = Files.walk(dir)) {
            for (Path path : all.sorted(Comparator.reverseOrder()).toList())
                Files.delete(path);
        }
    }

    private static long cpuNanos() {
        return ((com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean())
                .getProcessCpuTime();
    }

    private static long residentMiB() throws java.io.IOException {
        for (String line : Files.readAllLines(Path.of("/proc/self/status")))
            if (line.startsWith("VmHWM:"))
                return Long.parseLong(line.replaceAll("[^0-9]", "")) / 1024;
        return -1;
    }
}
