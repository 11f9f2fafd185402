# tests/crash/crashlib.py -- what the tests that kill jobs share: inputs from a seed, Avro without Leat, running a job
# until it is killed or done, and what its output must be by the rules of the page of semantics.
#
# Nothing here uses Leat: the files are written and read by the few lines of Avro below, and the expected output
# follows from the definitions, one record after the other.

import atexit
import glob
import json
import os
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections import defaultdict

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, 'tests', 'scripts'))
import tap  # noqa: E402

SECOND = 1000000
OUT_OF_ORDER = 2 * SECOND
RUN_SECONDS_MAX = 300  # a run that takes longer hangs
# How long a test of the suite goes on with what it could do for hours.
SUITE_SECONDS = float(os.environ.get('LEAT_CRASH_SECONDS', '60'))
LOOK = SUITE_SECONDS < 15  # so short that it is a third of what the suite does, at most
START = 1767225600 * SECOND


class Wrong(AssertionError):
    """The output is not what it must be, or a run did not end as it may."""


# ---- Avro object container files: long, string and ["null", long], codecs null and deflate ----

def write_long(value):
    value = (value << 1) ^ (value >> 63)
    out = bytearray()
    while value & ~0x7f:
        out.append((value & 0x7f) | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def write_bytes(data):
    return write_long(len(data)) + data


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def long(self):
        value = shift = 0
        while True:
            byte = self.data[self.at]
            self.at += 1
            value |= (byte & 0x7f) << shift
            if byte < 0x80:
                return (value >> 1) ^ -(value & 1)
            shift += 7

    def bytes(self):
        size = self.long()
        self.at += size
        return self.data[self.at - size:self.at]


SAMPLE = json.dumps({'type': 'record', 'name': 'Sample', 'namespace': 'crash', 'fields': [
    {'name': 'id', 'type': 'long'}, {'name': 'key', 'type': 'string'}, {'name': 'value', 'type': 'long'},
    {'name': 'at', 'type': {'type': 'long', 'logicalType': 'timestamp-micros'}}]})


def write_samples(path, rows, codec, block_rows=100):
    """rows: (id, key, value, at)."""
    sync = bytes(random.Random(path).randrange(256) for _ in range(16))
    with open(path, 'wb') as file:
        file.write(b'Obj\1' + write_long(2) + write_bytes(b'avro.codec') + write_bytes(codec.encode()) +
                   write_bytes(b'avro.schema') + write_bytes(SAMPLE.encode()) + write_long(0) + sync)
        for first in range(0, len(rows), block_rows):
            block = rows[first:first + block_rows]
            data = b''.join(write_long(i) + write_bytes(key.encode()) + write_long(value) + write_long(at)
                            for i, key, value, at in block)
            if codec == 'deflate':
                packer = zlib.compressobj(6, zlib.DEFLATED, -15)
                data = packer.compress(data) + packer.flush()
            file.write(write_long(len(block)) + write_bytes(data) + sync)


def read_records(path):
    """Rows of a file of flat records as dictionaries."""
    with open(path, 'rb') as file:
        reader = Reader(file.read())
    if reader.data[:4] != b'Obj\1':
        raise Wrong('%s: not an Avro file' % path)
    reader.at = 4
    meta = {}
    while True:
        count = reader.long()
        if count == 0:
            break
        if count < 0:
            reader.long()
        for _ in range(abs(count)):
            name = reader.bytes().decode()
            meta[name] = reader.bytes()
    sync = reader.data[reader.at:reader.at + 16]
    reader.at += 16
    fields = json.loads(meta['avro.schema'])['fields']
    deflate = meta.get('avro.codec') == b'deflate'
    rows = []
    while reader.at < len(reader.data):
        count, data = reader.long(), reader.bytes()
        block = Reader(zlib.decompress(data, -15) if deflate else data)
        rows += [{field['name']: read_value(block, field['type']) for field in fields} for _ in range(count)]
        if reader.data[reader.at:reader.at + 16] != sync:
            raise Wrong('%s: a block is torn' % path)
        reader.at += 16
    return rows


def read_value(reader, kind):
    if isinstance(kind, dict):
        kind = kind['type']
    if isinstance(kind, list):
        kind = kind[reader.long()]
    if kind in ('long', 'int'):
        return reader.long()
    if kind == 'string':
        return reader.bytes().decode()
    if kind == 'null':
        return None
    raise Wrong('no reader for %s' % kind)


# ---- inputs ----

def make_samples(rng, count, keys, first_id, step_us):
    """Times that rise, with jitter within the disorder that is allowed, some late rows and some too late."""
    rows, now = [], START
    for i in range(count):
        now += rng.randrange(2 * step_us)
        jitter = rng.random()
        if jitter < 0.02:
            at = now - rng.randrange(4, 40) * SECOND
        elif jitter < 0.10:
            at = now - rng.randrange(2, 8) * SECOND
        else:
            at = now - rng.randrange(OUT_OF_ORDER)
        rows.append((first_id + i, 'key-%d' % rng.randrange(keys), rng.randrange(-20, 100), at))
    return rows


def watermarked(rows):
    """(row, watermark of its split before it): semantics 1 and decision 0002."""
    newest = None
    for row in rows:
        yield row, (newest - OUT_OF_ORDER - 1 if newest is not None else -1 << 63)
        newest = row[3] if newest is None else max(newest, row[3])


class Input:
    """The files of a seed, and what comes out of each job."""

    def __init__(self, folder, seed=None, count=0):
        """Makes them, or without a seed takes the ones that are there."""
        self.folder = folder
        os.makedirs(folder, exist_ok=True)
        if seed is not None:
            self.make(random.Random(seed), count)
        self.splits = [self.read(os.path.basename(path)) for path in
                       sorted(glob.glob(os.path.join(folder, 'events-*.avro')))]
        self.left, self.right = self.read('left.avro'), self.read('right.avro')
        self.windows = self.expect_windows()
        self.pairs = self.expect_join()
        self.outer = self.expect_outer()
        self.buckets = self.expect_timers()

    def make(self, rng, count):
        for i in range(3):
            rows = make_samples(rng, count // 3 + rng.randrange(100), 12, 1000000 * i, 20000)
            self.write('events-%d.avro' % i, rows, ('null', 'deflate')[i % 2])
        self.write('left.avro', make_samples(rng, count // 2, 8, 0, 20000), 'deflate')
        self.write('right.avro', make_samples(rng, count // 2, 8, 5000000, 20000), 'null')

    def write(self, name, rows, codec):
        write_samples(os.path.join(self.folder, name), rows, codec)

    def read(self, name):
        return [(row['id'], row['key'], row['value'], row['at'])
                for row in read_records(os.path.join(self.folder, name))]

    def expect_windows(self):
        """Last panes by (key, start), all rows that pass in the order of their splits, ids of rows too late."""
        size, lateness = 10 * SECOND, 5 * SECOND
        panes, passed, late = {}, [], []
        for rows in self.splits:
            passed.append([row[0] for row in rows if row[2] >= 0])
            for (i, key, value, at), w in watermarked(rows):
                start = at - at % size
                if value < 0:
                    continue
                if at <= w and w >= start + size - 1 + lateness:
                    late.append(i)
                    continue
                add(panes, (key, start), value)
        return panes, passed, sorted(late)

    def expect_join(self):
        """Last panes of the windows over all pairs."""
        size, lateness = 30 * SECOND, 2 * SECOND
        left = [row for row, w in watermarked(self.left) if row[3] > w - lateness]
        right = defaultdict(list)
        for row, w in watermarked(self.right):
            if row[3] > w - lateness:
                right[row[1]].append(row)
        panes = {}
        for _, key, value, at in left:
            for _, _, other, other_at in right[key]:
                if at - 3 * SECOND <= other_at <= at + 1 * SECOND:
                    when = max(at, other_at)
                    add(panes, (key, when - when % size), value * 1000 + other)
        return panes

    def expect_outer(self):
        """Pairs of ids, one of them None where there is no partner; ids that are too late on the left, on the right."""
        lateness, sides, late = 2 * SECOND, [], []
        for rows in (self.left, self.right):
            marked = list(watermarked(rows))
            sides.append([row for row, w in marked if row[3] > w - lateness])
            late.append([row[0] for row, w in marked if row[3] <= w - lateness])
        by_key = defaultdict(list)
        for row in sides[1]:
            by_key[row[1]].append(row)
        pairs, matched = [], set()
        for i, key, value, at in sides[0]:
            found = [row for row in by_key[key]
                     if at + 1 * SECOND <= row[3] <= at + 4 * SECOND and value <= row[2]]
            pairs += [(key, i, row[0]) for row in found] or [(key, i, None)]
            matched.update(row[0] for row in found)
        pairs += [(row[1], None, row[0]) for row in sides[1] if row[0] not in matched]
        return pairs, late[0], late[1]

    def expect_timers(self):
        size = 5 * SECOND
        sums = {}
        for rows in self.splits:
            for _, key, value, at in rows:
                add(sums, (key, at - at % size), value)
        return {bucket: value[:2] for bucket, value in sums.items()}


def add(panes, key, value):
    count, total, largest = panes.get(key, (0, 0, None))
    panes[key] = (count + 1, total + value, value if largest is None else max(largest, value))


# ---- outputs ----

def visible(folder, ending):
    """Files with a proper name, those of one subtask in the order of their numbers."""
    def order(path):
        return [int(text) for text in re.findall(r'\d+', os.path.basename(path))]
    return sorted(glob.glob(os.path.join(folder, 'part-*' + ending)), key=order)


def read_lines(path):
    with open(path, encoding='utf-8') as file:
        text = file.read()
    if text and not text.endswith('\n'):
        raise Wrong('%s: its last line is torn' % path)
    return [json.loads(line) for line in text.splitlines()]


def hidden(folder):
    return [path for path in glob.glob(os.path.join(folder, '**', '.*'), recursive=True) if os.path.isfile(path)]


def compare(what, found, wanted):
    """Two dictionaries."""
    if found == wanted:
        return
    missing = sorted(set(wanted) - set(found))
    surplus = sorted(set(found) - set(wanted))
    other = sorted(key for key in set(found) & set(wanted) if found[key] != wanted[key])
    raise Wrong('%s: %d missing %s, %d too much %s, %d different %s' % (
        what, len(missing), missing[:3], len(surplus), surplus[:3], len(other),
        [(key, found[key], wanted[key]) for key in other[:3]]))


def check_panes(what, rows, wanted):
    """Of each window: panes 0, 1, 2, ... once each; the last one is the result over all its records."""
    panes = defaultdict(dict)
    for row in rows:
        key = (row['key'], row['window_start'])
        if row['pane_index'] in panes[key]:
            raise Wrong('%s: pane %d of %s is there twice' % (what, row['pane_index'], key))
        panes[key][row['pane_index']] = row
    for key, indexes in panes.items():
        if sorted(indexes) != list(range(len(indexes))):
            raise Wrong('%s: %s has panes %s' % (what, key, sorted(indexes)))
    compare(what, {key: (indexes[len(indexes) - 1]['count'], indexes[len(indexes) - 1]['total'],
                         indexes[len(indexes) - 1]['largest']) for key, indexes in panes.items()}, wanted)


def check_windows(data, out):
    panes, passed, late = data.windows
    rows = [row for path in visible(os.path.join(out, 'totals'), '.avro') for row in read_records(path)]
    check_panes('totals', rows, panes)
    ids = [row['id'] for path in visible(os.path.join(out, 'passed'), '.jsonl') for row in read_lines(path)]
    compare('passed', counted(ids), counted(i for rows in passed for i in rows))
    check_order(out, passed)
    ids = [row['id'] for path in visible(os.path.join(out, 'late'), '.jsonl') for row in read_lines(path)]
    compare('late', counted(ids), counted(late))


def check_order(out, passed):
    """In each part file the rows of a split stand in their order."""
    place = {i: (split, at) for split, ids in enumerate(passed) for at, i in enumerate(ids)}
    for path in visible(os.path.join(out, 'passed'), '.jsonl'):
        last = {}
        for row in read_lines(path):
            split, at = place[row['id']]
            if last.get(split, -1) >= at:
                raise Wrong('%s: row %d stands behind a later one' % (path, row['id']))
            last[split] = at


def counted(values):
    counts = defaultdict(int)
    for value in values:
        counts[value] += 1
    return dict(counts)


def check_join(data, out):
    check_panes('sums', read_lines(os.path.join(out, 'sums.jsonl')), data.pairs)


def check_outer(data, out):
    pairs, late_left, late_right = data.outer
    rows = part_rows(out, 'pairs')
    compare('pairs', counted((row["key"], row['left_id'], row['right_id']) for row in rows), counted(pairs))
    compare('late-left', counted(row['id'] for row in part_rows(out, 'late-left')), counted(late_left))
    compare('late-right', counted(row['id'] for row in part_rows(out, 'late-right')), counted(late_right))


def part_rows(out, folder):
    return [row for path in visible(os.path.join(out, folder), '.jsonl') for row in read_lines(path)]


def check_given(data, rows):
    """Each key numbers its rows: none is missing, none twice; all that came for a bucket is in one of its rows."""
    numbers, sums = defaultdict(list), {}
    for row in rows:
        if row['count'] <= 0:
            raise Wrong('a timer of %s at %d without its state' % (row['key'], row['bucket']))
        numbers[row['key']].append(row['number'])
        count, total = sums.get((row['key'], row['bucket']), (0, 0))
        sums[row['key'], row['bucket']] = (count + row['count'], total + row['total'])
    for key, found in numbers.items():
        if sorted(found) != list(range(len(found))):
            twice = [number for number, count in counted(found).items() if count > 1]
            raise Wrong('%s gave %d rows, numbers up to %d, twice: %s' % (key, len(found), max(found), twice[:5]))
    compare('buckets', sums, data.buckets)


def check_timers(data, out):
    rows = []
    for path in visible(os.path.join(out, 'given'), '.jsonl'):
        part = read_lines(path)
        last = {}
        for row in part:
            if last.get(row['key'], -1) >= row['number']:
                raise Wrong('%s: row %d of %s stands behind a later one' % (path, row['number'], row['key']))
            last[row['key']] = row['number']
        rows += part
    check_given(data, rows)


def check_ledger(data, out):
    check_given(data, ledger_rows(os.path.join(out, 'ledger')))


def ledger_rows(path):
    """What readers of the ledger see: tests/support/ledger_sink.h says what its lines mean."""
    slots, seen = {}, []
    with open(path, encoding='utf-8') as file:
        lines = file.read().split('\n')[:-1]
    for line in lines:
        if not re.search(r' #[0-9a-f]{16}$', line):  # cut off: never received
            continue
        kind, slot, *rest = line.split(' ', 2)
        state = slots.setdefault(slot, {'producer': None, 'open': None, 'late': None})
        if kind == 'F':
            state.update(producer=rest[0].split(' ')[0], open=None)
        elif kind in 'BRMEAD' and rest[0].split(' ')[0] != state['producer']:
            continue
        elif kind == 'B':
            state['open'] = []
        elif kind == 'R' and state['open'] is not None:
            state['open'].append(rest[0])
        elif kind == 'E' and state['open'] is not None:
            seen += state['open']
            state['open'] = None
        elif kind in 'AX':
            state['open'] = None
    return [json.loads(text[text.index('{'):text.rindex('}') + 1]) for text in seen]


class Broker:
    """The test broker (tests/kafka/README.md): one for all runs of a script, each with a topic of its own. Where
    LEAT_TEST_BOOTSTRAP says where another one is, that."""

    one = None

    def __init__(self, build):
        self.folder = tempfile.mkdtemp(prefix='leat-broker-')
        self.control = os.path.join(self.folder, 'control')
        self.topics = 0
        self.process = subprocess.Popen([os.path.join(build, 'tests', 'kafka_broker'), '--control', self.control, '--with-parent'],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.address = self.process.stdout.readline().strip()
        atexit.register(self.stop)

    @classmethod
    def get(cls, build):
        address = os.environ.get('LEAT_TEST_BOOTSTRAP')
        cls.one = cls.one or (RealBroker(build, address) if address else Broker(build))
        return cls.one

    def stop(self):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def new_topic(self):
        self.topics += 1
        return 'given-%d' % self.topics

    def command(self, line):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as control:
            control.connect(self.control)
            control.sendall((line + '\n').encode())
            control.shutdown(socket.SHUT_WR)
            text = b''
            while chunk := control.recv(1 << 16):
                text += chunk
        first, _, rest = text.decode().partition('\n')
        if not first.startswith('ok'):
            raise Wrong('the broker on "%s": %s' % (line, first))
        return rest

    def rows(self, topic):
        """What a read_committed reader sees, by partition and in order."""
        rows = []
        for line in self.command('dump ' + topic).splitlines():
            partition, _, _, _, value = line.split(' ', 4)
            text = re.sub(r'\\x([0-9a-fA-F]{2})', lambda byte: chr(int(byte.group(1), 16)), value)
            rows.append((int(partition), json.loads(text)))
        return rows


class RealBroker(Broker):
    """Apache Kafka at LEAT_TEST_BOOTSTRAP, read by kcat."""

    def __init__(self, build, address):  # there is no process to start
        self.address, self.topics, self.run = address, 0, '%x-%x' % (os.getpid(), int(time.time()))

    def new_topic(self):
        self.topics += 1
        return 'given-%s-%d' % (self.run, self.topics)

    def rows(self, topic):
        done = subprocess.run(['kcat', '-b', self.address, '-q', '-C', '-t', topic, '-o', 'beginning', '-e', '-X',
                               'isolation.level=read_committed', '-f', '%p\\t%o\\t%s\\n'],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Wrong('kcat on %s: %s' % (topic, done.stderr))
        rows = sorted((int(partition), int(offset), value) for partition, offset, value in
                      (line.split('\t', 2) for line in done.stdout.splitlines()))
        return [(partition, json.loads(value)) for partition, _, value in rows]


def check_kafka(data, out):
    with open(os.path.join(out, 'topic'), encoding='utf-8') as file:
        rows = Broker.one.rows(file.read())
    last = {}
    for partition, row in rows:
        if last.get(row['key'], (partition, -1)) >= (partition, row['number']):
            raise Wrong('row %d of %s in partition %d stands behind a later one, or in another' %
                        (row['number'], row['key'], partition))
        last[row['key']] = (partition, row['number'])
    check_given(data, [row for _, row in rows])


CHECKS = {'windows': check_windows, 'join': check_join, 'outer': check_outer, 'timers': check_timers, 'ledger': check_ledger, 'kafka': check_kafka}
JOBS = {'windows': 'crash-windows', 'join': 'crash-join', 'outer': 'crash-outer', 'timers': 'crash-timers', 'ledger': 'crash-timers',
        'kafka': 'crash-timers'}


# ---- runs ----

def jobs_of(build, wanted=None):
    """The names of JOBS that run in this build, or the one wanted; says aloud what does not, and ends if that is all."""
    names = [wanted] if wanted else sorted(JOBS)
    if 'kafka' in names and not tap.follows_kafka(build):
        print('# the job kafka is left out: %s' % tap.NO_KAFKA, flush=True)
        names.remove('kafka')
    if not names:
        sys.exit(77)
    return names


class Run:
    """One job with its directories: started as often as it takes."""

    def __init__(self, build, name, data, folder, pace=1000, interval='4ms', restarts='--no-restart'):
        self.build, self.name, self.data, self.folder = build, name, data, folder
        self.pace, self.interval = pace, interval
        self.out, self.checkpoints = os.path.join(folder, 'out'), os.path.join(folder, 'checkpoints')
        self.commands, self.restarts = [], restarts
        self.variables = {}
        os.makedirs(self.out, exist_ok=True)
        if name == 'kafka':
            broker = Broker.get(build)
            self.variables = {'LEAT_KAFKA_BROKERS': broker.address, 'LEAT_CRASH_TOPIC': broker.new_topic()}
            with open(os.path.join(self.out, 'topic'), 'w', encoding='utf-8') as file:
                file.write(self.variables['LEAT_CRASH_TOPIC'])

    def command(self, *options):
        return [os.path.join(self.build, 'tests', 'crash', self.name), '--input', self.data.folder, '--output', self.out,
                '--pace', str(self.pace), '--checkpoint-dir', self.checkpoints, '--checkpoint-interval', self.interval,
                *self.restarts.split(), *options]

    def start(self, *options, variables=None):
        command = self.command(*options)
        variables = dict(self.variables, **(variables or {}))
        self.commands.append(' '.join('%s=%s' % item for item in variables.items()) + ' ' + ' '.join(command))
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                text=True, env=dict(os.environ, **variables))

    def run(self, *options, variables=None):
        """Exit code (negative: the signal) and output."""
        child = self.start(*options, variables=variables)
        try:
            text, _ = child.communicate(timeout=RUN_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            child.kill()
            text, _ = child.communicate()
            raise Wrong('a run hangs (%d s): %s\n%s' % (RUN_SECONDS_MAX, self.commands[-1], text)) from None
        if 'Sanitizer' in text or 'runtime error: ' in text:  # whatever the exit code
            raise Wrong('a sanitizer: %s\n%s' % (self.commands[-1], text))
        return child.returncode, text

    def finish(self, *options, variables=None):
        """A run that must come to its end, and the output that it must leave."""
        code, text = self.run(*options, variables=variables)
        if code != 0:
            raise Wrong('exit code %d: %s\n%s' % (code, self.commands[-1], text))
        self.check()

    def check_rows(self):
        try:
            CHECKS[self.name](self.data, self.out)
        except (OSError, ValueError, KeyError, IndexError, struct.error, zlib.error) as error:
            raise Wrong('the output can not be read: %s: %s' % (type(error).__name__, error)) from error

    def check(self):
        self.check_rows()
        left = hidden(self.out)
        if left and self.name not in ('ledger', 'kafka'):
            raise Wrong('left behind: %s' % left[:5])

    def story(self):
        """What was run, for a failure."""
        return '\n'.join('    ' + command for command in self.commands)


def preload(build):
    """LD_PRELOAD for the shim, with the library of the address sanitizer before it where the build has it."""
    programs = subprocess.run(['ldd', os.path.join(build, 'tests', 'crash', 'windows')], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, text=True, check=False).stdout
    sanitizer = re.findall(r'=> (\S*/libasan\S*)', programs)
    return ' '.join(sanitizer + [os.path.abspath(os.path.join(build, 'tests', 'crash', 'shim.so'))])


def points():
    """Names of the kill points, from the header."""
    with open(os.path.join(ROOT, 'base', 'point.h'), encoding='utf-8') as file:
        return re.findall(r'X\([A-Z_]+,\s+"([a-z-]+)"', file.read())


def killed(code):
    return code == -signal.SIGKILL
