CREATE FUNCTION listing_no_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'listing keeps its history' USING ERRCODE = 'integrity_constraint_violation';
END $$;
--end
CREATE TRIGGER listing_no_delete BEFORE DELETE ON listing FOR EACH ROW EXECUTE FUNCTION listing_no_delete();
--end
CREATE FUNCTION deal_no_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'deal keeps its history' USING ERRCODE = 'integrity_constraint_violation';
END $$;
--end
CREATE TRIGGER deal_no_delete BEFORE DELETE ON deal FOR EACH ROW EXECUTE FUNCTION deal_no_delete();
--end
CREATE FUNCTION quote_request_no_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'quote request keeps its history' USING ERRCODE = 'integrity_constraint_violation';
END $$;
--end
CREATE TRIGGER quote_request_no_delete BEFORE DELETE ON quote_request FOR EACH ROW EXECUTE FUNCTION quote_request_no_delete();
--end
CREATE FUNCTION quote_no_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'quote keeps its history' USING ERRCODE = 'integrity_constraint_violation';
END $$;
--end
CREATE TRIGGER quote_no_delete BEFORE DELETE ON quote FOR EACH ROW EXECUTE FUNCTION quote_no_delete();
--end
CREATE FUNCTION auction_no_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'auction keeps its history' USING ERRCODE = 'integrity_constraint_violation';
END $$;
--end
CREATE TRIGGER auction_no_delete BEFORE DELETE ON auction FOR EACH ROW EXECUTE FUNCTION auction_no_delete();
--end
CREATE FUNCTION bid_no_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'bid keeps its history' USING ERRCODE = 'integrity_constraint_violation';
END $$;
--end
CREATE TRIGGER bid_no_delete BEFORE DELETE ON bid FOR EACH ROW EXECUTE FUNCTION bid_no_delete();
--end
CREATE FUNCTION award_no_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'award keeps its history' USING ERRCODE = 'integrity_constraint_violation';
END $$;
--end
CREATE TRIGGER award_no_delete BEFORE DELETE ON award FOR EACH ROW EXECUTE FUNCTION award_no_delete();
--end
CREATE FUNCTION otc_trade_no_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'otc trade keeps its history' USING ERRCODE = 'integrity_constraint_violation';
END $$;
--end
CREATE TRIGGER otc_trade_no_delete BEFORE DELETE ON otc_trade FOR EACH ROW EXECUTE FUNCTION otc_trade_no_delete();
--end
CREATE FUNCTION otc_trade_no_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'trade is on record' USING ERRCODE = 'integrity_constraint_violation';
END $$;
--end
CREATE TRIGGER otc_trade_no_update BEFORE UPDATE ON otc_trade FOR EACH ROW EXECUTE FUNCTION otc_trade_no_update();
--end
CREATE FUNCTION bid_fixed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.revealed_at IS NOT NULL OR OLD.commitment IS NULL OR NEW.auction_id <> OLD.auction_id OR NEW.bidder_id <> OLD.bidder_id
  OR NEW.commitment <> OLD.commitment OR NEW.deposit_fen <> OLD.deposit_fen OR NEW.seq <> OLD.seq THEN
    RAISE EXCEPTION 'a bid is revealed once and otherwise never changes' USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
--end
CREATE TRIGGER bid_fixed BEFORE UPDATE ON bid FOR EACH ROW EXECUTE FUNCTION bid_fixed();
--end
CREATE FUNCTION listing_only_sells() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.state <> 'open' OR NEW.left_kg > OLD.left_kg OR NEW.seller_id <> OLD.seller_id OR NEW.asset <> OLD.asset THEN
    RAISE EXCEPTION 'a closed listing stays closed' USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
--end
CREATE TRIGGER listing_only_sells BEFORE UPDATE ON listing FOR EACH ROW EXECUTE FUNCTION listing_only_sells();
--end
CREATE FUNCTION award_goes_on() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.state IN ('paid', 'defaulted') OR NEW.quantity_kg <> OLD.quantity_kg OR NEW.price_fen <> OLD.price_fen
  OR NEW.bidder_id <> OLD.bidder_id THEN
    RAISE EXCEPTION 'an award is paid or defaulted once' USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
--end
CREATE TRIGGER award_goes_on BEFORE UPDATE ON award FOR EACH ROW EXECUTE FUNCTION award_goes_on();
--end
