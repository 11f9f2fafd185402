# tests/nexmark/oracle.py -- the Nexmark queries as plain loops over lists: no streams, no state, no code of Leat's. Each
# takes the records of the three files and gives the rows of the final answer, as dicts of field to value.

import re
from collections import defaultdict

STATES = ('OR', 'ID', 'CA')
DAY_MS = 86400000
CHANNELS = {'apple': '0', 'google': '1', 'facebook': '2', 'baidu': '3'}
CHANNEL_ID = re.compile(r'(&|^)channel_id=([^&]*)')


def pick(record, *names):
    return {name: record[name] for name in names}


def date(ms):
    """2015-07-15, by counting days on the proleptic Gregorian calendar."""
    days, year, month = ms // DAY_MS, 1970, 1
    while days >= 365 + leap(year):
        days -= 365 + leap(year)
        year += 1
    lengths = [31, 28 + leap(year), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    while days >= lengths[month - 1]:
        days -= lengths[month - 1]
        month += 1
    return '%04d-%02d-%02d' % (year, month, days + 1)


def leap(year):
    return int(year % 4 == 0 and (year % 100 != 0 or year % 400 == 0))


def minute(ms):
    return '%02d:%02d' % (ms // 3600000 % 24, ms // 60000 % 60)


def q0(persons, auctions, bids):
    return [pick(b, 'auction', 'bidder', 'price', 'dateTime', 'extra') for b in bids]


def q1(persons, auctions, bids):
    return [dict(pick(b, 'auction', 'bidder', 'dateTime', 'extra'), price=908 * b['price']) for b in bids]


def q2(persons, auctions, bids):
    return [pick(b, 'auction', 'price') for b in bids if b['auction'] % 123 == 0]


def q3(persons, auctions, bids):
    return [dict(pick(p, 'name', 'city', 'state'), id=a['id'])
            for p in persons if p['state'] in STATES
            for a in auctions if a['category'] == 10 and a['seller'] == p['id']]


def winners(auctions, bids):
    """Of each auction that somebody made a valid bid for: the auction and that bid."""
    of_auction = defaultdict(list)
    for b in bids:
        of_auction[b['auction']].append(b)
    for a in auctions:
        valid = [b for b in of_auction[a['id']] if a['dateTime'] <= b['dateTime'] <= a['expires']]
        if valid:
            yield a, min(valid, key=lambda b: (-b['price'], b['dateTime']))


def q4(persons, auctions, bids):
    prices = defaultdict(list)
    for a, b in winners(auctions, bids):
        prices[a['category']].append(b['price'])
    return [{'category': c, 'average': sum(p) // len(p)} for c, p in prices.items()]


def q5(persons, auctions, bids):
    counts = defaultdict(lambda: defaultdict(int))
    for b in bids:
        newest = b['dateTime'] // 2000 * 2000
        for start in range(newest - 8000, newest + 1, 2000):
            counts[start + 10000][b['auction']] += 1
    return [{'auction': a, 'num': n, 'windowEnd': end}
            for end, window in counts.items() for a, n in window.items() if n == max(window.values())]


def q6(persons, auctions, bids):
    sold = defaultdict(list)
    for a, b in winners(auctions, bids):
        sold[a['seller']].append((b['dateTime'], a['id'], b['price']))
    last = {seller: sorted(of_seller)[-10:] for seller, of_seller in sold.items()}
    return [{'seller': s, 'average': sum(p for _, _, p in of) // len(of)} for s, of in last.items()]


def q7(persons, auctions, bids):
    most = defaultdict(int)
    for b in bids:
        most[b['dateTime'] // 10000] = max(most[b['dateTime'] // 10000], b['price'])
    return [pick(b, 'auction', 'bidder', 'price', 'dateTime', 'extra')
            for b in bids if b['price'] == most[b['dateTime'] // 10000]]


def q8(persons, auctions, bids):
    sellers = {(a['seller'], a['dateTime'] // 10000) for a in auctions}
    return [dict(pick(p, 'id', 'name'), starttime=p['dateTime'] // 10000 * 10000)
            for p in persons if (p['id'], p['dateTime'] // 10000) in sellers]


def q9(persons, auctions, bids):
    return [dict(pick(a, 'seller', 'category', 'expires'), **pick(b, 'auction', 'bidder', 'price', 'dateTime'))
            for a, b in winners(auctions, bids)]


def q10(persons, auctions, bids):
    return [dict(row, dt=date(row['dateTime']), hm=minute(row['dateTime'])) for row in q0(persons, auctions, bids)]


def q11(persons, auctions, bids):
    times = defaultdict(list)
    for b in bids:
        times[b['bidder']].append(b['dateTime'])
    rows = []
    for bidder, of_bidder in times.items():
        of_bidder.sort()
        first = 0
        for i in range(1, len(of_bidder) + 1):
            if i == len(of_bidder) or of_bidder[i] - of_bidder[i - 1] > 10000:
                rows.append({'bidder': bidder, 'bid_count': i - first, 'starttime': of_bidder[first],
                             'endtime': of_bidder[i - 1] + 10000})
                first = i
    return rows


def q13(persons, auctions, bids):
    return [dict(pick(b, 'auction', 'bidder', 'price', 'dateTime'), value=str(b['auction'] % 10000)) for b in bids]


def q14(persons, auctions, bids):
    def time_of_day(ms):
        hour = ms // 3600000 % 24
        return 'dayTime' if 8 <= hour <= 18 else 'nightTime' if hour <= 6 or hour >= 20 else 'otherTime'
    return [dict(pick(b, 'auction', 'bidder', 'dateTime', 'extra'), price=908 * b['price'],
                 bidTimeType=time_of_day(b['dateTime']), c_counts=b['extra'].count('c'))
            for b in bids if 10**9 < 908 * b['price'] < 5 * 10**10]


def rank(b):
    return 1 if b['price'] < 10000 else 2 if b['price'] < 1000000 else 3


def statistics(bids):
    row = {}
    for name, members in (('total', bids), *(('rank%d' % r, [b for b in bids if rank(b) == r]) for r in (1, 2, 3))):
        row[name + '_bids'] = len(members)
        row[name + '_bidders'] = len({b['bidder'] for b in members})
        row[name + '_auctions'] = len({b['auction'] for b in members})
    return row


def grouped(bids, key):
    groups = defaultdict(list)
    for b in bids:
        groups[key(b)].append(b)
    return groups.items()


def q15(persons, auctions, bids):
    return [dict(statistics(group), day=day) for day, group in grouped(bids, lambda b: date(b['dateTime']))]


def q16(persons, auctions, bids):
    return [dict(statistics(group), channel=channel, day=day, minute=max(minute(b['dateTime']) for b in group))
            for (channel, day), group in grouped(bids, lambda b: (b['channel'], date(b['dateTime'])))]


def q17(persons, auctions, bids):
    rows = []
    for (auction, day), group in grouped(bids, lambda b: (b['auction'], date(b['dateTime']))):
        prices = [b['price'] for b in group]
        rows.append({'auction': auction, 'day': day, 'total_bids': len(group),
                     **{'rank%d_bids' % r: sum(rank(b) == r for b in group) for r in (1, 2, 3)},
                     'min_price': min(prices), 'max_price': max(prices), 'avg_price': sum(prices) // len(prices),
                     'sum_price': sum(prices)})
    return rows


def q18(persons, auctions, bids):
    last = {}
    for b in bids:
        pair = (b['bidder'], b['auction'])
        if pair not in last or b['dateTime'] >= last[pair]['dateTime']:
            last[pair] = b
    return list(last.values())


def q19(persons, auctions, bids):
    rows = []
    for _, group in grouped(bids, lambda b: b['auction']):
        best = sorted(group, key=lambda b: (-b['price'], b['dateTime']))[:10] # stable: then by arrival
        rows += [dict(b, rank_number=place) for place, b in enumerate(best, 1)]
    return rows


def q20(persons, auctions, bids):
    items = {a['id']: a for a in auctions if a['category'] == 10}
    rows = []
    for b in bids:
        a = items.get(b['auction'])
        if a:
            rows.append(dict(pick(b, 'auction', 'bidder', 'price', 'channel', 'url'), bid_dateTime=b['dateTime'],
                             bid_extra=b['extra'], auction_dateTime=a['dateTime'], auction_extra=a['extra'],
                             **pick(a, 'itemName', 'description', 'initialBid', 'reserve', 'expires', 'seller',
                                    'category')))
    return rows


def q21(persons, auctions, bids):
    rows = []
    for b in bids:
        found = CHANNEL_ID.search(b['url'])
        number = CHANNELS.get(b['channel'].lower()) or (found and found.group(2))
        if number is not None:
            rows.append(dict(pick(b, 'auction', 'bidder', 'price', 'channel'), channel_id=number))
    return rows


def q22(persons, auctions, bids):
    return [dict(pick(b, 'auction', 'bidder', 'price', 'channel'),
                 **{'dir%d' % i: b['url'].split('/')[2 + i] for i in (1, 2, 3)}) for b in bids]


QUERIES = [q0, q1, q2, q3, q4, q5, q6, q7, q8, q9, q10, q11, q13, q14, q15, q16, q17, q18, q19, q20, q21, q22]
