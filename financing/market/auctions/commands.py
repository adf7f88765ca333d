"""Run auctions: open, bid (openly, or sealed by commitment), reveal, award, contract, pay or default."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from pydantic import BaseModel, Field

from financing.base.commands import AssetCode, Command, FenPerTonne, Kilograms, Moment, Sha256, SignedAt, use_case
from financing.base.context import Context
from financing.base.errors import AuctionClosed, BidTooLow, InvalidState, NotPermitted, QuantityOutOfRange
from financing.base.quantities import Carbon, Money, Price, Rate
from financing.ledger.accounts import CNY, Asset, cash, escrow, holding
from financing.ledger.entries import EntryKind
from financing.ledger.posting import Leg, give_back, post_entry, set_aside
from financing.ledger.signing import id_to_sign
from financing.market.auctions import english, sealed
from financing.market.auctions.contracts import bid_reference, offered, taken
from financing.market.auctions.english import OpenBid
from financing.market.auctions.sealed import Award, SealedBid
from financing.market.auctions.store import Auction, Contract, StoredBid
from financing.market.auctions.terms import Format, Terms, dutch_price, require_bid_quantity, require_running
from financing.market.delivery import Delivery, asset_of, deliver, rules_of, what_buyer_owes
from financing.market.unit import MarketUnit


class AuctionCourse(BaseModel):
    """What is auctioned, how, and from when until when."""

    asset: AssetCode
    format: Format
    opens_at: Moment
    closes_at: Moment


class OpenAuction(AuctionCourse, SignedAt):
    """What the seller chooses; deposit, extension and time to pay are the rules'. `start` and `increment`: lowest first
    bid and raise (English), or first price and fall (Dutch)."""

    quantity_kg: Kilograms
    reserve_fen_per_tonne: FenPerTonne
    increment_fen_per_tonne: FenPerTonne = Price(10)
    start_fen_per_tonne: FenPerTonne
    step_seconds: int = Field(default=60, strict=True, ge=1, le=86_400)
    reveal_until: Moment | None = None


class PlaceBid(Command):
    price_fen_per_tonne: FenPerTonne


class CommitBid(Command):
    """`quantity_kg` is the most that the sealed bid may be for: the deposit is on it."""

    quantity_kg: Kilograms
    commitment: Sha256


class RevealBid(Command):
    price_fen_per_tonne: FenPerTonne
    quantity_kg: Kilograms
    nonce: str = Field(min_length=16, max_length=200, pattern=r"^[\x21-\x7e]+$")


class TakeAtAsking(SignedAt):
    """Take at the asking price if it is at most `price_max_fen_per_tonne`."""

    quantity_kg: Kilograms
    price_max_fen_per_tonne: FenPerTonne


@use_case
def open_auction(unit: MarketUnit, context: Context, command: OpenAuction) -> Auction:
    """Put credits or units into escrow and up for auction.

    Raises `CreditsPledged`, `CreditsFrozen`, `InsufficientBalance`, `NotFound`, and what `Terms` refuses.
    """
    asset = asset_of(unit, command.asset)
    rules = rules_of(context)
    reveal = command.reveal_until or command.closes_at
    if command.format.sealed and reveal < command.closes_at + timedelta(hours=rules.reveal_hours_min):
        raise QuantityOutOfRange("sealed bids need more time to be revealed", hours_min=rules.reveal_hours_min)
    if command.closes_at <= context.at:
        raise AuctionClosed("the auction would close before it is opened", closes_at=str(command.closes_at))
    terms = Terms(
        auction_id=id_to_sign(unit, context, "auc", command),
        seller=context.actor.id,
        asset=asset.code,
        quantity=command.quantity_kg,
        format=command.format,
        reserve=command.reserve_fen_per_tonne,
        increment=command.increment_fen_per_tonne,
        start=command.start_fen_per_tonne,
        step=timedelta(seconds=command.step_seconds),
        extension=timedelta(minutes=rules.extension_minutes),
        deposit=Rate(rules.deposit_bps),
        opens_at=command.opens_at,
        closes_at=command.closes_at,
        reveal_until=reveal,
        pay_within=timedelta(days=rules.pay_days),
    )
    terms = offered(unit, context, terms, command)
    what_buyer_owes(context, terms.quantity, max(terms.start, terms.reserve))
    set_aside(unit, context, terms.seller, asset, terms.quantity, terms.auction_id)
    unit.auctions.add(terms)
    return unit.auctions.get(terms.auction_id)


@use_case
def place_bid(unit: MarketUnit, context: Context, auction_id: str, command: PlaceBid) -> StoredBid:
    """Bid openly in an English auction; the first bid takes the deposit.

    Raises `AuctionClosed`, `BidTooLow`, `NotPermitted`, `InsufficientBalance` for the deposit.
    """
    auction, price = _running(unit, auction_id), command.price_fen_per_tonne
    terms = auction.terms
    if terms.format is not Format.ENGLISH:
        raise NotPermitted("open bids are for English auctions", format=terms.format.value)
    what_buyer_owes(context, terms.quantity, price)  # an amount that fits no account is refused before it binds
    placed = unit.auctions.bids(auction_id)
    best, closes_at = english.place(terms, auction.closes_at, _best(placed), context.actor.id, price, context.at)
    return _store(unit, context, replace(auction, closes_at=closes_at), placed, terms.quantity, price=best.price)


@use_case
def commit_bid(unit: MarketUnit, context: Context, auction_id: str, command: CommitBid) -> StoredBid:
    """Place a sealed bid: only its commitment and the most it may be for are known until it is revealed.

    Raises `AuctionClosed`, `NotPermitted`, `InvalidState` for a second bid, `QuantityOutOfRange`.
    """
    auction, quantity = _running(unit, auction_id), command.quantity_kg
    terms = auction.terms
    if not terms.format.sealed:
        raise NotPermitted("this auction takes open bids", format=terms.format.value)
    require_running(terms, auction.closes_at, context.at)
    require_bid_quantity(terms, quantity)
    _not_the_seller(terms, context)
    placed = unit.auctions.bids(auction_id)
    if any(bid.bidder == context.actor.id for bid in placed):
        raise InvalidState("this bidder has a sealed bid", auction_id=auction_id)
    return _store(unit, context, auction, placed, quantity, commitment=command.commitment)


@use_case
def reveal_bid(unit: MarketUnit, context: Context, auction_id: str, command: RevealBid) -> StoredBid:
    """Open the actor's sealed bid after the auction has closed. Raises `AuctionClosed`, `CommitmentMismatch`."""
    auction, price, quantity = _running(unit, auction_id), command.price_fen_per_tonne, command.quantity_kg
    if not auction.closes_at <= context.at < auction.terms.reveal_until:
        raise AuctionClosed("bids are revealed after the close, until the end of the reveal time")
    for bid in unit.auctions.bids(auction_id):
        if bid.bidder == context.actor.id:
            if bid.revealed_at is not None:
                raise InvalidState("the bid is revealed", auction_id=auction_id)
            assert bid.commitment is not None
            opened = SealedBid(bid.bidder, price, quantity, bid.seq)
            sealed.require_opens(bid.commitment, auction_id, opened, command.nonce)
            if quantity > bid.quantity:
                raise QuantityOutOfRange("the deposit was for less", quantity_kg=bid.quantity.kg)
            require_bid_quantity(auction.terms, quantity)
            what_buyer_owes(context, quantity, price)
            unit.auctions.reveal(bid.bid_id, price, quantity, context.at)
            return replace(bid, price=price, quantity=quantity, revealed_at=context.at)
    raise NotPermitted("this organisation has no bid here", auction_id=auction_id)


