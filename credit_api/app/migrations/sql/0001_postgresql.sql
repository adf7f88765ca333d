-- What must be true of the books, kept by the database itself: the twin of 0001_sqlite.sql, one function a rule.
-- Statements end with a line of two dashes and "end".
CREATE FUNCTION entry_no_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'entry is append-only' USING ERRCODE = 'integrity_constraint_violation';
END $$;
--end
CREATE TRIGGER entry_no_update BEFORE UPDATE ON entry FOR EACH ROW EXECUTE FUNCTION entry_no_update();
--end
CREATE FUNCTION entry_no_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'entry is append-only' USING ERRCODE = 'integrity_constraint_violation';
END $$;
--end
CREATE TRIGGER entry_no_delete BEFORE DELETE ON entry FOR EACH ROW EXECUTE FUNCTION entry_no_delete();
--end
CREATE FUNCTION posting_no_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'posting is append-only' USING ERRCODE = 'integrity_constraint_violation';
END $$;
--end
CREATE TRIGGER posting_no_update BEFORE UPDATE ON posting FOR EACH ROW EXECUTE FUNCTION posting_no_update();
--end
CREATE FUNCTION posting_no_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'posting is append-only' USING ERRCODE = 'integrity_constraint_violation';
END $$;
--end
CREATE TRIGGER posting_no_delete BEFORE DELETE ON posting FOR EACH ROW EXECUTE FUNCTION posting_no_delete();
--end
CREATE FUNCTION posting_before_seal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT 1 FROM entry WHERE id = NEW.entry_id) THEN
    RAISE EXCEPTION 'entry is sealed' USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
--end
CREATE TRIGGER posting_before_seal BEFORE INSERT ON posting FOR EACH ROW EXECUTE FUNCTION posting_before_seal();
--end
CREATE FUNCTION posting_in_sequence() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (
  SELECT 1 FROM account
  WHERE id = NEW.account_id AND posting_count = NEW.account_seq - 1 AND posted + NEW.amount = NEW.balance_after
) THEN
    RAISE EXCEPTION 'posting is out of sequence' USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
--end
CREATE TRIGGER posting_in_sequence BEFORE INSERT ON posting FOR EACH ROW EXECUTE FUNCTION posting_in_sequence();
--end
CREATE FUNCTION posting_projects() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE account SET posted = NEW.balance_after, posting_count = NEW.account_seq WHERE id = NEW.account_id;
  RETURN NEW;
END $$;
--end
CREATE TRIGGER posting_projects AFTER INSERT ON posting FOR EACH ROW EXECUTE FUNCTION posting_projects();
--end
CREATE FUNCTION entry_balanced() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (SELECT COUNT(*) FROM posting WHERE entry_id = NEW.id) < 2
  OR EXISTS (
    SELECT 1 FROM posting JOIN account ON account.id = posting.account_id
    WHERE posting.entry_id = NEW.id GROUP BY account.asset HAVING SUM(posting.amount) <> 0
  ) THEN
    RAISE EXCEPTION 'entry is not balanced' USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
--end
CREATE TRIGGER entry_balanced BEFORE INSERT ON entry FOR EACH ROW EXECUTE FUNCTION entry_balanced();
--end
CREATE FUNCTION entry_chained() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.id <> 1 + COALESCE((SELECT MAX(id) FROM entry), 0)
  OR NEW.previous_hash <> COALESCE((SELECT hash FROM entry WHERE id = NEW.id - 1), repeat('0', 64)) THEN
    RAISE EXCEPTION 'entry does not continue the chain' USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
--end
CREATE TRIGGER entry_chained BEFORE INSERT ON entry FOR EACH ROW EXECUTE FUNCTION entry_chained();
--end
CREATE FUNCTION account_starts_empty() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.posted <> 0 OR NEW.held <> 0 OR NEW.posting_count <> 0 THEN
    RAISE EXCEPTION 'account does not start empty' USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
--end
CREATE TRIGGER account_starts_empty BEFORE INSERT ON account FOR EACH ROW EXECUTE FUNCTION account_starts_empty();
--end
CREATE FUNCTION account_no_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'account cannot be deleted' USING ERRCODE = 'integrity_constraint_violation';
END $$;
--end
CREATE TRIGGER account_no_delete BEFORE DELETE ON account FOR EACH ROW EXECUTE FUNCTION account_no_delete();
--end
CREATE FUNCTION account_identity_fixed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.id <> OLD.id OR NEW.owner_id <> OLD.owner_id OR NEW.kind <> OLD.kind OR NEW.asset <> OLD.asset
  OR NEW.reference <> OLD.reference OR NEW.floor IS DISTINCT FROM OLD.floor OR NEW.ceiling IS DISTINCT FROM OLD.ceiling THEN
    RAISE EXCEPTION 'account identity is fixed' USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
