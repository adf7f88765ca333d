CREATE TRIGGER listing_no_delete BEFORE DELETE ON listing
BEGIN SELECT RAISE(ABORT, 'listing keeps its history'); END;
--end
CREATE TRIGGER deal_no_delete BEFORE DELETE ON deal
BEGIN SELECT RAISE(ABORT, 'deal keeps its history'); END;
--end
CREATE TRIGGER quote_request_no_delete BEFORE DELETE ON quote_request
BEGIN SELECT RAISE(ABORT, 'quote request keeps its history'); END;
--end
CREATE TRIGGER quote_no_delete BEFORE DELETE ON quote
BEGIN SELECT RAISE(ABORT, 'quote keeps its history'); END;
--end
CREATE TRIGGER auction_no_delete BEFORE DELETE ON auction
BEGIN SELECT RAISE(ABORT, 'auction keeps its history'); END;
--end
CREATE TRIGGER bid_no_delete BEFORE DELETE ON bid
BEGIN SELECT RAISE(ABORT, 'bid keeps its history'); END;
--end
CREATE TRIGGER award_no_delete BEFORE DELETE ON award
BEGIN SELECT RAISE(ABORT, 'award keeps its history'); END;
--end
CREATE TRIGGER otc_trade_no_delete BEFORE DELETE ON otc_trade
BEGIN SELECT RAISE(ABORT, 'otc trade keeps its history'); END;
--end
CREATE TRIGGER otc_trade_no_update BEFORE UPDATE ON otc_trade
BEGIN SELECT RAISE(ABORT, 'trade is on record'); END;
--end
CREATE TRIGGER bid_fixed BEFORE UPDATE ON bid
WHEN OLD.revealed_at IS NOT NULL OR OLD.commitment IS NULL OR NEW.auction_id <> OLD.auction_id OR NEW.bidder_id <> OLD.bidder_id
  OR NEW.commitment <> OLD.commitment OR NEW.deposit_fen <> OLD.deposit_fen OR NEW.seq <> OLD.seq
BEGIN SELECT RAISE(ABORT, 'a bid is revealed once and otherwise never changes'); END;
--end
CREATE TRIGGER listing_only_sells BEFORE UPDATE ON listing
WHEN OLD.state <> 'open' OR NEW.left_kg > OLD.left_kg OR NEW.seller_id <> OLD.seller_id OR NEW.asset <> OLD.asset
BEGIN SELECT RAISE(ABORT, 'a closed listing stays closed'); END;
--end
CREATE TRIGGER award_goes_on BEFORE UPDATE ON award
WHEN OLD.state IN ('paid', 'defaulted') OR NEW.quantity_kg <> OLD.quantity_kg OR NEW.price_fen <> OLD.price_fen
  OR NEW.bidder_id <> OLD.bidder_id
BEGIN SELECT RAISE(ABORT, 'an award is paid or defaulted once'); END;
--end
