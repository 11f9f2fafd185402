"""bench/scoreboard/kafka.py -- S12: from Kafka, to Kafka, through Kafka. One real broker for all of it, started for the section: it shares the
machine with what is measured."""

import json
import os
import re
import shutil
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SKIPPED = 77
RATE = re.compile(r'(\S+/\S+) +([\d.]+) M rows/s, +([\d.]+) ns of processor time a row')
LATENCY = re.compile(r'kafka-latency/(\S+) load=(\d+) rate=(\d+): p50 ([\d.]+) ms, p99 ([\d.]+); (\d+) % of a core')
BESIDE = (('kafka/windowed-count', 'kafka/bare', 'topic to windowed count'),
          ('kafka-sink/at-least-once', 'kafka-sink/bare', 'memory to topic, at least once'),
          ('kafka-sink/exactly-once', 'kafka-sink/bare-transactions', 'memory to topic, exactly once'))


class Broker:
    def __init__(self, place, not_there):
        self.dir = os.path.join(place, 'broker')
        start = subprocess.run([os.path.join(ROOT, 'scripts', 'kafka'), 'start', '--dir', self.dir, '--stay', '--set',
                                'log.retention.ms=-1'], check=False, text=True, stdout=subprocess.PIPE)
        if start.returncode == SKIPPED:
            raise not_there('there is no real broker here: it takes Java and Maven')
        start.check_returncode()
        self.address = start.stdout.strip()

    def stop(self):
        subprocess.run([os.path.join(ROOT, 'scripts', 'kafka'), 'stop', '--dir', self.dir], check=False, stdout=subprocess.DEVNULL)
        shutil.rmtree(self.dir, ignore_errors=True)


def rates(bench, broker):
    """Ours beside librdkafka's bare loops, by the wall clock and by processor time."""
    runs, rows = (1, 20000) if bench.brief else (3, bench.events)
    out = ''.join(bench.bench(name, '--brokers', broker.address, runs, rows) for name in ('kafka', 'kafka_sink'))
    seen = {m[1]: (float(m[2]), float(m[3])) for m in RATE.finditer(out)}
    for ours, bare, what in BESIDE:
        yield {'job': what, 'm_per_s': seen[ours][0], 'bare_m_per_s': seen[bare][0], 'target_percent': 80,
               'share_percent': 100 * seen[ours][0] / max(0.001, seen[bare][0]), 'cpu_ns': seen[ours][1], 'bare_cpu_ns': seen[bare][1]}


def latencies(bench, broker):
    out = bench.bench('kafka_latency', '--brokers', broker.address, *((0.5, 1, 20000) if bench.brief else (3, 2)))
    seen = {(m[1], m[2]): m for m in LATENCY.finditer(out)}
    for load in ('10', '50'):
        job, bare = seen['job', load], seen['bare', load]
        yield {'job': 'topic to topic at least once, %s %% load' % load, 'm_per_s': int(job[3]) / 1e6, 'p50_ms': float(job[4]),
               'p99_ms': float(job[5]), 'bare_p50_ms': float(bare[4]), 'bare_p99_ms': float(bare[5])}


def streams(bench, broker):
    beside = os.path.relpath(os.path.join(ROOT, 'bench', 'peers', 'streams-beside'))
    out = bench.run([os.path.join('.', beside), bench.build, 'q1', 'q17', '--events', str(bench.events), '--repeat',
                     '1', '--brokers', broker.address])
    for row in json.loads(out.splitlines()[-1]):
        yield {'job': '%s beside Kafka Streams, exactly once' % row['query'], 'm_per_s': row['events'] / row['leat_wall_s'] / 1e6,
               'cpu_ns': 1e9 * row['leat_cpu_s'] / row['events'], 'streams_cpu_ns': 1e9 * row['streams_cpu_s'] / row['events'],
               'times': row['ratio'], 'target_times': 3, 'mib': row['leat_mib'], 'streams_mib': row['streams_mib'],
               'result': 'same' if row['same_result'] else 'DIFFERS'}


def measure(bench, not_there):
    broker = Broker(bench.place, not_there)
    try:
        return [*rates(bench, broker), *latencies(bench, broker), *([] if bench.brief else streams(bench, broker))]
    finally:
        broker.stop()


COLUMNS = [('job', 'job', '%s'), ('m_per_s', 'M messages/s', '%.2f'), ('bare_m_per_s', 'librdkafka alone', '%.2f'),
           ('share_percent', 'share', '%.0f %%'), ('target_percent', 'target', '%d %%'), ('cpu_ns', 'processor, ns a message', '%.0f'),
           ('bare_cpu_ns', 'librdkafka alone', '%.0f'), ('p50_ms', 'p50 ms', '%.1f'), ('p99_ms', 'p99', '%.1f'),
           ('bare_p50_ms', 'p50, librdkafka alone', '%.1f'), ('bare_p99_ms', 'p99, librdkafka alone', '%.1f'),
           ('streams_cpu_ns', 'Kafka Streams, ns', '%.0f'), ('times', 'times a core', '%.1f'), ('target_times', 'target', '%d'),
           ('mib', 'MiB', '%d'), ('streams_mib', 'Kafka Streams MiB', '%d'), ('result', 'result', '%s')]
PLOT = ('job', [('cpu_ns', 'processor time'), ('bare_cpu_ns', 'librdkafka alone'), ('streams_cpu_ns', 'Kafka Streams')], 'ns')
NOTE = ('One worker; Apache Kafka on the same cores. Processor time is of the whole process, without the broker. Latency: from when a message was due '
        'until it is read behind the second topic. Load is a share of the rate that passes when writer, broker, job and reader go as fast as they can.')
