# tests/scripts/tap.py -- what the tests of the scripts share: temporary trees, running commands, TAP.

import os
import re
import subprocess
import sys
import tempfile
import traceback

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Skip(Exception):
    """Raised by a case that can not be run here; the text is the reason."""


class Tree:
    """A temporary directory with files; gone when the `with` ends."""

    def __init__(self, files):
        self.files = files

    def __enter__(self):
        self.holder = tempfile.TemporaryDirectory(prefix='leat-test-')
        self.path = os.path.realpath(self.holder.name)
        for name, text in self.files.items():
            self.write(name, text)
        return self

    def __exit__(self, *_):
        self.holder.cleanup()

    def write(self, name, text, mode=None):
        path = os.path.join(self.path, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'w', encoding='utf-8') as file:
            file.write(text)
        if mode or text.startswith('#!'):
            os.chmod(path, mode or 0o755)
        return path


def run(*command, **options):
    """Exit code and the lines of the output, errors included."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=600, check=False, **options)
    return done.returncode, done.stdout.splitlines()


def sanitizers(build):
    """Those that the build directory was configured with, as 'address,undefined'."""
    with open(os.path.join(build, 'CMakeCache.txt'), encoding='utf-8') as file:
        return re.search(r'^LEAT_SANITIZE:\w+=(.*)$', file.read(), re.MULTILINE).group(1)


def follows_kafka(build):
    """librdkafka starts its threads by thrd_create, which the thread sanitizer does not follow: it ends the process."""
    return 'thread' not in sanitizers(build)


NO_KAFKA = 'the thread sanitizer does not follow the threads of librdkafka'


def equal(got, want):
    if got != want:
        raise AssertionError('got:\n%s\nwanted:\n%s' % (show(got), show(want)))


def show(value):
    return '\n'.join(map(str, value)) if isinstance(value, list) else str(value)


def main(cases):
    """Runs (sentence, function, *arguments) one after another and prints TAP."""
    print('1..%d' % len(cases), flush=True)
    failed = False
    for number, (sentence, function, *arguments) in enumerate(cases, 1):
        try:
            function(*arguments)
            print('ok %d - %s' % (number, sentence), flush=True)
        except Skip as reason:
            print('ok %d - %s # SKIP %s' % (number, sentence, reason), flush=True)
        except Exception as error:  # an error in the test is a failed test
            failed = True
            print('not ok %d - %s' % (number, sentence))
            text = str(error) if isinstance(error, AssertionError) else traceback.format_exc()
            print('\n'.join('# ' + line for line in text.splitlines()), flush=True)
    sys.exit(1 if failed else 0)