@use_case
def take_dutch(unit: MarketUnit, context: Context, auction_id: str, command: TakeAtAsking) -> Contract:
    """Take credits at the asking price of now, if it is at most the price named: paid and delivered at once."""
    auction, quantity = _running(unit, auction_id), command.quantity_kg
    terms = auction.terms
    if terms.format is not Format.DUTCH:
        raise NotPermitted("only a Dutch auction has an asking price", format=terms.format.value)
    require_running(terms, auction.closes_at, context.at)
    require_bid_quantity(terms, quantity)
    _not_the_seller(terms, context)
    if quantity > auction.left:
        raise QuantityOutOfRange("less is left", left_kg=auction.left.kg, asked_kg=quantity.kg)
    # What a buyer signs names a price: that of the moment when it signed, which is no lower than now's.
    signed_at = max(command.moment(context.at), terms.opens_at)
    asking = dutch_price(terms, signed_at)
    if asking > command.price_max_fen_per_tonne:
        raise BidTooLow("the asking price is still higher", asking_fen_per_tonne=asking.amount)
    award_id = id_to_sign(unit, context, "awd", command, auction_id)
    contract = Contract(award_id, auction_id, context.actor.id, quantity, asking, "paid", signed_at)
    signed = taken(unit, context, terms, contract, command)
    asset = Asset(terms.asset)
    sale = Delivery(
        seller=terms.seller,
        buyer=context.actor.id,
        asset=asset,
        quantity=quantity,
        price=asking,
        credits_from=escrow(terms.seller, asset, auction_id),
        money_from=cash(context.actor.id),
        credits_to=holding(context.actor.id, asset),
    )
    booked, _ = deliver(unit, context, sale, "auction", auction_id)
    unit.auctions.add_contract(signed, entry_id=booked.entry_id)
    left = auction.left - quantity
    unit.auctions.save(replace(auction, left=left, state="running" if left else "done"))
    return signed


