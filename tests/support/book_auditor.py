"""An independent auditor of the order book: lists and dictionaries, no code of the engine, only what it promises."""

from collections import defaultdict

FEE_PPM = 700
LEVELS = 5


def fee(spent):
    return -(-spent * FEE_PPM // 1_000_000)


class BookAuditor:
    """Continuous trading and call auctions of one instrument, on accounts of its own. Quantities in lots."""

    def __init__(self, cash, lots):
        self.cash, self.lots = dict(cash), dict(lots)
        self.fees = 0
        self.waiting = []  # in the order of arrival
        self.spent = defaultdict(int)
        self.trades = []
        self.bought = defaultdict(int)
        self.calling = False
        self.arrivals = 0

    def reserve_of(self, order):
        if order["side"] == "sell":
            return order["left"]
        spent = self.spent[order["id"]]
        rest = order["price"] * order["left"]
        return rest + fee(spent + rest) - fee(spent)

    def reserved(self, owner, side):
        return sum(self.reserve_of(o) for o in self.waiting if o["owner"] == owner and o["side"] == side)

    def free(self, owner, side):
        have = self.cash if side == "buy" else self.lots
        return have[owner] - self.reserved(owner, side)

    def opposite(self, order):
        """Waiting orders that would trade with this one, best price first, then earliest."""
        buy = order["side"] == "buy"
        met = [
            o
            for o in self.waiting
            if o["side"] != order["side"] and (o["price"] <= order["price"] if buy else o["price"] >= order["price"])
        ]
        return sorted(met, key=lambda o: (o["price"] if buy else -o["price"], o["arrival"]))

    def expects(self, order):  # noqa: PLR0911
        """The code of the refusal of an order, or None."""
        if self.calling and order["tif"] in ("ioc", "fok"):
            return "order_refused"
        need = order["lots"]
        if order["side"] == "buy":
            amount = order["price"] * order["lots"]
            if amount + fee(amount) > self.free(order["owner"], "buy"):
                return "insufficient_balance"
        else:
            if need > self.free(order["owner"], "sell"):
                return "credits_pledged" if need <= self.lots[order["owner"]] else "insufficient_balance"
            if need + self.bought[order["owner"]] > self.free(order["owner"], "sell"):
                return "same_day_resale"
        met = self.opposite(order)
        if self.calling:
            own = any(o["owner"] == order["owner"] for o in met)
            return "cannot_fill" if own and order["stp"] == "cancel_newest" else None
        if order["post_only"] and met:
            return "would_cross"
        if (order["tif"] == "fok" or order["aon"]) and self.reach(order, met) < order["lots"]:
            return "cannot_fill"
        return None

    @staticmethod
    def reach(order, met):
        prices = sorted({o["price"] for o in met}, reverse=order["side"] == "sell")[:LEVELS]
        total = 0
        for other in met:
            if other["price"] not in prices or total >= order["lots"]:
                break
            if other["owner"] == order["owner"]:
                if order["stp"] == "cancel_oldest":
                    continue
                break
            total += other["left"]
        return total

    def place(self, order):
        self.arrivals += 1
        order = order | {"left": order["lots"], "arrival": self.arrivals}
        met = self.opposite(order)
        if self.calling:
            for other in [o for o in met if o["owner"] == order["owner"]]:
                self.prevent(order, other)
                if not order["left"]:
                    return
            self.waiting.append(order)
            return
        prices = sorted({o["price"] for o in met}, reverse=order["side"] == "sell")
        for other in met:
            if not order["left"]:
                return
            if other["price"] not in prices[:LEVELS]:
                return
            if other["owner"] == order["owner"]:
                if order["stp"] == "cancel_newest":
                    return
                self.prevent(order, other)
                continue
            self.trade(order, other, min(order["left"], other["left"]), other["price"])
        if order["left"] and order["tif"] not in ("ioc", "fok"):
            self.waiting.append(order)

    def prevent(self, order, other):
        lost = other["left"] if order["stp"] == "cancel_oldest" else min(order["left"], other["left"])
        other["left"] -= lost
        if order["stp"] == "decrement":
            order["left"] -= lost
        self.waiting = [o for o in self.waiting if o["left"]]

    def trade(self, first, second, lots, price):
        buy, sell = (first, second) if first["side"] == "buy" else (second, first)
        assert buy["owner"] != sell["owner"]
        assert sell["price"] <= price <= buy["price"]
        amount = lots * price
        for order, sign in ((buy, -1), (sell, 1)):
            charged = fee(self.spent[order["id"]] + amount) - fee(self.spent[order["id"]])
            self.spent[order["id"]] += amount
            self.cash[order["owner"]] += sign * amount - charged
            self.lots[order["owner"]] -= sign * lots
            self.fees += charged
            order["left"] -= lots
        self.bought[buy["owner"]] += lots
        self.trades.append((buy["id"], sell["id"], price, lots))
        self.waiting = [o for o in self.waiting if o["left"]]

    def cancel(self, order_id):
        self.waiting = [o for o in self.waiting if o["id"] != order_id]

    def uncross(self, reference):
        """One price for all, found by trying every price between the lowest offer and the highest bid."""
        self.calling = False
        out = set()
        while True:
            bids = [o for o in self.waiting if o["side"] == "buy" and o["id"] not in out]
            asks = [o for o in self.waiting if o["side"] == "sell" and o["id"] not in out]
            price = auction_price(bids, asks, reference)
            pairs = paired(bids, asks, price) if price else []
            got = defaultdict(int)
            for b, s, lots in pairs:
                got[b["id"]] += lots
                got[s["id"]] += lots
            broken = [o for o in bids + asks if o["aon"] and 0 < got[o["id"]] < o["left"]]
            if not broken:
                break
            out.add(max(broken, key=lambda o: o["arrival"])["id"])
        for b, s, lots in pairs:
            self.trade(b, s, lots, price)
        self.waiting = [o for o in self.waiting if not o["aon"]]

    def end_day(self):
        self.waiting = [o for o in self.waiting if o["tif"] == "gtd"]
        self.bought.clear()


def auction_price(bids, asks, reference):
    if not bids or not asks:
        return None
    rows = []
    for price in range(min(o["price"] for o in asks), max(o["price"] for o in bids) + 1):
        demand = sum(o["left"] for o in bids if o["price"] >= price)
        supply = sum(o["left"] for o in asks if o["price"] <= price)
        rows.append((price, min(demand, supply), demand - supply))
    if not rows:
        return None
    most = max(volume for _, volume, _ in rows)
    rows = [row for row in rows if row[1] == most]
    least = min(abs(surplus) for _, _, surplus in rows)
    rows = [row for row in rows if abs(row[2]) == least]
    if all(surplus > 0 for _, _, surplus in rows):
        return max(price for price, _, _ in rows)
    if all(surplus < 0 for _, _, surplus in rows):
        return min(price for price, _, _ in rows)
    return min((price for price, _, _ in rows), key=lambda price: (abs(price - reference), price))


def paired(bids, asks, price):
    buyers = sorted((o for o in bids if o["price"] >= price), key=lambda o: (-o["price"], o["arrival"]))
    sellers = sorted((o for o in asks if o["price"] <= price), key=lambda o: (o["price"], o["arrival"]))
    left = {o["id"]: o["left"] for o in buyers + sellers}
    pairs = []
    for buyer in buyers:
        for seller in sellers:
            lots = min(left[buyer["id"]], left[seller["id"]])
            if lots:
                pairs.append((buyer, seller, lots))
                left[buyer["id"]] -= lots
                left[seller["id"]] -= lots
    return pairs
