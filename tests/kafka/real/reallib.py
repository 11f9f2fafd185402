# tests/kafka/real/reallib.py -- what the tests against Apache Kafka share: its tools and kcat as clients that are not Leat,
# messages from a seed, jobs, and what their output must be.
#
# Nothing here uses Leat to read: what is written is read by kcat, or by the console consumer of the distribution, with
# isolation.level=read_committed; the partition of a key is computed here, as Java's producers do.

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
sys.path.insert(0, os.path.join(ROOT, 'tests', 'scripts'))
import tap  # noqa: E402

WINDOW = 10 * 1000000
START = 1767225600 * 1000000
STEP = 20000  # microseconds from one event to the next, at most twice as much
RUN_SECONDS_MAX = 240
KILLS_LEAST = 5
LIFE_SECONDS_MAX = 3.0  # of a process that is killed: some time before it writes, some while it does


class Wrong(AssertionError):
    """The output is not what it must be, or a process did not end as it may."""


def call(*command, given=None, seconds=RUN_SECONDS_MAX, **options):
    """Standard output; anything but exit code 0 is wrong."""
    done = subprocess.run(command, input=given, stdin=None if given is not None else subprocess.DEVNULL, timeout=seconds,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, **options)
    if done.returncode != 0:
        raise Wrong('%s: exit code %d: %s' % (' '.join(command), done.returncode, done.stderr.decode(errors='replace')))
    return done.stdout


children = []  # of this program that may still run


def begin(command, **options):
    """A process beside this one, which end_all ends."""
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, **options)
    children.append(child)
    return child


def end_all(*_):
    """On SIGTERM: nothing is left behind, not even what stands still."""
    for child in children:
        if child.poll() is None:
            child.kill()
    os._exit(1)


def wait_until(what, is_so, seconds=120):
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            raise Wrong('waited for %d s until %s' % (seconds, what))
        time.sleep(0.05)


# ---- the broker and clients of it ----

class Kafka:
    """One broker, and topics of this run."""

    def __init__(self, build, address, directory):
        self.build, self.address, self.directory = build, address, directory
        self.run = '%x%x' % (os.getpid(), int(time.time()))

    def name(self, text):
        return '%s-%s' % (text, self.run)

    def script(self, *words):
        return call(os.path.join(ROOT, 'scripts', 'kafka'), *words, '--dir', self.directory)

    def create(self, topic, partitions, *configs):
        words = [word for config in ('retention.ms=-1', *configs) for word in ('--config', config)]
        call(os.path.join(self.build, 'tools', 'leat'), 'topic', 'create', topic, '--partitions', str(partitions), *words,
             '--brokers', self.address)

    def grow(self, topic, partitions):
        self.tool('org.apache.kafka.tools.TopicCommand', '--bootstrap-server', self.address, '--alter', '--topic', topic, '--partitions',
                  str(partitions))

    def tool(self, name, *words, given=None):
        """A program of the distribution."""
        return call(os.path.join(ROOT, 'scripts', 'kafka'), 'tool', name, *words, given=given)

    def kcat(self, *words, given=None):
        return call('kcat', '-b', self.address, '-q', *words, given=given)

    def write(self, topic, lines, *words):
        """By kcat: lines are bytes, a key, a tab and a value each; it spreads them by a hash of its own."""
        self.kcat('-P', '-t', topic, '-K', '\t', '-X', 'enable.idempotence=true', *words, given=b''.join(lines))

    def write_java(self, topic, lines):
        """The same by the console producer, which has Java's hash, and would give up after some seconds."""
        self.tool('kafka.tools.ConsoleProducer', '--bootstrap-server', self.address, '--topic', topic, '--property', 'parse.key=true',
                  '--producer-property', 'enable.idempotence=true', '--request-timeout-ms', '60000',
                  '--producer-property', 'delivery.timeout.ms=120000', given=b''.join(lines))

    def reading(self, topic, *words):
        return ['kcat', '-b', self.address, '-q', '-C', '-t', topic, '-o', 'beginning', '-X',
                'isolation.level=read_committed', '-f', '%p\\t%o\\t%k\\t%S\\t%s\\n', *words]

    def read(self, topic):
        """(partition, offset, key, value) of all that is committed, value None for none; by partition and in order."""
        return sorted(messages(call(*self.reading(topic, '-e'))), key=lambda row: row[:2])

    def read_java(self, topic, count):
        """(key, value) of so many messages, as the console consumer sees them."""
        out = self.tool('org.apache.kafka.tools.consumer.ConsoleConsumer', '--bootstrap-server', self.address, '--topic', topic, '--from-beginning',
                        '--isolation-level', 'read_committed', '--property', 'print.key=true', '--max-messages',
                        str(count), '--timeout-ms', '60000')
        return [tuple(line.split(b'\t', 1)) for line in out.splitlines() if b'\t{' in line]  # it logs there, too


