# tests/crash/powercut.py -- what a loss of power can leave of files, from the record of all their changes
# (tests/support/shim/record.c).
#
# What a file holds lasts when the file was synced; what a directory names lasts when the directory was. Between two
# syncs of a directory its changes reach the disk in their order (a journal), but how many of them, is chance; so it is how
# much of what was written to a file, and whether in whole blocks. A rename within one directory is one change.

import os

BLOCK = 4096


class File:
    def __init__(self):
        self.data, self.kept = bytearray(), None  # kept: as of the last sync


class Folder:
    def __init__(self):
        self.entries, self.kept, self.pending = {}, {}, []  # pending: changes since the last sync

    def change(self, added, removed):
        """Names with what they name; names that go."""
        apply(self.entries, added, removed)
        self.pending.append((dict(added), list(removed)))


def apply(entries, added, removed):
    for name in removed:
        entries.pop(name, None)
    entries.update(added)


class Disk:
    """Everything below `root`, which was there before and lasts."""

    def __init__(self, root):
        self.root, self.top = root, Folder()

    def walk(self, path):
        """The folder that names it, and the name; None outside of the root."""
        if not path.startswith(self.root + '/'):
            return None, None
        folder, names = self.top, [name for name in path[len(self.root) + 1:].split('/') if name and name != '.']
        for name in names[:-1]:
            folder = folder.entries.get(name)
            if not isinstance(folder, Folder):
                return None, None
        return (folder, names[-1]) if names else (None, None)

    def node(self, path):
        if path == self.root:
            return self.top
        folder, name = self.walk(path)
        return folder.entries.get(name) if folder else None

    def seed(self, path):
        """A folder that is there, durably, from the beginning."""
        folder, name = self.walk(path)
        folder.entries[name] = folder.kept[name] = Folder()

    def do(self, what, path, other, data):
        getattr(self, 'do_' + what)(path, other, data)

    def do_create(self, path, _, __):
        folder, name = self.walk(path)
        if folder and name not in folder.entries:
            folder.change({name: File()}, [])

    def do_mkdir(self, path, _, __):
        folder, name = self.walk(path)
        if folder:
            folder.change({name: Folder()}, [])

    def do_truncate(self, path, size, _):
        node = self.node(path)
        if isinstance(node, File):
            size = int(size)
            del node.data[size:]
            node.data.extend(bytes(size - len(node.data)))

    def do_write(self, path, offset, data):
        node = self.node(path)
        if isinstance(node, File):
            offset = int(offset)
            node.data.extend(bytes(max(0, offset - len(node.data))))
            node.data[offset:offset + len(data)] = data

    def do_sync(self, path, _, __):
        node = self.node(path)
        if isinstance(node, File):
            node.kept = bytes(node.data)
        elif node:
            node.kept, node.pending = dict(node.entries), []

    def do_unlink(self, path, _, __):
        folder, name = self.walk(path)
        if folder:
            folder.change({}, [name])

    do_rmdir = do_unlink

    def do_link(self, path, other, _):
        node = self.node(path)
        folder, name = self.walk(other)
        if folder and node:
            folder.change({name: node}, [])

    def do_rename(self, path, other, _):
        node = self.node(path)
        (source, old), (target, new) = self.walk(path), self.walk(other)
        if not source or not target or node is None:
            return
        if source is target:
            source.change({new: node}, [old])
        else:
            target.change({new: node}, [])
            source.change({}, [old])

    # ---- what is left ----

    def leave(self, folder, rng, loss):
        """Writes what the disk may hold now. `loss`: 'all' of what was not synced, 'none' of it, or 'some'."""
        self.leave_folder(self.top, folder, rng, loss, {})

    def leave_folder(self, node, path, rng, loss, files):
        os.makedirs(path, exist_ok=True)
        entries = dict(node.kept)
        lasting = {'all': 0, 'none': len(node.pending), 'some': rng.randrange(len(node.pending) + 1)}[loss]
        for added, removed in node.pending[:lasting]:
            apply(entries, added, removed)
        for name, child in entries.items():
            if isinstance(child, Folder):
                self.leave_folder(child, os.path.join(path, name), rng, loss, files)
            elif id(child) in files:
                os.link(files[id(child)], os.path.join(path, name))
            else:
                files[id(child)] = os.path.join(path, name)
                with open(os.path.join(path, name), 'wb') as file:
                    file.write(contents(child, rng, loss))


def contents(file, rng, loss):
    kept, data = file.kept if file.kept is not None else b'', bytes(file.data)
    if loss == 'none' or kept == data:
        return data
    if loss == 'all':
        return kept
    what = rng.randrange(4)
    if what == 0:
        return kept
    if what == 1:
        return data
    if what == 2:  # its beginning
        return data[:rng.randrange(len(data) + 1)]
    # Some blocks are there, the others are as they were, or zero.
    before = kept.ljust(len(data), b'\0')
    return b''.join((data if rng.random() < 0.5 else before)[at:at + BLOCK] for at in range(0, len(data), BLOCK))


def read_record(path):
    """(what, path, other or number, data) one after the other."""
    with open(path, 'rb') as file:
        text = file.read()
    at, changes = 0, []
    while at < len(text):
        end = text.index(b'\n', at)
        words = text[at:end].decode().split('\t')
        at, data = end + 1, None
        if words[0] == 'write':
            size = int(words[3])
            data = text[at:at + size]
            at += size + 1
        changes.append((words[0], words[1], words[2], data))
    return changes
