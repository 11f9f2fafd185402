# tests/integration/jobslib.py -- what the tests of job programs share: running them, looking at what they leave.

import os
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'scripts'))
import tap  # noqa: E402

BUILD = os.path.abspath(sys.argv[1])
NOBODY = 65534
# Sanitizers make a job many times slower.
SECONDS_MAX = 300
# Jobs inherit what is ignored: SIGHUP under nohup, SIGINT behind a shell's &.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)


def job(name):
    """The path of a job program of tests/integration/jobs."""
    return os.path.join(BUILD, 'tests', 'jobs', name)


class Done:
    """How a program ended and what it wrote."""

    def __init__(self, code, out, err):
        self.code = code
        self.out = out
        self.err = err

    def __repr__(self):
        return 'exit code %s\n-- standard output\n%s-- standard error\n%s' % (self.code, self.out, self.err)


def run(*command, stdin=None, **options):
    """Runs a program; stdin is a text, None for none."""
    if stdin is not None:
        options['input'] = stdin
    else:
        options.setdefault('stdin', subprocess.DEVNULL)
    options.setdefault('stdout', subprocess.PIPE)
    done = subprocess.run(command, stderr=subprocess.PIPE, timeout=SECONDS_MAX, check=False, text=True, **options)
    return Done(done.returncode, done.stdout, done.stderr)


def copy(*arguments, **options):
    return run(job('copy'), *arguments, **options)


def expect(done, code, *texts):
    """The exit code, and each text somewhere on standard error."""
    if done.code != code:
        raise AssertionError('wanted exit code %d: %r' % (code, done))
    for text in texts:
        if text not in done.err:
            raise AssertionError('wanted "%s" on standard error: %r' % (text, done))


def fails(done, code, *texts):
    """An error is one line that begins as all do."""
    expect(done, code, *texts)
    lines = [line for line in done.err.splitlines() if line.startswith('leat: error: ')]
    if len(lines) != 1:
        raise AssertionError('wanted one line of error: %r' % done)


def left(*path):
    """All names below a directory, hidden ones too."""
    top = os.path.join(*path)
    return sorted(os.path.relpath(os.path.join(folder, name), top) for folder, _, names in os.walk(top) for name in names)


def payments(first, last, **fields):
    """Lines of JSON as the jobs write them."""
    lines = []
    for i in range(first, last + 1):
        lines.append('{"id":%d,"customer":"%s","cents":%d,"paid_at":%d,"note":null}\n' % (
            i, fields.get('customer', 'c%d' % (i % 7)), fields.get('cents', 100 * i), 1767225600000 + 1000 * i))
    return ''.join(lines)


def read(tree, *path):
    with open(os.path.join(tree.path, *path), encoding='utf-8') as file:
        return file.read()


def without_rights(path):
    """Options that run a program as a user who may not write to a directory or read a file of root's."""
    if os.getuid() != 0:
        return {}
    # The program itself must be reachable for that user.
    try:
        probe = subprocess.run([job('copy'), '--version'], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, check=False, cwd=path,
                               preexec_fn=lambda: os.setuid(NOBODY))
        reachable = probe.returncode == 0
    except PermissionError:
        reachable = False
    if not reachable:
        raise tap.Skip('the programs can not be run as another user')
    return {'preexec_fn': lambda: os.setuid(NOBODY)}