def messages(text):
    rows = []
    for line in text.split(b'\n')[:-1]:
        partition, offset, key, size, value = line.split(b'\t', 4)
        rows.append((int(partition), int(offset), key, None if size == b'-1' else value))
    return rows


def murmur2(data):
    """Of Java's producers (32 bits, without their sign)."""
    mask, m = 0xffffffff, 0x5bd1e995
    h = 0x9747b28c ^ len(data)
    whole = len(data) & ~3
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i:i + 4], 'little') * m & mask
        k = (k ^ k >> 24) * m & mask
        h = h * m & mask ^ k
    if data[whole:]:
        h = (h ^ int.from_bytes(data[whole:], 'little')) * m & mask
    h = (h ^ h >> 13) * m & mask
    return (h ^ h >> 15) & 0x7fffffff


# ---- messages ----

def make_events(seed, count, keys, first=0):
    """Lines for the producers. Times rise, so that in no partition one is late."""
    rng, at, lines = random.Random(seed), START + first * STEP * 2, []
    for i in range(first, first + count):
        at += rng.randrange(2 * STEP)
        lines.append(b'key-%d\t{"id":%d,"value":%d,"at":%d}\n' % (rng.randrange(keys), i, rng.randrange(-20, 100), at))
    return lines


def values(rows):
    return [dict(json.loads(value), key=key.decode()) for _, _, key, value in rows]


# ---- jobs ----

