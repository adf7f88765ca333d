CREATE TRIGGER audit_event_no_update BEFORE UPDATE ON audit_event
BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;
--end
CREATE TRIGGER audit_event_no_delete BEFORE DELETE ON audit_event
BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;
--end
CREATE TRIGGER audit_event_chained BEFORE INSERT ON audit_event
WHEN NEW.seq <> 1 + COALESCE((SELECT MAX(seq) FROM audit_event), 0)
  OR NEW.previous_hash <> COALESCE((SELECT hash FROM audit_event WHERE seq = NEW.seq - 1), printf('%064d', 0))
BEGIN SELECT RAISE(ABORT, 'the event does not continue the audit trail'); END;
--end
DROP TRIGGER entry_balanced;
--end
CREATE TRIGGER entry_balanced BEFORE INSERT ON entry
WHEN CASE WHEN NEW.kind = 'audit_anchor'
  THEN EXISTS (SELECT 1 FROM posting WHERE entry_id = NEW.id)
  ELSE (SELECT COUNT(*) FROM posting WHERE entry_id = NEW.id) < 2
    OR EXISTS (
      SELECT 1 FROM posting JOIN account ON account.id = posting.account_id
      WHERE posting.entry_id = NEW.id GROUP BY account.asset HAVING SUM(posting.amount) <> 0
    )
  END
BEGIN SELECT RAISE(ABORT, 'entry is not balanced'); END;
--end
