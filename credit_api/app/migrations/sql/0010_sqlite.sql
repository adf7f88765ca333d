CREATE TRIGGER listing_no_delete BEFORE DELETE ON listing
BEGIN SELECT RAISE(ABORT, 'listing keeps its history'); END;
--end
CREATE TRIGGER listing_only_sells BEFORE UPDATE ON listing
WHEN OLD.state <> 'open' OR NEW.left_kg > OLD.left_kg OR NEW.seller_id <> OLD.seller_id OR NEW.asset <> OLD.asset
  OR NEW.buyer_id IS NOT OLD.buyer_id OR NEW.pledge_id IS NOT OLD.pledge_id
BEGIN SELECT RAISE(ABORT, 'a closed listing stays closed'); END;
--end
