CREATE FUNCTION audit_event_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the audit trail is append-only' USING ERRCODE = 'integrity_constraint_violation';
END $$;
--end
CREATE TRIGGER audit_event_stays BEFORE UPDATE OR DELETE ON audit_event
FOR EACH ROW EXECUTE FUNCTION audit_event_stays();
--end
CREATE TRIGGER audit_event_not_emptied BEFORE TRUNCATE ON audit_event EXECUTE FUNCTION audit_event_stays();
--end
CREATE FUNCTION audit_event_chained() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.seq <> 1 + COALESCE((SELECT MAX(seq) FROM audit_event), 0)
  OR NEW.previous_hash <> COALESCE((SELECT hash FROM audit_event WHERE seq = NEW.seq - 1), repeat('0', 64)) THEN
    RAISE EXCEPTION 'the event does not continue the audit trail' USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
--end
CREATE TRIGGER audit_event_chained BEFORE INSERT ON audit_event FOR EACH ROW EXECUTE FUNCTION audit_event_chained();
--end
CREATE OR REPLACE FUNCTION entry_balanced() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.kind = 'audit_anchor' THEN
    IF EXISTS (SELECT 1 FROM posting WHERE entry_id = NEW.id) THEN
      RAISE EXCEPTION 'entry is not balanced' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
  END IF;
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