--end
CREATE TRIGGER account_identity_fixed BEFORE UPDATE ON account FOR EACH ROW EXECUTE FUNCTION account_identity_fixed();
--end
CREATE FUNCTION account_follows_postings() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (NEW.posted <> OLD.posted OR NEW.posting_count <> OLD.posting_count) AND NOT EXISTS (
  SELECT 1 FROM posting
  WHERE account_id = NEW.id AND account_seq = NEW.posting_count AND balance_after = NEW.posted
) THEN
    RAISE EXCEPTION 'balance does not follow from postings' USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
--end
CREATE TRIGGER account_follows_postings BEFORE UPDATE ON account FOR EACH ROW EXECUTE FUNCTION account_follows_postings();
--end
CREATE FUNCTION account_follows_holds() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.held <> OLD.held AND NEW.held <> (
  SELECT COALESCE(SUM(amount), 0) FROM hold WHERE account_id = NEW.id AND state = 'pending'
) THEN
    RAISE EXCEPTION 'held amount does not follow from holds' USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
--end
CREATE TRIGGER account_follows_holds BEFORE UPDATE ON account FOR EACH ROW EXECUTE FUNCTION account_follows_holds();
--end
CREATE FUNCTION hold_opens() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.state <> 'pending' THEN
    RAISE EXCEPTION 'hold starts pending' USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
--end
CREATE TRIGGER hold_opens BEFORE INSERT ON hold FOR EACH ROW EXECUTE FUNCTION hold_opens();
--end
CREATE FUNCTION hold_projects_open() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE account SET held = held + NEW.amount WHERE id = NEW.account_id;
  RETURN NEW;
END $$;
--end
CREATE TRIGGER hold_projects_open AFTER INSERT ON hold FOR EACH ROW EXECUTE FUNCTION hold_projects_open();
--end
CREATE FUNCTION hold_closes_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.state <> 'pending' OR NEW.state = 'pending' OR NEW.id <> OLD.id OR NEW.account_id <> OLD.account_id
  OR NEW.amount <> OLD.amount THEN
    RAISE EXCEPTION 'hold closes once and otherwise never changes' USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
--end
CREATE TRIGGER hold_closes_once BEFORE UPDATE ON hold FOR EACH ROW EXECUTE FUNCTION hold_closes_once();
--end
CREATE FUNCTION hold_projects_close() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE account SET held = held - NEW.amount WHERE id = NEW.account_id;
  RETURN NEW;
END $$;
--end
CREATE TRIGGER hold_projects_close AFTER UPDATE ON hold FOR EACH ROW EXECUTE FUNCTION hold_projects_close();
--end
CREATE FUNCTION hold_no_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'hold cannot be deleted' USING ERRCODE = 'integrity_constraint_violation';
END $$;
--end
CREATE TRIGGER hold_no_delete BEFORE DELETE ON hold FOR EACH ROW EXECUTE FUNCTION hold_no_delete();
--end
CREATE FUNCTION reading_no_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'reading is immutable' USING ERRCODE = 'integrity_constraint_violation';
END $$;
--end
CREATE TRIGGER reading_no_update BEFORE UPDATE ON reading FOR EACH ROW EXECUTE FUNCTION reading_no_update();
--end
CREATE FUNCTION reading_no_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'reading is immutable' USING ERRCODE = 'integrity_constraint_violation';
END $$;
--end
CREATE TRIGGER reading_no_delete BEFORE DELETE ON reading FOR EACH ROW EXECUTE FUNCTION reading_no_delete();
--end
CREATE FUNCTION price_no_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'price observation is immutable' USING ERRCODE = 'integrity_constraint_violation';
END $$;
--end
CREATE TRIGGER price_no_update BEFORE UPDATE ON price_observation FOR EACH ROW EXECUTE FUNCTION price_no_update();
--end
CREATE FUNCTION price_no_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'price observation is immutable' USING ERRCODE = 'integrity_constraint_violation';
END $$;
--end
CREATE TRIGGER price_no_delete BEFORE DELETE ON price_observation FOR EACH ROW EXECUTE FUNCTION price_no_delete();
--end
CREATE FUNCTION retirement_no_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'retirement is irreversible' USING ERRCODE = 'integrity_constraint_violation';
END $$;
--end
CREATE TRIGGER retirement_no_update BEFORE UPDATE ON retirement FOR EACH ROW EXECUTE FUNCTION retirement_no_update();
--end
CREATE FUNCTION retirement_no_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'retirement is irreversible' USING ERRCODE = 'integrity_constraint_violation';
END $$;
--end
CREATE TRIGGER retirement_no_delete BEFORE DELETE ON retirement FOR EACH ROW EXECUTE FUNCTION retirement_no_delete();
--end
CREATE FUNCTION decision_no_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'credit decision is immutable' USING ERRCODE = 'integrity_constraint_violation';
END $$;
--end
CREATE TRIGGER decision_no_update BEFORE UPDATE ON credit_decision FOR EACH ROW EXECUTE FUNCTION decision_no_update();
--end
CREATE FUNCTION decision_no_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'credit decision is immutable' USING ERRCODE = 'integrity_constraint_violation';
END $$;
--end
CREATE TRIGGER decision_no_delete BEFORE DELETE ON credit_decision FOR EACH ROW EXECUTE FUNCTION decision_no_delete();
--end
CREATE FUNCTION serial_block_closes_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.until_entry_id IS NOT NULL OR NEW.until_entry_id IS NULL OR NEW.issuance_id <> OLD.issuance_id
  OR NEW.account_id <> OLD.account_id OR NEW.first_kg <> OLD.first_kg OR NEW.last_kg <> OLD.last_kg
  OR NEW.since_entry_id <> OLD.since_entry_id THEN
    RAISE EXCEPTION 'serial block closes once and otherwise never changes' USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
