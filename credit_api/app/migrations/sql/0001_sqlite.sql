-- What must be true of the books, kept by the database itself. Statements end with a line of two dashes and "end".
CREATE TRIGGER entry_no_update BEFORE UPDATE ON entry
BEGIN SELECT RAISE(ABORT, 'entry is append-only'); END;
--end
CREATE TRIGGER entry_no_delete BEFORE DELETE ON entry
BEGIN SELECT RAISE(ABORT, 'entry is append-only'); END;
--end
CREATE TRIGGER posting_no_update BEFORE UPDATE ON posting
BEGIN SELECT RAISE(ABORT, 'posting is append-only'); END;
--end
CREATE TRIGGER posting_no_delete BEFORE DELETE ON posting
BEGIN SELECT RAISE(ABORT, 'posting is append-only'); END;
--end
CREATE TRIGGER posting_before_seal BEFORE INSERT ON posting
WHEN EXISTS (SELECT 1 FROM entry WHERE id = NEW.entry_id)
BEGIN SELECT RAISE(ABORT, 'entry is sealed'); END;
--end
CREATE TRIGGER posting_in_sequence BEFORE INSERT ON posting
WHEN NOT EXISTS (
  SELECT 1 FROM account
  WHERE id = NEW.account_id AND posting_count = NEW.account_seq - 1 AND posted + NEW.amount = NEW.balance_after
)
BEGIN SELECT RAISE(ABORT, 'posting is out of sequence'); END;
--end
CREATE TRIGGER posting_projects AFTER INSERT ON posting
BEGIN
  UPDATE account SET posted = NEW.balance_after, posting_count = NEW.account_seq WHERE id = NEW.account_id;
END;
--end
CREATE TRIGGER entry_balanced BEFORE INSERT ON entry
WHEN (SELECT COUNT(*) FROM posting WHERE entry_id = NEW.id) < 2
  OR EXISTS (
    SELECT 1 FROM posting JOIN account ON account.id = posting.account_id
    WHERE posting.entry_id = NEW.id GROUP BY account.asset HAVING SUM(posting.amount) <> 0
  )
BEGIN SELECT RAISE(ABORT, 'entry is not balanced'); END;
--end
CREATE TRIGGER entry_chained BEFORE INSERT ON entry
WHEN NEW.id <> 1 + COALESCE((SELECT MAX(id) FROM entry), 0)
  OR NEW.previous_hash <> COALESCE((SELECT hash FROM entry WHERE id = NEW.id - 1), printf('%064d', 0))
BEGIN SELECT RAISE(ABORT, 'entry does not continue the chain'); END;
--end
CREATE TRIGGER account_starts_empty BEFORE INSERT ON account
WHEN NEW.posted <> 0 OR NEW.held <> 0 OR NEW.posting_count <> 0
BEGIN SELECT RAISE(ABORT, 'account does not start empty'); END;
--end
CREATE TRIGGER account_no_delete BEFORE DELETE ON account
BEGIN SELECT RAISE(ABORT, 'account cannot be deleted'); END;
--end
CREATE TRIGGER account_identity_fixed BEFORE UPDATE ON account
WHEN NEW.id <> OLD.id OR NEW.owner_id <> OLD.owner_id OR NEW.kind <> OLD.kind OR NEW.asset <> OLD.asset
  OR NEW.reference <> OLD.reference OR NEW.floor IS NOT OLD.floor OR NEW.ceiling IS NOT OLD.ceiling
BEGIN SELECT RAISE(ABORT, 'account identity is fixed'); END;
--end
CREATE TRIGGER account_follows_postings BEFORE UPDATE ON account
WHEN (NEW.posted <> OLD.posted OR NEW.posting_count <> OLD.posting_count) AND NOT EXISTS (
  SELECT 1 FROM posting
  WHERE account_id = NEW.id AND account_seq = NEW.posting_count AND balance_after = NEW.posted
)
BEGIN SELECT RAISE(ABORT, 'balance does not follow from postings'); END;
--end
CREATE TRIGGER account_follows_holds BEFORE UPDATE ON account
WHEN NEW.held <> OLD.held AND NEW.held <> (
  SELECT COALESCE(SUM(amount), 0) FROM hold WHERE account_id = NEW.id AND state = 'pending'
)
BEGIN SELECT RAISE(ABORT, 'held amount does not follow from holds'); END;
--end
CREATE TRIGGER hold_opens BEFORE INSERT ON hold
WHEN NEW.state <> 'pending'
BEGIN SELECT RAISE(ABORT, 'hold starts pending'); END;
--end
CREATE TRIGGER hold_projects_open AFTER INSERT ON hold
BEGIN UPDATE account SET held = held + NEW.amount WHERE id = NEW.account_id; END;
--end
CREATE TRIGGER hold_closes_once BEFORE UPDATE ON hold
WHEN OLD.state <> 'pending' OR NEW.state = 'pending' OR NEW.id <> OLD.id OR NEW.account_id <> OLD.account_id
  OR NEW.amount <> OLD.amount
