"""bench/scoreboard/sections.py -- what the scoreboard measures. A section runs programs of the build directory and gives rows: plain
dictionaries, written as they are to JSON. Its columns say how they are shown, its plot which figure is drawn.

Figures are the least (processor time) of some repetitions, interleaved with what they are compared with."""

import json
import os
import re
import shutil
import subprocess
import sys
import time

import kafka


class NotThere(Exception):
    """The section can not run here; the text says why."""


class Section:
    def __init__(self, title, measure, columns, plot=None, note='', apart=False):
        self.title, self.measure, self.columns, self.plot, self.note = title, measure, columns, plot, note
        self.apart = apart  # measured only when asked for: it takes long


NEXMARK = re.compile(r'(\S+) +([\d.]+) s +[\d.]+ events/s +([\d.]+) ns CPU/event(?: +(\d+) KiB)?(, by hand)?')


class Bench:
    """The programs, and a place for files."""

    def __init__(self, build, place, events, brief):
        self.build, self.place, self.events, self.brief = build, place, events, brief
        self.commands = []
        self.nexmark_path = self.program('nexmark', 'nexmark')

    def program(self, *parts):
        path = os.path.join(self.build, 'bench', *parts)
        if not os.path.exists(path):
            raise SystemExit('scoreboard: %s is not built (target bench)' % os.path.join('bench', *parts))
        return path

    def run(self, command, env=None):
        """Standard output; the command is noted as one would type it."""
        shown = ' '.join(word.replace(self.build, 'BUILD').replace(self.place, 'DIR') for word in command)
        self.commands.append(shown)
        return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, env={**os.environ, **(env or {})}).stdout

    def bench(self, name, *words):
        return self.run([self.program('bench_' + name), *map(str, words)])

    def nexmark(self, query, *words, rounds=3, env=None):
        """[(wall s, processor ns per event, MiB, by hand)] of the rounds."""
        out = self.run([self.nexmark_path, 'bench', query, '--events', str(self.events), '--repeat',
                        str(1 if self.brief else rounds), *map(str, words)], env)
        runs = [match for match in map(NEXMARK.match, out.splitlines()) if match]
        if not runs:
            raise ValueError('nexmark bench %s gave no figures:\n%s' % (query, out))
        return [(float(m[2]), float(m[3]), int(m[4] or 0) // 1024, bool(m[5])) for m in runs]

    def files(self, kind):
        """A directory with the events as files."""
        path = os.path.join(self.place, kind)
        if not os.path.isdir(path):
            os.mkdir(path)
            self.run([self.nexmark_path, 'generate', '--events', str(self.events), '--output', path, '--format', kind])
        return path


def least(runs, index, by_hand=False):
    found = [run[index] for run in runs if run[3] == by_hand]
    return min(found) if found else None


TARGETS = {**dict.fromkeys(('q0', 'q1', 'q2', 'q14', 'q21', 'q22'), 70),
           **dict.fromkeys(('q5', 'q7', 'q8', 'q11', 'q12', 'q15', 'q16', 'q17'), 50),
           **dict.fromkeys(('q3', 'q4', 'q9', 'q18', 'q19', 'q20'), 40)}


def beside_hand(bench, query):
    """The engine and the loop in turn, least of both."""
    runs = bench.nexmark(query, '--source', 'avro', '--hand')
    ns, hand = least(runs, 1), least(runs, 1, True)
    return {'query': query, 'ns_per_event': ns, 'm_events_per_s': 1000 / ns, 'by_hand_ns': hand,
            'share_percent': 100 * hand / ns if hand else None, 'target_percent': TARGETS.get(query), 'peak_mib': least(runs, 2)}


QUERY_COLUMNS = [('query', 'query', '%s'), ('ns_per_event', 'ns an event', '%.0f'),
                 ('m_events_per_s', 'M events/s', '%.1f'), ('by_hand_ns', 'by hand, ns', '%.0f'),
                 ('share_percent', 'share', '%.0f %%'), ('target_percent', 'target', '%d %%'), ('peak_mib', 'peak MiB', '%d')]
SHARE_PLOT = ('query', [('share_percent', 'share of the loop by hand'), ('target_percent', 'target')], '%')


def queries(*names):
    return lambda bench: [beside_hand(bench, name) for name in names]


def some_queries(names):
    """A section that is not of the scoreboard: queries that somebody asks for."""
    return Section('Queries', queries(*names), QUERY_COLUMNS)


# ---- S1: sources, decoding, expressions ----

def sources(bench):
    rows = []
    for query in ('q0', 'q1', 'q2', 'q10', 'q13', 'q14', 'q21', 'q22'):
        row = beside_hand(bench, query)
        for kind in ('avro', 'jsonl'):
            runs = bench.nexmark(query, '--source', 'files', '--input', bench.files(kind), rounds=2)
            row[kind + '_file_ns'] = least(runs, 1)
        rows.append(row)
    return rows


# ---- S2: windows ----

SLIDES = re.compile(r'windows/hopping (\S+) slides=(\d+): ([\d.]+) ns/event, ([\d.]+) of one slide; ([\d.]+) ns without firing')
FIRING = re.compile(r'windows/firing (\S+) keys=(\d+): (\d+) rows/s, longest call ([\d.]+) ms')


def windows(bench):
    rows = [beside_hand(bench, name) for name in ('q5', 'q7', 'q11', 'q12')]
    if bench.brief:
        return rows
    out = bench.bench('windows')
    for m in SLIDES.finditer(out):
        rows.append({'query': 'hopping %s, %s slides' % (m[1], m[2]), 'ns_per_event': float(m[3]),
                     'm_events_per_s': 1000 / float(m[3]), 'times_of_one_slide': float(m[4])})
    for m in FIRING.finditer(out):
        rows.append({'query': 'firing %s keys (%s)' % (m[2], m[1]), 'ns_per_event': 1e9 / float(m[3]),
                     'm_events_per_s': float(m[3]) / 1e6, 'longest_call_ms': float(m[4])})
    return rows


# ---- S3: joins ----

JOIN = re.compile(r'join/(.+?): ([\d.]+) ns/row, by hand ([\d.]+): (\d+) %')
STATE = re.compile(r'join/state: (\d+) bytes a buffered row')


def joins(bench):
    rows = [beside_hand(bench, name) for name in ('q3', 'q4', 'q6', 'q8', 'q9', 'q20')]
    if bench.brief:
        return rows
    out = bench.bench('join', 200000)
    for m in JOIN.finditer(out):
        rows.append({'query': m[1], 'ns_per_event': float(m[2]), 'm_events_per_s': 1000 / float(m[2]),
                     'by_hand_ns': float(m[3]), 'share_percent': float(m[4]), 'target_percent': 40})
    for m in STATE.finditer(out):
        rows.append({'query': 'state of a buffered row', 'bytes_per_row': int(m[1])})
    return rows


# ---- S5, S6: from caches to memory to disk ----

KEYS = re.compile(r'keys/(\S+) keys=(\d+) budget=(\d+): ([\d.]+) ns/row processor, ([\d.]+) wall, (\d+) MiB resident, (-?\d+) bytes')


def keys(bench):
    rows = []
    for count in (1000,) if bench.brief else (1000, 100000, 10000000):
        for spread in ('uniform', 'zipf'):
            m = KEYS.search(bench.bench('keys', count, spread, 1000000 if bench.brief else 20000000))
            rows.append({'keys': '%s %s' % (format(count, ','), spread), 'cpu_ns': float(m[4]), 'wall_ns': float(m[5]),
                         'resident_mib': int(m[6]), 'bytes_per_key': int(m[7]) if count > 1000 else None})
    return rows


def spilled(bench):
    rows = []
    for query in ('q18', 'q19', 'q20'):
        inside = bench.nexmark(query, '--source', 'avro', rounds=2)
        state = os.path.join(bench.place, 'state')
        outside = bench.nexmark(query, '--source', 'avro', '--state-dir', state, rounds=2, env={'LEAT_STATE_BUDGET': '32MiB'})
        shutil.rmtree(state, ignore_errors=True)
        rows.append({'query': query, 'memory_wall_s': least(inside, 0), 'spilled_wall_s': least(outside, 0),
                     'share_percent': 100 * least(inside, 0) / least(outside, 0), 'memory_mib': least(inside, 2),
                     'spilled_mib': least(outside, 2), 'target_percent': 20})
    return rows


# ---- S7: latency ----

LATENCY = re.compile(r'latency/(\S+) (\S+) rate=(\d+): p50 ([\d.]+) ms, p99 ([\d.]+), p99.9 ([\d.]+), p99.99 ([\d.]+), max ([\d.]+);'
                     r' (\d+) results, (\d+) % of a core')


def latency(bench):
    out = bench.bench('latency', 1.5 if bench.brief else 6, *(['10000'] if bench.brief else []))
    return [{'job': '%s, %s/s%s' % (m[1], format(int(m[3]), ','), ', checkpoints' if m[2] == 'checkpoints' else ''),
             'p50_ms': float(m[4]), 'p99_ms': float(m[5]), 'p999_ms': float(m[6]), 'p9999_ms': float(m[7]),
             'max_ms': float(m[8]), 'results': int(m[9]), 'core_percent': int(m[10])} for m in LATENCY.finditer(out)]


# ---- S8 to S10: checkpoints, recovery, rescaling ----

RATE = re.compile(r'(\d+) keys, (\S+) +([\d.]+) M rows/s without, +([\d.]+) with: +([+-][\d.]+) %')
PAUSE = re.compile(r'(\d+) M keys, +(\d+) % of them dirty: +(\d+) checkpoints: pause p50 +([\d.]+) p99 +([\d.]+) ms; +(\d+) entries dirty,'
                   r' +(\d+) ms to the manifest')
AGAIN = re.compile(r'first output (\d+) ms after the start \((\d+) to (\d+)\), page cache cold: (\d+)')
DISK = re.compile(r'on disk: ([\d.]+) GiB')


def checkpoints(bench):
    rows = []
    if bench.brief:
        return rows
    for m in RATE.finditer(bench.bench('checkpoint', 'rates', 12, 4)):
        rows.append({'job': '%s keys, %s' % (format(int(m[1]), ','), m[2]), 'without_m_per_s': float(m[3]),
                     'with_m_per_s': float(m[4]), 'change_percent': float(m[5]), 'target_percent': -10})
    for gib, percent in ((0.1, 100), (1, 1), (1, 100)):
        m = PAUSE.search(bench.bench('checkpoint', 'pauses', gib, percent, 6))
        if not m:
            raise ValueError('bench_checkpoint pauses gave no figures')
        rows.append({'job': '%s GiB, %d %% dirty' % (gib, percent), 'pause_p50_ms': float(m[4]), 'pause_p99_ms': float(m[5]),
                     'manifest_ms': int(m[7]), 'ns_per_dirty_entry': 1e6 * int(m[7]) / max(1, int(m[6]))})
    return rows


def recovery(bench):
    rows = []
    for gib in () if bench.brief else (0.1, 1):
        place = os.path.join(bench.place, 'recovery')
        out = bench.bench('checkpoint', 'pauses', gib, 1, 3, place)
        m, size = AGAIN.search(out), DISK.search(out)
        for workers, label in ((1, 'recovery'), (2, 'rescale 1 to 2 workers'), (1, 'rescale 2 to 1 workers')):
            again = m if label == 'recovery' else AGAIN.search(bench.bench('checkpoint', 'recover', place, workers))
            rows.append({'job': '%s, %s GiB' % (label, gib), 'warm_ms': int(again[1]), 'cold_ms': int(again[4]),
                         'on_disk_gib': float(size[1]), 'warm_s_per_gib': int(again[1]) / 1000 / max(0.01, float(size[1]))})
        shutil.rmtree(place, ignore_errors=True)
    return rows


# ---- S11: footprint ----

IDLE = re.compile(r'a job that waits +([\d.]+) MB resident \(target \d+\), first record after ([\d.]+) ms')


def footprint(bench):
    rows = []
    libraries = [name for name in os.listdir(bench.build) if re.fullmatch(r'libleat\.so\.\d+\.\d+\.\d+', name)]
    for name in libraries:
        stripped = os.path.join(bench.place, name)
        bench.run(['strip', '-o', stripped, os.path.join(bench.build, name)])
        rows.append({'what': 'libleat.so, stripped', 'value': os.path.getsize(stripped) / 1024, 'unit': 'KiB'})
    m = IDLE.search(bench.bench('pipeline', 1, 20000))
    if not m:
        raise ValueError('bench_pipeline gave no figures')
    rows.append({'what': 'a job that waits, resident', 'value': float(m[1]), 'unit': 'MB', 'target': 20})
    rows.append({'what': 'start to first record', 'value': float(m[2]), 'unit': 'ms', 'target': 50})
    begun = time.monotonic()
    bench.run([os.path.join(bench.build, 'tools', 'leat'), 'version'])
    rows.append({'what': 'leat version, whole process', 'value': 1000 * (time.monotonic() - begun), 'unit': 'ms'})
    return rows


# ---- S13: two cores ----

HOT = re.compile(r'one hot key costs ([\d.]+) times')


def scaling(bench):
    rows = []
    for query in ('q0', 'q5', 'q8', 'q11', 'q17'):
        one, two = [], []
        for _ in range(1 if bench.brief else 3):  # in turn
            one += bench.nexmark(query, '--source', 'avro', rounds=1)
            two += bench.nexmark(query, '--source', 'avro', '--parallelism', 2, '--splits', 2, rounds=1)
        rows.append({'query': query, 'one_wall_s': least(one, 0), 'two_wall_s': least(two, 0),
                     'speedup': least(one, 0) / least(two, 0), 'target': None if query == 'q0' else 1.7})
    if not bench.brief:
        m = HOT.search(bench.bench('pre_aggregate', 3))
        rows.append({'query': 'one hot key beside 10,000 uniform ones, cost', 'speedup': float(m[1]), 'target': 2})
    return rows


# ---- beside others ----

def peers(bench):
    """Each query on Flink and on Leat, in turn; their results are compared. Flink's jar is built first."""
    beside = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'peers', 'flink-beside')
    rows = []
    for state in ('heap',) if bench.brief else ('heap', 'rocksdb'):
        out = bench.run([sys.executable, beside, bench.build, *(['q0'] if bench.brief else []), '--events', str(bench.events),
                         '--state', state, '--repeat', str(1 if bench.brief else 2)])
        if 'SKIPPED' in out:
            raise NotThere(out.strip())
        for row in json.loads(out.splitlines()[-1]):
            row['job'] = '%s, %s' % (row['query'], row['state'])
            row['result'] = 'same' if row['same_result'] else 'DIFFERS'
            rows.append(row)
    return rows


ALL = {
    'S1': Section('Sources, decoding, expressions', sources, [
        *QUERY_COLUMNS, ('avro_file_ns', 'from Avro files, ns', '%.0f'), ('jsonl_file_ns', 'from JSON lines, ns', '%.0f')],
                  SHARE_PLOT, 'One worker, input as Avro in memory, beside a loop by hand over the same bytes; the same from files. q10 and q13 have no target.'),
    'S2': Section('Windows', windows, [
        *QUERY_COLUMNS, ('times_of_one_slide', 'of one slide', '%.2f'), ('longest_call_ms', 'longest call, ms', '%.2f')],
                  SHARE_PLOT, 'Many slides of one window should cost what one costs; firing many keys should block nobody for 5 ms.'),
    'S3': Section('Joins', joins, [*QUERY_COLUMNS, ('bytes_per_row', 'bytes', '%d')], SHARE_PLOT),
    'S4': Section('Distinct counts, hot keys, top n, changelogs', queries('q15', 'q16', 'q17', 'q18', 'q19'),
                  QUERY_COLUMNS, SHARE_PLOT),
    'S5': Section('Keys, from caches to memory', keys, [
        ('keys', 'keys', '%s'), ('cpu_ns', 'processor, ns a row', '%.0f'), ('wall_ns', 'wall, ns a row', '%.0f'),
        ('resident_mib', 'resident MiB', '%d'), ('bytes_per_key', 'bytes a key', '%d')],
                  ('keys', [('cpu_ns', 'processor time a row')], 'ns'), 'Count and sum by key, every key there, one worker.'),
    'S6': Section('Ten times the memory', spilled, [
        ('query', 'query', '%s'), ('memory_wall_s', 'in memory, s', '%.2f'), ('spilled_wall_s', 'budget 32 MiB, s', '%.2f'),
        ('share_percent', 'share', '%.0f %%'), ('target_percent', 'target', '%d %%'), ('memory_mib', 'peak MiB', '%d'),
        ('spilled_mib', 'peak MiB with the budget', '%d')], None, 'Peaks include the input, about 180 MiB.'),
    'S7': Section('Latency at a fixed load', latency, [
        ('job', 'job', '%s'), ('p50_ms', 'p50 ms', '%.2f'), ('p99_ms', 'p99', '%.2f'), ('p999_ms', 'p99.9', '%.2f'),
        ('p9999_ms', 'p99.99', '%.2f'), ('max_ms', 'max', '%.2f'), ('results', 'results', '%d'),
        ('core_percent', 'of a core', '%d %%')], ('job', [('p50_ms', 'p50'), ('p99_ms', 'p99'), ('p999_ms', 'p99.9')], 'ms', 'log'),
                  'Open loop: from when a record was due, or its window had ended, to the sink. Checkpoints: one a second.'),
    'S8': Section('Checkpoints', checkpoints, [
        ('job', 'job', '%s'), ('without_m_per_s', 'M rows/s without', '%.1f'), ('with_m_per_s', 'with', '%.1f'),
        ('change_percent', 'change', '%+.1f %%'), ('target_percent', 'target', '%d %%'), ('pause_p50_ms', 'pause p50 ms', '%.2f'),
        ('pause_p99_ms', 'p99', '%.2f'), ('manifest_ms', 'to the manifest, ms', '%d'),
        ('ns_per_dirty_entry', 'ns a dirty entry', '%.0f')], None, 'A checkpoint every 4 s beside none; then one every 0.5 s.'),
    'S9': Section('Recovery and rescaling', recovery, [
        ('job', 'what', '%s'), ('warm_ms', 'first output, ms', '%d'), ('cold_ms', 'page cache cold, ms', '%d'),
        ('on_disk_gib', 'on disk GiB', '%.2f'), ('warm_s_per_gib', 's a GiB', '%.2f')],
                  ('job', [('warm_ms', 'warm'), ('cold_ms', 'page cache cold')], 'ms'), 'From the start of the job to its first output.'),
    'S11': Section('Footprint', footprint, [('what', 'what', '%s'), ('value', 'value', '%.1f'), ('unit', 'unit', '%s'),
                                            ('target', 'target', '%d')]),
    'S12': Section('Kafka', lambda bench: kafka.measure(bench, NotThere), kafka.COLUMNS, kafka.PLOT, kafka.NOTE),
    'S13': Section('Two workers on two cores', scaling, [
        ('query', 'query', '%s'), ('one_wall_s', 'one, s', '%.3f'), ('two_wall_s', 'two, s', '%.3f'),
        ('speedup', 'times', '%.2f'), ('target', 'target', '%.1f')], ('query', [('speedup', 'times as fast'), ('target', 'target')], 'x'),
                   'Wall time; needs a machine with nothing else to do. Input is decoded by two splits.'),
    'PEERS': Section('Beside Apache Flink', peers, [
        ('job', 'query, state', '%s'), ('leat_cpu_s', 'Leat, processor s', '%.3f'), ('flink_cpu_s', 'Flink, processor s', '%.2f'),
        ('ratio', 'times a core', '%.1f'), ('target', 'target', '%d'), ('leat_wall_s', 'Leat, wall s', '%.3f'),
        ('flink_wall_s', 'Flink, wall s', '%.2f'), ('flink_start_cpu_s', 'its start, s', '%.2f'),
        ('leat_mib', 'Leat MiB', '%d'), ('flink_mib', 'Flink MiB', '%d'), ('result', 'result', '%s')],
                     ('job', [('ratio', 'times as much on a core'), ('target', 'target')], 'x', 'log'),
                     'Flink 1.20, DataStream API, one worker each, the same Avro files, a checkpoint each second, least of two runs behind '
                     'one that warms up; what starting a job costs Flink is not counted. With RocksDB both have 1 GiB for it.', apart=True),
}
