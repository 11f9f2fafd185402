package nexmark;

import java.lang.management.ManagementFactory;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import org.apache.flink.api.common.JobExecutionResult;
import org.apache.flink.configuration.CheckpointingOptions;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.MemorySize;
import org.apache.flink.configuration.StateBackendOptions;
import org.apache.flink.configuration.TaskManagerOptions;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

/**
 * Runs one query in this process: --query qN --input DIR [--state heap|rocksdb] [--parallelism N] [--checkpoints DIR]
 * [--interval-ms N] [--disorder-ms N] [--check] [--repeat N] [--few DIR]. Prints a line of figures for each run; the first one
 * warms up, and has the sum of the result with --check. Last comes, with --few, a run over the few events there: what it
 * costs to start a job.
 */
public final class Main {
    public static void main(String[] args) throws Exception {
        Map<String, String> options = new HashMap<>();
        for (int i = 0; i < args.length; i++)
            options.put(args[i], args[i].equals("--check") ? "" : args[++i]);
        int repeat = Integer.parseInt(options.getOrDefault("--repeat", "1"));
        for (int i = 0; i < repeat; i++)
            run(options, i == 0 && options.containsKey("--check"));
        if (options.containsKey("--few")) {
            options.put("--input", options.get("--few"));
            run(options, false);
        }
    }

    private static void run(Map<String, String> options, boolean check) throws Exception {
        String query = options.get("--query"), state = options.getOrDefault("--state", "heap");
        Configuration conf = new Configuration();
        conf.set(StateBackendOptions.STATE_BACKEND, state.equals("rocksdb") ? "rocksdb" : "hashmap");
        conf.set(CheckpointingOptions.INCREMENTAL_CHECKPOINTS, true);
        conf.set(TaskManagerOptions.MANAGED_MEMORY_SIZE, MemorySize.ofMebiBytes(1024));
        conf.set(TaskManagerOptions.NETWORK_MEMORY_MIN, MemorySize.ofMebiBytes(128));
        conf.set(TaskManagerOptions.NETWORK_MEMORY_MAX, MemorySize.ofMebiBytes(128));
        int parallelism = Integer.parseInt(options.getOrDefault("--parallelism", "1"));
        StreamExecutionEnvironment env = StreamExecutionEnvironment.createLocalEnvironment(parallelism, conf);
        env.getConfig().enableObjectReuse();
        if (options.containsKey("--checkpoints")) {
            env.enableCheckpointing(Long.parseLong(options.getOrDefault("--interval-ms", "10000")));
            env.getCheckpointConfig().setCheckpointStorage("file://" + options.get("--checkpoints"));
        }
        Duration disorder = Duration.ofMillis(Long.parseLong(options.getOrDefault("--disorder-ms", "4000")));
        addSink(new Queries(env, options.get("--input"), disorder).declare(query), check);
        long wall = System.nanoTime(), cpu = cpuNanos();
        JobExecutionResult result = env.execute(query);
        double wallS = (System.nanoTime() - wall) / 1e9, cpuS = (cpuNanos() - cpu) / 1e9;
        System.out.printf("%s %s: %.3f s, %.3f s CPU, %d rows, %d given, %016x, %d MiB%n", query, state, wallS, cpuS,
                (Long) result.getAccumulatorResult("rows"), (Long) result.getAccumulatorResult("given"),
                (Long) result.getAccumulatorResult("sum"), residentMiB());
    }

    private static <T extends Queries.Row> void addSink(DataStream<T> rows, boolean check) {
        rows.addSink(new CheckSink<T>(check));
    }

    private static long cpuNanos() {
        return ((com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean())
                .getProcessCpuTime();
    }

    private static long residentMiB() throws java.io.IOException {
        for (String line : java.nio.file.Files.readAllLines(java.nio.file.Path.of("/proc/self/status")))
            if (line.startsWith("VmHWM:"))
                return Long.parseLong(line.replaceAll("[^0-9]", "")) / 1024;
        return -1;
    }
}