--end
CREATE TRIGGER serial_block_closes_once BEFORE UPDATE ON serial_block FOR EACH ROW EXECUTE FUNCTION serial_block_closes_once();
--end
CREATE FUNCTION serial_block_no_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'serial block keeps its history' USING ERRCODE = 'integrity_constraint_violation';
END $$;
--end
CREATE TRIGGER serial_block_no_delete BEFORE DELETE ON serial_block FOR EACH ROW EXECUTE FUNCTION serial_block_no_delete();
--end
CREATE FUNCTION serial_block_disjoint() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (
  SELECT 1 FROM serial_block
  WHERE issuance_id = NEW.issuance_id AND until_entry_id IS NULL
    AND first_kg <= NEW.last_kg AND NEW.first_kg <= last_kg
) THEN
    RAISE EXCEPTION 'serial block overlaps one that is held' USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
--end
CREATE TRIGGER serial_block_disjoint BEFORE INSERT ON serial_block FOR EACH ROW EXECUTE FUNCTION serial_block_disjoint();
--end
CREATE FUNCTION meter_claim_disjoint() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (
  SELECT 1 FROM monitoring_period AS mine
  JOIN monitoring_period AS other ON other.starts_at < mine.ends_at AND mine.starts_at < other.ends_at
  JOIN meter_claim ON meter_claim.period_id = other.id
  WHERE mine.id = NEW.period_id AND meter_claim.meter_id = NEW.meter_id AND other.state <> 'rejected'
) THEN
    RAISE EXCEPTION 'meter time is claimed already' USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
--end
CREATE TRIGGER meter_claim_disjoint BEFORE INSERT ON meter_claim FOR EACH ROW EXECUTE FUNCTION meter_claim_disjoint();
--end
CREATE FUNCTION meter_claim_immutable() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'meter claim is immutable' USING ERRCODE = 'integrity_constraint_violation';
END $$;
--end
CREATE TRIGGER meter_claim_no_update BEFORE UPDATE ON meter_claim FOR EACH ROW EXECUTE FUNCTION meter_claim_immutable();
--end
CREATE TRIGGER meter_claim_no_delete BEFORE DELETE ON meter_claim FOR EACH ROW EXECUTE FUNCTION meter_claim_immutable();
--end
CREATE FUNCTION period_fixed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.project_id <> OLD.project_id OR NEW.starts_at <> OLD.starts_at OR NEW.ends_at <> OLD.ends_at
  OR NEW.generation_wh <> OLD.generation_wh OR NEW.commitment <> OLD.commitment OR OLD.state IN ('rejected', 'issued') THEN
    RAISE EXCEPTION 'monitoring period is fixed' USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
--end
CREATE TRIGGER period_fixed BEFORE UPDATE ON monitoring_period FOR EACH ROW EXECUTE FUNCTION period_fixed();
--end
CREATE FUNCTION inquiry_no_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'inquiry log is append-only' USING ERRCODE = 'integrity_constraint_violation';
END $$;
--end
CREATE TRIGGER inquiry_no_update BEFORE UPDATE ON inquiry FOR EACH ROW EXECUTE FUNCTION inquiry_no_update();
--end
CREATE FUNCTION inquiry_no_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'inquiry log is append-only' USING ERRCODE = 'integrity_constraint_violation';
END $$;
--end
CREATE TRIGGER inquiry_no_delete BEFORE DELETE ON inquiry FOR EACH ROW EXECUTE FUNCTION inquiry_no_delete();
--end
