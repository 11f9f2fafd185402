"""bench/scoreboard/report.py -- tables and plots of the scoreboard from its JSON results."""

import glob
import html
import json
import math
import os

COLORS = ['#2f6f9f', '#c9a227', '#7a8b99']


def cell(value, form):
    if value is None:
        return ''
    return form % value


def table(section, rows):
    """Headings and lines of cells, without columns that no row has."""
    columns = [column for column in section.columns if any(row.get(column[0]) is not None for row in rows)]
    return [title for _, title, _ in columns], [[cell(row.get(key), form) for key, _, form in columns] for row in rows]


def text(section, rows):
    headings, lines = table(section, rows)
    widths = [max(len(line[i]) for line in [headings, *lines]) for i in range(len(headings))]
    return '\n'.join('   ' + '  '.join(value.ljust(width) if i == 0 else value.rjust(width)
                                       for i, (value, width) in enumerate(zip(line, widths))).rstrip()
                     for line in [headings, *lines])


def markdown(section, rows):
    headings, lines = table(section, rows)
    return '\n'.join('| ' + ' | '.join(line) + ' |' for line in [headings, ['---'] * len(headings), *lines])


LEFT, WIDTH, FULL = 260, 420, 810
MISSED = '#b5533c'


def figure(value, unit):
    return ('%.3g %s' if abs(value) < 1000 else '%s %s') % (value if abs(value) < 1000 else format(round(value), ','), unit)


def steps(most):
    """Round numbers from 0 to at least `most`, five or so."""
    step = 10.0 ** math.floor(math.log10(most / 4))
    step *= next(by for by in (1, 2, 2.5, 5, 10) if most / (step * by) <= 6)
    return [step * i for i in range(math.ceil(most / step - 1e-9) + 1)]


def decades(least, most):
    return [10.0 ** i for i in range(math.floor(math.log10(least)), math.ceil(math.log10(most)) + 1)]


class Axis:
    """Where a value lies; `log`: of values that are far apart. What is too small for it is at its begin."""

    def __init__(self, values, log):
        values = [value for value in values if value > 0] or [1]
        self.log = log
        self.ticks = decades(max(min(values), max(values) / 1e5), max(values)) if log else steps(max(values))
        if len(self.ticks) == 1:
            self.ticks.append(10 * self.ticks[0])

    def at(self, value):
        low, high = self.ticks[0], self.ticks[-1]
        if self.log:
            low, high, value = math.log(low), math.log(high), math.log(max(value, low))
        return LEFT + WIDTH * max(0.0, (value - low) / (high - low))


def text_at(x, y, words, anchor='start', size=12, color='#222', more=''):
    return '<text x="%.1f" y="%.1f" text-anchor="%s" font-size="%d" fill="%s"%s>%s</text>' % (
        x, y, anchor, size, color, more, html.escape(words))


def legend(series, has_target, has_missed, log):
    out, x = [], LEFT
    for i, (_, name) in enumerate(series):
        out.append(('<circle cx="%d" cy="39" r="5" fill="%s"/>' if log else
                    '<rect x="%d" y="34" width="10" height="10" fill="%s"/>') % (x + 5 if log else x, COLORS[i]))
        out.append(text_at(x + 15, 43, name))
        x += 32 + 7 * len(name)
    if has_missed:
        out += ['<rect x="%d" y="34" width="10" height="10" fill="%s"/>' % (x, MISSED), text_at(x + 15, 43, 'misses its target')]
        x += 140
    if has_target:
        out += ['<rect x="%d" y="33" width="3" height="12" fill="#222"/>' % x, text_at(x + 9, 43, 'target')]
    return out


def bars(axis, row, series, target, unit, y):
    out = []
    for i, (key, _) in enumerate(series):
        value, at = row.get(key), y + 13 * i
        if value is None:
            out.append(text_at(LEFT + 4, at + 10, 'not measured', size=11, color='#888'))
            continue
        color = MISSED if i == 0 and target is not None and value < target else COLORS[i]
        end = max(LEFT + 1, axis.at(value))
        out.append('<rect x="%d" y="%d" width="%.1f" height="11" fill="%s"/>' % (LEFT, at, end - LEFT, color))
        beside = max(end, axis.at(target) + 2) if target is not None and abs(axis.at(target) - end) < 60 and value <= target else end
        out.append(text_at(beside + 5, at + 10, figure(value, unit), size=11, color='#444'))
    return out


