# docs/doxygen-filter.py HEADER -- shows the plain comments of the public headers to Doxygen.
#
#   /* include/leat/x.h -- text      describes the file
#   /* text                          before a declaration describes it, and those that follow without a blank line
#   code /* text                     describes the code before it
#   indented lines after an empty one are shown as they are; `x` is code
#
# The number of lines never changes, so that Doxygen's messages name the right ones.

import re
import sys

DECLARATION = re.compile(r'^(LEAT_API|static inline|typedef)\b')
FILE_COMMENT = re.compile(r'^(/\*) include/(leat/\S+) -- (.*)$')
INDENTED = re.compile(r'^\s*\*\s{3,}\S')
EMPTY = re.compile(r'^\s*\*\s*$')


def escape(text):
    """What Doxygen would take for commands, tags or links; `x` becomes code."""
    text = re.sub(r'([\\@<>#%&])', r'\\\1', text)
    return re.sub(r'`([^`]+)`', r'<code>\1</code>', text)


def inner(lines):
    """A comment's lines with its indented paragraphs verbatim and the rest escaped."""
    out, verbatim = [], False
    for number, line in enumerate(lines):
        begins = EMPTY.match(line) and number + 1 < len(lines) and INDENTED.match(lines[number + 1])
        if verbatim and not INDENTED.match(line):
            verbatim = False
            if EMPTY.match(line):
                line += r' \endverbatim'
            else:
                out[-1] += r' \endverbatim'
                line = escape(line)
        elif begins:
            line += r' \verbatim'
            verbatim = True
        elif not verbatim:
            line = escape(line)
        out.append(line)
    if verbatim:
        out[-1] = out[-1].replace('*/', r'\endverbatim */')
    return out


def comment_end(lines, at):
    while '*/' not in lines[at]:
        at += 1
    return at + 1


def plain(comment):
    """A comment on one line, without its marks."""
    text = ' '.join(re.sub(r'^\s*(/\*|\*(?!/))?\s*|\s*\*/\s*$', '', line) for line in comment)
    return escape(text.strip())


def convert(lines):
    out, shared, described, in_body, at = [], None, False, False, 0
    while at < len(lines):
        line = lines[at]
        code, mark, _ = line.partition('/*')
        if line == '{':
            in_body = True
        elif line == '}':
            in_body = False
        if in_body or not mark or (code.startswith('#') and not code.startswith('#define')):
            if not line.strip():
                shared = None
            elif DECLARATION.match(line):
                out.append('/** %s */ %s' % (shared, line) if shared and not described else line)
                described = False
                at += 1
                continue
            out.append(line)
            at += 1
            continue
        end = comment_end(lines, at)
        comment = [line[len(code):]] + lines[at + 1:end]
        about_file = FILE_COMMENT.match(line)
        if about_file:
            first = r'/** \file %s \brief %s' % (about_file.group(2), escape(about_file.group(3)))
        elif code.strip():
            first = code + '/**<' + escape(comment[0][2:])
        else:
            first = code + '/**' + escape(comment[0][2:])
        if code == '' and not about_file:
            shared, described = plain(comment), True
        out += [first] + inner(comment[1:])
        at = end
    return out


def main():
    with open(sys.argv[1], encoding='utf-8') as file:
        sys.stdout.write('\n'.join(convert(file.read().split('\n'))))


if __name__ == '__main__':
    main()