def close_auction(unit: MarketUnit, context: Context, auction_id: str) -> tuple[Auction, list[Contract]]:
    """Award an auction whose time is over, as anyone: winners get contracts, losers their deposits, and unsold credits
    go back. A sealed bid that was not revealed forfeits its deposit to the seller.

    Raises `AuctionClosed` while bids or reveals are taken.
    """
    auction = _running(unit, auction_id)
    _not_collateral(unit, auction_id)
    terms = auction.terms
    end = terms.reveal_until if terms.format.sealed else auction.closes_at
    if context.at < end:
        raise AuctionClosed("the auction still runs", until=str(end))
    placed = unit.auctions.bids(auction_id)
    awards = _awards(terms, placed)
    winners = {award.bidder for award in awards}
    for bidder in sorted({bid.bidder for bid in placed} - winners):
        own = [bid for bid in placed if bid.bidder == bidder]
        if terms.format.sealed and own[0].revealed_at is None:
            _forfeit(unit, context, terms, bidder)
        else:
            give_back(unit, context, bidder, CNY, bid_reference(auction_id, bidder))
    contracts = [
        Contract(
            context.new_id("awd"),
            auction_id,
            award.bidder,
            award.quantity,
            award.price,
            "contract",
            context.at + terms.pay_within,
        )
        for award in awards
    ]
    for contract in contracts:
        unit.auctions.add_contract(contract)
    sold = sum((award.quantity for award in awards), Carbon(0))
    unsold = auction.left - sold
    if unsold:
        asset = Asset(terms.asset)
        leg = Leg(escrow(terms.seller, asset, auction_id), holding(terms.seller, asset), unsold)
        post_entry(unit, context, EntryKind.ESCROW_RETURN, auction_id, [leg])
    state = "awarded" if awards else ("done" if auction.left < terms.quantity else "unsold")
    unit.auctions.save(replace(auction, left=sold, state=state))
    return unit.auctions.get(auction_id), contracts


def withdraw_auction(unit: MarketUnit, context: Context, auction_id: str) -> Auction:
    """Take an auction back as its seller, as long as nobody has bid."""
    auction = _running(unit, auction_id)
    _not_collateral(unit, auction_id)
    context.require_party(auction.terms.seller)
    if unit.auctions.bids(auction_id) or auction.left < auction.terms.quantity:
        raise InvalidState("somebody has bid", auction_id=auction_id)
    give_back(unit, context, auction.terms.seller, Asset(auction.terms.asset), auction_id)
    unit.auctions.save(replace(auction, left=Carbon(0), state="withdrawn"))
    return unit.auctions.get(auction_id)


def _running(unit: MarketUnit, auction_id: str) -> Auction:
    auction = unit.auctions.get(auction_id)
    if auction.state != "running":
        raise AuctionClosed(f"the auction is {auction.state}", auction_id=auction_id)
    return auction


def _not_collateral(unit: MarketUnit, auction_id: str) -> None:
    """Unsold collateral goes back under its pledge, never to the lender that sells it."""
    if unit.auctions.disposal_auction(auction_id) is not None:
        raise NotPermitted("a disposal of collateral is ended by its own command", auction_id=auction_id)


def _best(placed: list[StoredBid]) -> OpenBid | None:
    if not placed:
        return None
    last = placed[-1]
    assert last.price is not None
    return OpenBid(last.bidder, last.price, last.placed_at)


def _store(
    unit: MarketUnit,
    context: Context,
    auction: Auction,
    placed: list[StoredBid],
    quantity: Carbon,
    *,
    price: Price | None = None,
    commitment: str | None = None,
) -> StoredBid:
    """Keep a bid; a bidder's first one puts its deposit into escrow."""
    terms, bidder = auction.terms, context.actor.id
    first = all(bid.bidder != bidder for bid in placed)
    deposit = terms.deposit_for(quantity) if first else Money(0)
    if deposit:
        set_aside(unit, context, bidder, CNY, deposit, bid_reference(terms.auction_id, bidder))
    bid = StoredBid(
        bid_id=context.new_id("bid"),
        auction_id=terms.auction_id,
        seq=unit.auctions.next_seq(terms.auction_id),
        bidder=bidder,
        quantity=quantity,
        price=price,
        commitment=commitment,
        deposit=deposit,
        placed_at=context.at,
    )
    unit.auctions.add_bid(bid)
    unit.auctions.save(auction)
    return bid


def _awards(terms: Terms, placed: list[StoredBid]) -> list[Award]:
    if terms.format is Format.ENGLISH:
        won = english.winner(terms, _best(placed))
        return [Award(won.bidder, terms.quantity, won.price)] if won else []
    if terms.format is Format.DUTCH:
        return []
    revealed = [
        SealedBid(bid.bidder, bid.price, bid.quantity, bid.seq)
        for bid in placed
        if bid.price is not None and bid.revealed_at is not None
    ]
    return sealed.clear(terms, revealed)


def _forfeit(unit: MarketUnit, context: Context, terms: Terms, bidder: str) -> None:
    kept = escrow(bidder, CNY, bid_reference(terms.auction_id, bidder))
    amount = Money(unit.ledger.balance(kept).posted)
    post_entry(unit, context, EntryKind.PENALTY, terms.auction_id, [Leg(kept, cash(terms.seller), amount)])


def _not_the_seller(terms: Terms, context: Context) -> None:
    if context.actor.id == terms.seller:
        raise NotPermitted("the seller does not bid", auction_id=terms.auction_id)
