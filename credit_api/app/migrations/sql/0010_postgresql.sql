CREATE OR REPLACE FUNCTION listing_only_sells() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.state <> 'open' OR NEW.left_kg > OLD.left_kg OR NEW.seller_id <> OLD.seller_id OR NEW.asset <> OLD.asset
  OR NEW.buyer_id IS DISTINCT FROM OLD.buyer_id OR NEW.pledge_id IS DISTINCT FROM OLD.pledge_id THEN
    RAISE EXCEPTION 'a closed listing stays closed' USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
--end
