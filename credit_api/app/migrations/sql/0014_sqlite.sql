CREATE TRIGGER organisation_keeps BEFORE UPDATE OF id, kind, admitted_by, created_at ON organisation
BEGIN SELECT RAISE(ABORT, 'an organisation stays of its kind'); END;
--end
CREATE TRIGGER person_keeps BEFORE UPDATE OF id, organisation_id, roles, created_at ON person
BEGIN SELECT RAISE(ABORT, 'a person leaves, and changes in no role'); END;
--end
CREATE TRIGGER person_ended_at_once BEFORE UPDATE OF ended_at ON person
WHEN OLD.ended_at IS NOT NULL AND NEW.ended_at IS NOT OLD.ended_at
BEGIN SELECT RAISE(ABORT, 'a person leaves, and changes in no role'); END;
--end
CREATE TRIGGER person_no_delete BEFORE DELETE ON person
BEGIN SELECT RAISE(ABORT, 'a person stays on record'); END;
--end
CREATE TRIGGER invitation_keeps BEFORE UPDATE OF sha256, id, organisation_id, person_id, roles, invited_by,
  created_at, expires_at ON invitation
BEGIN SELECT RAISE(ABORT, 'an invitation is used or withdrawn, and changes in nothing else'); END;
--end
CREATE TRIGGER invitation_used_at_once BEFORE UPDATE OF used_at ON invitation
WHEN OLD.used_at IS NOT NULL AND NEW.used_at IS NOT OLD.used_at
BEGIN SELECT RAISE(ABORT, 'an invitation is used or withdrawn, and changes in nothing else'); END;
--end
CREATE TRIGGER invitation_withdrawn_at_once BEFORE UPDATE OF withdrawn_at ON invitation
WHEN OLD.withdrawn_at IS NOT NULL AND NEW.withdrawn_at IS NOT OLD.withdrawn_at
BEGIN SELECT RAISE(ABORT, 'an invitation is used or withdrawn, and changes in nothing else'); END;
--end
CREATE TRIGGER invitation_no_delete BEFORE DELETE ON invitation
BEGIN SELECT RAISE(ABORT, 'an invitation stays on record'); END;
--end
CREATE TRIGGER machine_keeps BEFORE UPDATE OF id, organisation_id, works, created_by, created_at ON machine
BEGIN SELECT RAISE(ABORT, 'a machine is revoked, and changes in nothing else'); END;
--end
CREATE TRIGGER machine_revoked_at_once BEFORE UPDATE OF revoked_at ON machine
WHEN OLD.revoked_at IS NOT NULL AND NEW.revoked_at IS NOT OLD.revoked_at
BEGIN SELECT RAISE(ABORT, 'a machine is revoked, and changes in nothing else'); END;
--end
CREATE TRIGGER machine_no_delete BEFORE DELETE ON machine
BEGIN SELECT RAISE(ABORT, 'a machine stays on record'); END;
--end
CREATE TRIGGER machine_key_keeps BEFORE UPDATE OF machine_id, kid, jwk, created_at, expires_at ON machine_key
BEGIN SELECT RAISE(ABORT, 'the key of a machine is revoked, and changes in nothing else'); END;
--end
CREATE TRIGGER machine_key_revoked_at_once BEFORE UPDATE OF revoked_at ON machine_key
WHEN OLD.revoked_at IS NOT NULL AND NEW.revoked_at IS NOT OLD.revoked_at
BEGIN SELECT RAISE(ABORT, 'the key of a machine is revoked, and changes in nothing else'); END;
--end
CREATE TRIGGER machine_key_no_delete BEFORE DELETE ON machine_key
BEGIN SELECT RAISE(ABORT, 'the key of a machine stays on record'); END;
--end
CREATE TRIGGER session_keeps BEFORE UPDATE OF sha256, id, organisation_id, person_id, machine_id, kid, api_key, works, csrf_token,
  created_at, expires_at ON session
BEGIN SELECT RAISE(ABORT, 'a session ends, and changes in nothing else'); END;
--end
CREATE TRIGGER session_ended_at_once BEFORE UPDATE OF ended_at ON session
WHEN OLD.ended_at IS NOT NULL AND NEW.ended_at IS NOT OLD.ended_at
BEGIN SELECT RAISE(ABORT, 'a session ends, and changes in nothing else'); END;
--end
CREATE TRIGGER session_no_delete BEFORE DELETE ON session
BEGIN SELECT RAISE(ABORT, 'a session stays on record'); END;
--end
CREATE TRIGGER api_key_no_delete BEFORE DELETE ON api_key
BEGIN SELECT RAISE(ABORT, 'a key stays on record'); END;
--end
CREATE TRIGGER invitation_used_or_withdrawn BEFORE UPDATE ON invitation
WHEN OLD.withdrawn_at IS NOT NULL AND OLD.used_at IS NULL AND NEW.used_at IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'an invitation that was withdrawn is not used'); END;
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
