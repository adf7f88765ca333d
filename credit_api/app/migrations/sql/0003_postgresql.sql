-- What must be true of the order book, kept by the database itself: the twin of 0003_sqlite.sql.
CREATE FUNCTION order_journal_in_sequence() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.seq <> 1 + COALESCE((SELECT MAX(seq) FROM order_journal WHERE instrument_id = NEW.instrument_id), 0) THEN
    RAISE EXCEPTION 'journal is out of sequence' USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
--end
CREATE TRIGGER order_journal_in_sequence BEFORE INSERT ON order_journal FOR EACH ROW EXECUTE FUNCTION order_journal_in_sequence();
--end
CREATE FUNCTION order_journal_no_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'journal is append-only' USING ERRCODE = 'integrity_constraint_violation';
END $$;
--end
CREATE TRIGGER order_journal_no_update BEFORE UPDATE ON order_journal FOR EACH ROW EXECUTE FUNCTION order_journal_no_update();
--end
CREATE FUNCTION order_journal_no_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'journal is append-only' USING ERRCODE = 'integrity_constraint_violation';
END $$;
--end
CREATE TRIGGER order_journal_no_delete BEFORE DELETE ON order_journal FOR EACH ROW EXECUTE FUNCTION order_journal_no_delete();
--end
CREATE FUNCTION trade_no_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'trade is immutable' USING ERRCODE = 'integrity_constraint_violation';
END $$;
--end
CREATE TRIGGER trade_no_update BEFORE UPDATE ON trade FOR EACH ROW EXECUTE FUNCTION trade_no_update();
--end
CREATE FUNCTION trade_no_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'trade is immutable' USING ERRCODE = 'integrity_constraint_violation';
END $$;
--end
CREATE TRIGGER trade_no_delete BEFORE DELETE ON trade FOR EACH ROW EXECUTE FUNCTION trade_no_delete();
--end
CREATE FUNCTION trade_is_journaled() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM order_journal WHERE instrument_id = NEW.instrument_id AND seq = NEW.seq) THEN
    RAISE EXCEPTION 'trade follows from no event' USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
--end
CREATE TRIGGER trade_is_journaled BEFORE INSERT ON trade FOR EACH ROW EXECUTE FUNCTION trade_is_journaled();
--end
CREATE FUNCTION day_close_no_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'day close is immutable' USING ERRCODE = 'integrity_constraint_violation';
END $$;
--end
CREATE TRIGGER day_close_no_update BEFORE UPDATE ON day_close FOR EACH ROW EXECUTE FUNCTION day_close_no_update();
--end
CREATE FUNCTION day_close_no_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'day close is immutable' USING ERRCODE = 'integrity_constraint_violation';
END $$;
--end
CREATE TRIGGER day_close_no_delete BEFORE DELETE ON day_close FOR EACH ROW EXECUTE FUNCTION day_close_no_delete();
--end
CREATE FUNCTION book_order_ends_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.state <> 'open' OR NEW.id <> OLD.id OR NEW.instrument_id <> OLD.instrument_id OR NEW.seq <> OLD.seq
  OR NEW.owner_id <> OLD.owner_id OR NEW.side <> OLD.side OR NEW.price_fen <> OLD.price_fen OR NEW.lots <> OLD.lots
  OR NEW.left_lots > OLD.left_lots OR NEW.filled_lots < OLD.filled_lots OR NEW.spent_fen < OLD.spent_fen THEN
    RAISE EXCEPTION 'order only fills, shrinks or ends' USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
--end
CREATE TRIGGER book_order_ends_once BEFORE UPDATE ON book_order FOR EACH ROW EXECUTE FUNCTION book_order_ends_once();
--end
CREATE FUNCTION book_order_no_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'order is kept' USING ERRCODE = 'integrity_constraint_violation';
END $$;
--end
CREATE TRIGGER book_order_no_delete BEFORE DELETE ON book_order FOR EACH ROW EXECUTE FUNCTION book_order_no_delete();
--end
CREATE FUNCTION instrument_fixed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.id <> OLD.id OR NEW.rules <> OLD.rules OR NEW.listed_by <> OLD.listed_by THEN
    RAISE EXCEPTION 'instrument is fixed' USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
--end
CREATE TRIGGER instrument_fixed BEFORE UPDATE ON instrument FOR EACH ROW EXECUTE FUNCTION instrument_fixed();
--end
CREATE FUNCTION instrument_no_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'instrument is kept' USING ERRCODE = 'integrity_constraint_violation';
END $$;
--end
CREATE TRIGGER instrument_no_delete BEFORE DELETE ON instrument FOR EACH ROW EXECUTE FUNCTION instrument_no_delete();
--end
CREATE FUNCTION block_report_ends_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.state <> 'open' OR NEW.buyer_id <> OLD.buyer_id OR NEW.seller_id <> OLD.seller_id
  OR NEW.price_fen <> OLD.price_fen OR NEW.lots <> OLD.lots OR NEW.instrument_id <> OLD.instrument_id THEN
    RAISE EXCEPTION 'block report ends once' USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
--end
CREATE TRIGGER block_report_ends_once BEFORE UPDATE ON block_report FOR EACH ROW EXECUTE FUNCTION block_report_ends_once();
--end
CREATE FUNCTION block_report_no_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'block report is kept' USING ERRCODE = 'integrity_constraint_violation';
END $$;
--end
CREATE TRIGGER block_report_no_delete BEFORE DELETE ON block_report FOR EACH ROW EXECUTE FUNCTION block_report_no_delete();
--end
-- Held blocks are disjoint already, so only the one that begins last before the new one's end can overlap it.
CREATE OR REPLACE FUNCTION serial_block_disjoint() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.first_kg <= COALESCE((
    SELECT last_kg FROM serial_block
    WHERE issuance_id = NEW.issuance_id AND until_entry_id IS NULL AND first_kg <= NEW.last_kg
    ORDER BY first_kg DESC LIMIT 1
  ), 0) THEN
    RAISE EXCEPTION 'serial block overlaps one that is held' USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
--end