BEGIN SELECT RAISE(ABORT, 'hold closes once and otherwise never changes'); END;
--end
CREATE TRIGGER hold_projects_close AFTER UPDATE ON hold
BEGIN UPDATE account SET held = held - NEW.amount WHERE id = NEW.account_id; END;
--end
CREATE TRIGGER hold_no_delete BEFORE DELETE ON hold
BEGIN SELECT RAISE(ABORT, 'hold cannot be deleted'); END;
--end
CREATE TRIGGER reading_no_update BEFORE UPDATE ON reading
BEGIN SELECT RAISE(ABORT, 'reading is immutable'); END;
--end
CREATE TRIGGER reading_no_delete BEFORE DELETE ON reading
BEGIN SELECT RAISE(ABORT, 'reading is immutable'); END;
--end
CREATE TRIGGER price_no_update BEFORE UPDATE ON price_observation
BEGIN SELECT RAISE(ABORT, 'price observation is immutable'); END;
--end
CREATE TRIGGER price_no_delete BEFORE DELETE ON price_observation
BEGIN SELECT RAISE(ABORT, 'price observation is immutable'); END;
--end
CREATE TRIGGER retirement_no_update BEFORE UPDATE ON retirement
BEGIN SELECT RAISE(ABORT, 'retirement is irreversible'); END;
--end
CREATE TRIGGER retirement_no_delete BEFORE DELETE ON retirement
BEGIN SELECT RAISE(ABORT, 'retirement is irreversible'); END;
--end
CREATE TRIGGER decision_no_update BEFORE UPDATE ON credit_decision
BEGIN SELECT RAISE(ABORT, 'credit decision is immutable'); END;
--end
CREATE TRIGGER decision_no_delete BEFORE DELETE ON credit_decision
BEGIN SELECT RAISE(ABORT, 'credit decision is immutable'); END;
--end
CREATE TRIGGER serial_block_closes_once BEFORE UPDATE ON serial_block
WHEN OLD.until_entry_id IS NOT NULL OR NEW.until_entry_id IS NULL OR NEW.issuance_id <> OLD.issuance_id
  OR NEW.account_id <> OLD.account_id OR NEW.first_kg <> OLD.first_kg OR NEW.last_kg <> OLD.last_kg
  OR NEW.since_entry_id <> OLD.since_entry_id
BEGIN SELECT RAISE(ABORT, 'serial block closes once and otherwise never changes'); END;
--end
CREATE TRIGGER serial_block_no_delete BEFORE DELETE ON serial_block
BEGIN SELECT RAISE(ABORT, 'serial block keeps its history'); END;
--end
CREATE TRIGGER serial_block_disjoint BEFORE INSERT ON serial_block
WHEN EXISTS (
  SELECT 1 FROM serial_block
  WHERE issuance_id = NEW.issuance_id AND until_entry_id IS NULL
    AND first_kg <= NEW.last_kg AND NEW.first_kg <= last_kg
)
BEGIN SELECT RAISE(ABORT, 'serial block overlaps one that is held'); END;
--end
CREATE TRIGGER meter_claim_disjoint BEFORE INSERT ON meter_claim
WHEN EXISTS (
  SELECT 1 FROM monitoring_period AS mine
  JOIN monitoring_period AS other ON other.starts_at < mine.ends_at AND mine.starts_at < other.ends_at
  JOIN meter_claim ON meter_claim.period_id = other.id
  WHERE mine.id = NEW.period_id AND meter_claim.meter_id = NEW.meter_id AND other.state <> 'rejected'
)
BEGIN SELECT RAISE(ABORT, 'meter time is claimed already'); END;
--end
CREATE TRIGGER meter_claim_no_update BEFORE UPDATE ON meter_claim
BEGIN SELECT RAISE(ABORT, 'meter claim is immutable'); END;
--end
CREATE TRIGGER meter_claim_no_delete BEFORE DELETE ON meter_claim
BEGIN SELECT RAISE(ABORT, 'meter claim is immutable'); END;
--end
CREATE TRIGGER period_fixed BEFORE UPDATE ON monitoring_period
WHEN NEW.project_id <> OLD.project_id OR NEW.starts_at <> OLD.starts_at OR NEW.ends_at <> OLD.ends_at
  OR NEW.generation_wh <> OLD.generation_wh OR NEW.commitment <> OLD.commitment OR OLD.state IN ('rejected', 'issued')
BEGIN SELECT RAISE(ABORT, 'monitoring period is fixed'); END;
--end
CREATE TRIGGER inquiry_no_update BEFORE UPDATE ON inquiry
BEGIN SELECT RAISE(ABORT, 'inquiry log is append-only'); END;
--end
CREATE TRIGGER inquiry_no_delete BEFORE DELETE ON inquiry
BEGIN SELECT RAISE(ABORT, 'inquiry log is append-only'); END;
--end
