-- What must be true of the order book, kept by the database itself.
CREATE TRIGGER order_journal_in_sequence BEFORE INSERT ON order_journal
WHEN NEW.seq <> 1 + COALESCE((SELECT MAX(seq) FROM order_journal WHERE instrument_id = NEW.instrument_id), 0)
BEGIN SELECT RAISE(ABORT, 'journal is out of sequence'); END;
--end
CREATE TRIGGER order_journal_no_update BEFORE UPDATE ON order_journal
BEGIN SELECT RAISE(ABORT, 'journal is append-only'); END;
--end
CREATE TRIGGER order_journal_no_delete BEFORE DELETE ON order_journal
BEGIN SELECT RAISE(ABORT, 'journal is append-only'); END;
--end
CREATE TRIGGER trade_no_update BEFORE UPDATE ON trade
BEGIN SELECT RAISE(ABORT, 'trade is immutable'); END;
--end
CREATE TRIGGER trade_no_delete BEFORE DELETE ON trade
BEGIN SELECT RAISE(ABORT, 'trade is immutable'); END;
--end
CREATE TRIGGER trade_is_journaled BEFORE INSERT ON trade
WHEN NOT EXISTS (SELECT 1 FROM order_journal WHERE instrument_id = NEW.instrument_id AND seq = NEW.seq)
BEGIN SELECT RAISE(ABORT, 'trade follows from no event'); END;
--end
CREATE TRIGGER day_close_no_update BEFORE UPDATE ON day_close
BEGIN SELECT RAISE(ABORT, 'day close is immutable'); END;
--end
CREATE TRIGGER day_close_no_delete BEFORE DELETE ON day_close
BEGIN SELECT RAISE(ABORT, 'day close is immutable'); END;
--end
CREATE TRIGGER book_order_ends_once BEFORE UPDATE ON book_order
WHEN OLD.state <> 'open' OR NEW.id <> OLD.id OR NEW.instrument_id <> OLD.instrument_id OR NEW.seq <> OLD.seq
  OR NEW.owner_id <> OLD.owner_id OR NEW.side <> OLD.side OR NEW.price_fen <> OLD.price_fen OR NEW.lots <> OLD.lots
  OR NEW.left_lots > OLD.left_lots OR NEW.filled_lots < OLD.filled_lots OR NEW.spent_fen < OLD.spent_fen
BEGIN SELECT RAISE(ABORT, 'order only fills, shrinks or ends'); END;
--end
CREATE TRIGGER book_order_no_delete BEFORE DELETE ON book_order
BEGIN SELECT RAISE(ABORT, 'order is kept'); END;
--end
CREATE TRIGGER instrument_fixed BEFORE UPDATE ON instrument
WHEN NEW.id <> OLD.id OR NEW.rules <> OLD.rules OR NEW.listed_by <> OLD.listed_by
BEGIN SELECT RAISE(ABORT, 'instrument is fixed'); END;
--end
CREATE TRIGGER instrument_no_delete BEFORE DELETE ON instrument
BEGIN SELECT RAISE(ABORT, 'instrument is kept'); END;
--end
CREATE TRIGGER block_report_ends_once BEFORE UPDATE ON block_report
WHEN OLD.state <> 'open' OR NEW.buyer_id <> OLD.buyer_id OR NEW.seller_id <> OLD.seller_id
  OR NEW.price_fen <> OLD.price_fen OR NEW.lots <> OLD.lots OR NEW.instrument_id <> OLD.instrument_id
BEGIN SELECT RAISE(ABORT, 'block report ends once'); END;
--end
CREATE TRIGGER block_report_no_delete BEFORE DELETE ON block_report
BEGIN SELECT RAISE(ABORT, 'block report is kept'); END;
--end
-- Held blocks are disjoint already, so only the one that begins last before the new one's end can overlap it.
DROP TRIGGER serial_block_disjoint;
--end
CREATE TRIGGER serial_block_disjoint BEFORE INSERT ON serial_block
WHEN NEW.first_kg <= COALESCE((
  SELECT last_kg FROM serial_block
  WHERE issuance_id = NEW.issuance_id AND until_entry_id IS NULL AND first_kg <= NEW.last_kg
  ORDER BY first_kg DESC LIMIT 1
), 0)
BEGIN SELECT RAISE(ABORT, 'serial block overlaps one that is held'); END;
--end
