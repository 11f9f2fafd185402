# tools/checklib.py -- what the check-* scripts share: which files there are, and C text without its comments.

import os
import re
import subprocess
import sys

SKIP_CODE = 77
SOURCE_ENDINGS = ('.c', '.h', '.cc')
TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)


def default_root():
    return os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def list_files(root):
    """Paths below root: what git knows when root is the top of a repository, else every file."""
    if os.path.exists(os.path.join(root, '.git')):
        # The tree may belong to another user, as in a container.
        run = subprocess.run(['git', '-c', 'safe.directory=*', '-C', root, 'ls-files', '-z'], capture_output=True,
                             text=True, check=True)
        # A file that is known but gone is about to be removed.
        return sorted(path for path in run.stdout.split('\0') if path and os.path.isfile(os.path.join(root, path)))
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith('.') and name not in ('build', 'out')]
        found += [os.path.relpath(os.path.join(folder, name), root) for name in names]
    return sorted(found)


def list_sources(root):
    return [path for path in list_files(root) if path.endswith(SOURCE_ENDINGS)]


def read(root, path):
    with open(os.path.join(root, path), encoding='utf-8', errors='replace') as file:
        return file.read()


def strip_comments(text, strings=True):
    """The text with comments (and, if asked, the content of strings) blanked; lines stay where they are."""
    def blank(match):
        token = match.group(0)
        if token[0] != '/':
            return token[0] + ' ' * (len(token) - 2) + token[-1] if strings else token
        return re.sub(r'[^\n]', ' ', token)
    return TOKEN.sub(blank, text)


def finish(name, problems, looked_at):
    """Prints the problems and ends: 1 when there are any."""
    for problem in problems:
        print(problem)
    if not problems:
        print('%s: %s, all well' % (name, looked_at))
    sys.exit(1 if problems else 0)
