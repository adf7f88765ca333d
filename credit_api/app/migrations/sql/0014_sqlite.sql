CREATE TRIGGER person_keeps BEFORE UPDATE ON person
WHEN NEW.id <> OLD.id OR NEW.organisation_id <> OLD.organisation_id OR NEW.roles <> OLD.roles
  OR NEW.created_at <> OLD.created_at OR (OLD.ended_at IS NOT NULL AND NEW.ended_at IS NOT OLD.ended_at)
BEGIN SELECT RAISE(ABORT, 'a person leaves, and changes in no role'); END;
--end
CREATE TRIGGER person_no_delete BEFORE DELETE ON person
BEGIN SELECT RAISE(ABORT, 'a person stays on record'); END;
--end
CREATE TRIGGER invitation_keeps BEFORE UPDATE ON invitation
WHEN NEW.sha256 <> OLD.sha256 OR NEW.id <> OLD.id OR NEW.organisation_id <> OLD.organisation_id
  OR NEW.roles <> OLD.roles OR NEW.invited_by <> OLD.invited_by OR NEW.created_at <> OLD.created_at
  OR NEW.expires_at <> OLD.expires_at OR NEW.person_id IS NOT OLD.person_id
  OR (OLD.used_at IS NOT NULL AND NEW.used_at IS NOT OLD.used_at)
  OR (OLD.withdrawn_at IS NOT NULL AND NEW.withdrawn_at IS NOT OLD.withdrawn_at)
BEGIN SELECT RAISE(ABORT, 'an invitation is used or withdrawn once, and changes in nothing else'); END;
--end
CREATE TRIGGER invitation_no_delete BEFORE DELETE ON invitation
BEGIN SELECT RAISE(ABORT, 'an invitation stays on record'); END;
--end
CREATE TRIGGER machine_keeps BEFORE UPDATE ON machine
WHEN NEW.id <> OLD.id OR NEW.organisation_id <> OLD.organisation_id OR NEW.works <> OLD.works
  OR NEW.created_by <> OLD.created_by OR NEW.created_at <> OLD.created_at
  OR (OLD.revoked_at IS NOT NULL AND NEW.revoked_at IS NOT OLD.revoked_at)
BEGIN SELECT RAISE(ABORT, 'a machine is revoked, and changes in nothing else'); END;
--end
CREATE TRIGGER machine_no_delete BEFORE DELETE ON machine
BEGIN SELECT RAISE(ABORT, 'a machine stays on record'); END;
--end
CREATE TRIGGER machine_key_keeps BEFORE UPDATE ON machine_key
WHEN NEW.machine_id <> OLD.machine_id OR NEW.kid <> OLD.kid OR NEW.created_at <> OLD.created_at
  OR NEW.expires_at <> OLD.expires_at OR NEW.jwk <> OLD.jwk
  OR (OLD.revoked_at IS NOT NULL AND NEW.revoked_at IS NOT OLD.revoked_at)
BEGIN SELECT RAISE(ABORT, 'a machine''s key is revoked, and changes in nothing else'); END;
--end
CREATE TRIGGER machine_key_no_delete BEFORE DELETE ON machine_key
BEGIN SELECT RAISE(ABORT, 'a machine''s key stays on record'); END;
--end
CREATE TRIGGER session_keeps BEFORE UPDATE ON session
WHEN NEW.sha256 <> OLD.sha256 OR NEW.id <> OLD.id OR NEW.organisation_id <> OLD.organisation_id
  OR NEW.works <> OLD.works OR NEW.created_at <> OLD.created_at OR NEW.expires_at <> OLD.expires_at
  OR NEW.person_id IS NOT OLD.person_id OR NEW.machine_id IS NOT OLD.machine_id OR NEW.kid IS NOT OLD.kid
  OR NEW.api_key IS NOT OLD.api_key OR (OLD.ended_at IS NOT NULL AND NEW.ended_at IS NOT OLD.ended_at)
BEGIN SELECT RAISE(ABORT, 'a session ends, and changes in nothing else'); END;
--end
CREATE TRIGGER session_no_delete BEFORE DELETE ON session
BEGIN SELECT RAISE(ABORT, 'a session stays on record'); END;
--end
DROP TRIGGER write_off_by_two;
--end
CREATE TRIGGER write_off_by_two BEFORE INSERT ON loan_event
WHEN NEW.kind = 'write_off' AND NOT EXISTS (
  SELECT 1 FROM proposal JOIN loan ON loan.bank_id = proposal.organisation_id AND loan.id = proposal.object_id
  WHERE loan.number = NEW.number AND proposal.command = 'service_loan' AND proposal.outcome = 'confirmed'
    AND proposal.decided_at = NEW.recorded_at)
BEGIN SELECT RAISE(ABORT, 'a write-off takes two people of the lender'); END;
--end