def dots(axis, row, series, target, unit, y):
    """A line from the least to the most of a row, and a dot for each figure; the last one is written."""
    found = [(axis.at(row[key]), i, row[key]) for i, (key, _) in enumerate(series) if row.get(key) is not None]
    if not found:
        return [text_at(LEFT + 4, y + 10, 'not measured', size=11, color='#888')]
    out = ['<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="#bbb" stroke-width="2"/>' % (
        min(found)[0], y + 6, max(found)[0], y + 6)]
    missed = target is not None and found[0][2] < target
    out += ['<circle cx="%.1f" cy="%d" r="5" fill="%s"/>' % (x, y + 6, MISSED if missed else COLORS[i]) for x, i, _ in found]
    words = ' / '.join('%.3g' % value for _, _, value in found) + ' ' + unit
    end = max(found)[0] + 5
    if missed and axis.at(target) - end < 60:
        end = axis.at(target) + 2
    return out + [text_at(end + 5, y + 10, words, size=11, color='#444')]


def plot(section, rows):
    """A row for each row that has figures: bars, or dots where values are far apart (`log`); a mark where the target is.
    All figures are written beside, so that it is readable as text, too. None without figures."""
    label, series, unit, *log = section.plot
    target_key = next((key for key, name in series if name == 'target'), None)
    series = [one for one in series if one[1] != 'target']
    rows = [row for row in rows if any(row.get(key) is not None for key, _ in series)]
    if not rows:
        return None
    targets = [row.get(target_key) if target_key else None for row in rows]
    values = [row[key] for row in rows for key, _ in series if row.get(key) is not None]
    axis = Axis(values + [target for target in targets if target is not None], bool(log))
    each = 24 if log else 13 * len(series) + 10
    bottom = 58 + each * len(rows)
    missed = any(t is not None and row.get(series[0][0]) is not None and row[series[0][0]] < t for row, t in zip(rows, targets))
    out = ['<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="12">' % (
        FULL, bottom + 26), '<title>%s</title>' % html.escape(section.title),
           '<rect width="%d" height="%d" fill="#ffffff"/>' % (FULL, bottom + 26),
           text_at(LEFT, 20, section.title, size=14, more=' font-weight="bold"')]
    out += legend(series, target_key and any(t is not None for t in targets), missed, bool(log))
    for tick in axis.ticks:
        out.append('<line x1="%.1f" y1="52" x2="%.1f" y2="%d" stroke="#e4e4e4"/>' % (axis.at(tick), axis.at(tick), bottom))
        out.append(text_at(axis.at(tick), bottom + 16, figure(tick, unit), 'middle', 11, '#666'))
    for i, (row, target) in enumerate(zip(rows, targets)):
        y = 58 + each * i
        out.append(text_at(LEFT - 8, y + (each - 10) / 2 + 4, str(row[label]), 'end'))
        out += dots(axis, row, series, target, unit, y) if log else bars(axis, row, series, target, unit, y)
        if target is not None:
            out.append('<rect x="%.1f" y="%d" width="3" height="%d" fill="#222"/>' % (
                axis.at(target) - 1, y - 2, each - 8 if not log else 16))
    return '\n'.join([*out, '</svg>', ''])


def write(root, sections):
    """docs/scoreboard.md and docs/plots from all results that are there."""
    plots = os.path.join(root, 'docs', 'plots')
    os.makedirs(plots, exist_ok=True)
    for old in glob.glob(os.path.join(plots, '[SP]*.svg')):
        os.remove(old)
    parts = ['# Scoreboard\n', 'Written by `make bench` (bench/scoreboard) from bench/results/*.json; what the figures mean, and why some miss their '
             'targets,\nis in performance.md. Shared machines are noisy: read ratios before absolute figures.\n']
    for name, section in sections.items():
        path = os.path.join(root, 'bench', 'results', name + '.json')
        if not os.path.exists(path):
            continue
        with open(path, encoding='utf-8') as file:
            result = json.load(file)
        parts.append('## %s %s\n' % (name, section.title))
        if section.note:
            parts.append(section.note + '\n')
        parts.append(markdown(section, result['rows']) + '\n')
        picture = plot(section, result['rows']) if section.plot else None
        if picture:
            with open(os.path.join(plots, name + '.svg'), 'w', encoding='utf-8') as file:
                file.write(picture)
            parts.append('![%s](plots/%s.svg)\n' % (section.title, name))
        machine = result['machine']
        parts.append('%s, commit %s, %d s; %s, %d cores, %.0f GiB, %s; load before it %.1f. Commands: %s.\n' % (
            result['date'], result['commit'], result['seconds'], machine['cpu'], machine['cores'], machine['memory_gib'],
            machine['system'], result['load_before'], ', '.join('`%s`' % c for c in result['commands'][:6]) +
            (' and %d more' % (len(result['commands']) - 6) if len(result['commands']) > 6 else '')))
    with open(os.path.join(root, 'docs', 'scoreboard.md'), 'w', encoding='utf-8') as file:
        file.write('\n'.join(parts))
