"""bench/scoreboard/report.py -- tables and plots of the scoreboard from its JSON results."""

import glob
import html
import json
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


def plot(section, rows):
    """Horizontal bars, a group for each row, with their figures: readable as text, too. None without figures."""
    label, series, unit = section.plot
    rows = [row for row in rows if any(row.get(key) is not None for key, _ in series)]
    if not rows:
        return None
    most = max(row[key] for row in rows for key, _ in series if row.get(key) is not None) or 1
    left, width, bar, gap = 250, 440, 13, 9
    height = 40 + sum(bar * len(series) + gap for _ in rows)
    out = ['<svg xmlns="http://www.w3.org/2000/svg" width="780" height="%d" font-family="sans-serif" font-size="12">' % height,
           '<title>%s</title>' % html.escape(section.title), '<rect width="780" height="%d" fill="#ffffff"/>' % height]
    x = left
    for i, (_, name) in enumerate(series):
        out.append('<rect x="%d" y="8" width="10" height="10" fill="%s"/><text x="%d" y="17" fill="#222">%s</text>' % (
            x, COLORS[i], x + 14, html.escape(name)))
        x += 40 + 7 * len(name)
    y = 30
    for row in rows:
        out.append('<text x="%d" y="%.0f" text-anchor="end" fill="#222">%s</text>' % (
            left - 8, y + bar * len(series) / 2 + 4, html.escape(str(row[label]))))
        for i, (key, _) in enumerate(series):
            value = row.get(key)
            if value is not None:
                out.append('<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/><text x="%.1f" y="%d" fill="#444" font-size="11">%s</text>' % (
                    left, y, max(1, width * value / most), bar - 2, COLORS[i], left + max(1, width * value / most) + 4, y + bar - 3,
                    ('%.3g %s' if value < 1000 else '%.0f %s') % (value, unit)))
            y += bar
        y += gap
    return '\n'.join([*out, '</svg>', ''])


def write(root, sections):
    """docs/scoreboard.md and docs/plots from all results that are there."""
    plots = os.path.join(root, 'docs', 'plots')
    os.makedirs(plots, exist_ok=True)
    for old in glob.glob(os.path.join(plots, 'S*.svg')):
        os.remove(old)
    parts = ['# Scoreboard\n', 'Written by `make scoreboard` (bench/scoreboard) from bench/results/*.json; what the figures mean, and why some miss their '
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