class Job:
    """A program with its checkpoints: started as often as it takes. Output topics are NAME.copies and the like."""

    def __init__(self, kafka, program, name, source, *options, pace=0, interval='40ms'):
        self.kafka, self.program, self.name, self.source = kafka, program, name, source
        self.pace, self.interval, self.options = pace, interval, options
        self.folder = tempfile.mkdtemp(prefix='leat-real-')
        self.folders, self.commands = [self.folder], []

    def topic(self, text):
        return '%s.%s' % (self.name, text)

    def start(self, *options, pace=None, variables=None):
        command = [os.path.join(self.kafka.build, 'tests', 'kafka-real', self.program), '--from', self.source, '--to',
                   self.name, '--pace', str(self.pace if pace is None else pace), '--checkpoint-dir', self.folder,
                   '--checkpoint-interval', self.interval, '--quiet', *self.options, *options]
        variables = dict(variables or {}, LEAT_KAFKA_BROKERS=self.kafka.address)
        self.commands.append(' '.join('%s=%s' % item for item in variables.items()) + ' ' + ' '.join(command))
        return begin(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                     env=dict(os.environ, **variables))

    def end(self, child, code=0):
        """Waits for it; what it said."""
        try:
            text, _ = child.communicate(timeout=RUN_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            child.kill()
            text, _ = child.communicate()
            raise Wrong('it hangs (%d s): %s\n%s' % (RUN_SECONDS_MAX, self.commands[-1], text)) from None
        if code is not None and child.returncode != code:
            raise Wrong('exit code %d, not %d: %s\n%s' % (child.returncode, code, self.commands[-1], text))
        return text

    def run(self, *options, **named):
        return self.end(self.start(*options, **named))

    def copy_checkpoints(self):
        """As where another machine has a copy: what starts from now on works in that."""
        copy = tempfile.mkdtemp(prefix='leat-real-')
        self.folders.append(copy)
        shutil.copytree(os.path.join(self.folder, self.name), os.path.join(copy, self.name),
                        ignore=shutil.ignore_patterns('control'))  # a socket
        self.folder = copy

    def remove(self):
        for folder in self.folders:
            shutil.rmtree(folder, ignore_errors=True)

    def story(self):
        return '\n'.join('    ' + command for command in self.commands)


def end_process(child):
    if child.poll() is None:
        child.kill()
        child.wait()
    if child.stdout:
        child.stdout.close()


def is_stopped(child):
    with open('/proc/%d/stat' % child.pid, encoding='utf-8') as file:
        return file.read().rsplit(')', 1)[1].split()[0] == 'T'


# ---- what must come of them ----

def differences(what, found, wanted):
    """Two dictionaries."""
    if found == wanted:
        return
    missing, surplus = sorted(set(wanted) - set(found)), sorted(set(found) - set(wanted))
    other = sorted(key for key in set(found) & set(wanted) if found[key] != wanted[key])
    raise Wrong('%s: %d lost %s, %d too much %s, %d different %s' % (
        what, len(missing), missing[:3], len(surplus), surplus[:3], len(other),
        [(key, found[key], wanted[key]) for key in other[:3]]))


def counted(items):
    counts = defaultdict(int)
    for item in items:
        counts[item] += 1
    return dict(counts)


def check_copies(given, copies, partitions):
    """Each message once, where Java would put it, those of an input partition in order. `partitions`: the numbers that the topic
    had, one after the other."""
    wanted = {(partition, offset): (key, json.loads(value)['id']) for partition, offset, key, value in given}
    found, last, stage = [], {}, {}
    for partition, offset, key, value in copies:
        row = json.loads(value)
        place = row['part'], row['off']
        found.append(place)
        if wanted.get(place, (key, row['id'])) != (key, row['id']):
            raise Wrong('copies: %s is not what lies there' % row)
        if last.get((partition, place[0]), -1) >= place[1]:
            raise Wrong('copies: partition %d at %d: %s stands behind a later one' % (partition, offset, row))
        last[partition, place[0]] = place[1]
        choices = [murmur2(key) % count for count in partitions]
        if partition not in choices:
            raise Wrong('copies: %s is in partition %d, not in %s' % (row, partition, choices))
    differences('copies', counted(found), dict.fromkeys(wanted, 1))


def check_totals(given, totals):
    """Each window of each key once, with all that came for it."""
    wanted = {}
    for row in values(given):
        window = row['key'], row['at'] - row['at'] % WINDOW
        count, total = wanted.get(window, (0, 0))
        wanted[window] = count + 1, total + row['value']
    rows = values(totals)
    found = {(row['key'], row['window_start']): (row['count'], row['total']) for row in rows}
    differences('totals', found, wanted)
    differences('totals', counted((row['key'], row['window_start']) for row in rows), dict.fromkeys(wanted, 1))


def check_all(job, partitions):
    """Of the job counts: how many messages, and how many windows."""
    kafka = job.kafka
    given, copies, totals = kafka.read(job.source), kafka.read(job.topic('copies')), kafka.read(job.topic('totals'))
    check_copies(given, copies, partitions)
    check_totals(given, totals)
    return len(given), len(totals)


# ---- kills ----

class Kills:
    """Starts a job and kills it at random moments, with other options each time."""

    def __init__(self, seed, most, seconds):
        self.rng, self.most, self.seconds = random.Random(seed), most, seconds
        self.count, self.began = 0, None
        self.writing = 0  # of processes that had written

    def go_on(self):
        """Not for longer than it should, but for a few however slow the machine is."""
        self.began = self.began or time.monotonic()
        return self.count < min(self.most, KILLS_LEAST) or (
            self.count < self.most and time.monotonic() < self.began + self.seconds)

    def options(self):
        rng = self.rng
        return ['--parallelism', str(rng.choice([1, 1, 2, 3])), '--batch-rows', str(rng.choice([16, 64, 256])),
                '--state-budget', rng.choice(['1B', '64KiB', '64MiB'])]

    def one(self, job):
        """Whether the job has come to its end."""
        child = job.start(*self.options(), '--no-restart')
        try:
            time.sleep(self.rng.uniform(0.05, LIFE_SECONDS_MAX))
            child.send_signal(signal.SIGKILL)
            text, _ = child.communicate(timeout=RUN_SECONDS_MAX)
        finally:
            end_process(child)
        if child.returncode == -signal.SIGKILL:
            self.count += 1
            return False
        if child.returncode != 0:
            raise Wrong('exit code %d: %s\n%s' % (child.returncode, job.commands[-1], text))
        return True
