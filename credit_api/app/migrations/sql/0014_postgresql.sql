CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION USING MESSAGE = TG_ARGV[0], ERRCODE = 'integrity_constraint_violation';
END $$;
--end
CREATE TRIGGER organisation_keeps BEFORE UPDATE OF id, kind, admitted_by, created_at ON organisation
FOR EACH ROW
EXECUTE FUNCTION refuse('an organisation stays of its kind');
--end
CREATE TRIGGER person_keeps BEFORE UPDATE OF id, organisation_id, roles, created_at ON person
FOR EACH ROW
EXECUTE FUNCTION refuse('a person leaves, and changes in no role');
--end
CREATE TRIGGER person_ended_at_once BEFORE UPDATE OF ended_at ON person
FOR EACH ROW WHEN (OLD.ended_at IS NOT NULL AND NEW.ended_at IS DISTINCT FROM OLD.ended_at)
EXECUTE FUNCTION refuse('a person leaves, and changes in no role');
--end
CREATE TRIGGER person_no_delete BEFORE DELETE ON person
FOR EACH ROW
EXECUTE FUNCTION refuse('a person stays on record');
--end
CREATE TRIGGER invitation_keeps BEFORE UPDATE OF sha256, id, organisation_id, person_id, roles, invited_by,
  created_at, expires_at ON invitation
FOR EACH ROW
EXECUTE FUNCTION refuse('an invitation is used or withdrawn, and changes in nothing else');
--end
CREATE TRIGGER invitation_used_at_once BEFORE UPDATE OF used_at ON invitation
FOR EACH ROW WHEN (OLD.used_at IS NOT NULL AND NEW.used_at IS DISTINCT FROM OLD.used_at)
EXECUTE FUNCTION refuse('an invitation is used or withdrawn, and changes in nothing else');
--end
CREATE TRIGGER invitation_withdrawn_at_once BEFORE UPDATE OF withdrawn_at ON invitation
FOR EACH ROW WHEN (OLD.withdrawn_at IS NOT NULL AND NEW.withdrawn_at IS DISTINCT FROM OLD.withdrawn_at)
EXECUTE FUNCTION refuse('an invitation is used or withdrawn, and changes in nothing else');
--end
CREATE TRIGGER invitation_no_delete BEFORE DELETE ON invitation
FOR EACH ROW
EXECUTE FUNCTION refuse('an invitation stays on record');
--end
CREATE TRIGGER machine_keeps BEFORE UPDATE OF id, organisation_id, works, created_by, created_at ON machine
FOR EACH ROW
EXECUTE FUNCTION refuse('a machine is revoked, and changes in nothing else');
--end
CREATE TRIGGER machine_revoked_at_once BEFORE UPDATE OF revoked_at ON machine
FOR EACH ROW WHEN (OLD.revoked_at IS NOT NULL AND NEW.revoked_at IS DISTINCT FROM OLD.revoked_at)
EXECUTE FUNCTION refuse('a machine is revoked, and changes in nothing else');
--end
CREATE TRIGGER machine_no_delete BEFORE DELETE ON machine
FOR EACH ROW
EXECUTE FUNCTION refuse('a machine stays on record');
--end
CREATE TRIGGER machine_key_keeps BEFORE UPDATE OF machine_id, kid, jwk, created_at, expires_at ON machine_key
FOR EACH ROW
EXECUTE FUNCTION refuse('the key of a machine is revoked, and changes in nothing else');
--end
CREATE TRIGGER machine_key_revoked_at_once BEFORE UPDATE OF revoked_at ON machine_key
FOR EACH ROW WHEN (OLD.revoked_at IS NOT NULL AND NEW.revoked_at IS DISTINCT FROM OLD.revoked_at)
EXECUTE FUNCTION refuse('the key of a machine is revoked, and changes in nothing else');
--end
CREATE TRIGGER machine_key_no_delete BEFORE DELETE ON machine_key
FOR EACH ROW
EXECUTE FUNCTION refuse('the key of a machine stays on record');
--end
CREATE TRIGGER session_keeps BEFORE UPDATE OF sha256, id, organisation_id, person_id, machine_id, kid, api_key, works, csrf_token,
  created_at, expires_at ON session
FOR EACH ROW
EXECUTE FUNCTION refuse('a session ends, and changes in nothing else');
--end
CREATE TRIGGER session_ended_at_once BEFORE UPDATE OF ended_at ON session
FOR EACH ROW WHEN (OLD.ended_at IS NOT NULL AND NEW.ended_at IS DISTINCT FROM OLD.ended_at)
EXECUTE FUNCTION refuse('a session ends, and changes in nothing else');
--end
CREATE TRIGGER session_no_delete BEFORE DELETE ON session
FOR EACH ROW
EXECUTE FUNCTION refuse('a session stays on record');
--end
CREATE TRIGGER api_key_no_delete BEFORE DELETE ON api_key
FOR EACH ROW
EXECUTE FUNCTION refuse('a key stays on record');
--end
CREATE TRIGGER invitation_used_or_withdrawn BEFORE UPDATE ON invitation
FOR EACH ROW WHEN (OLD.withdrawn_at IS NOT NULL AND OLD.used_at IS NULL AND NEW.used_at IS NOT NULL)
EXECUTE FUNCTION refuse('an invitation that was withdrawn is not used');
--end
CREATE OR REPLACE FUNCTION write_off_by_two() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.kind = 'write_off' AND NOT EXISTS (
    SELECT 1 FROM proposal JOIN loan ON loan.bank_id = proposal.organisation_id AND loan.id = proposal.object_id
    WHERE loan.number = NEW.number AND proposal.command = 'service_loan' AND proposal.outcome = 'confirmed'
      AND proposal.decided_at = NEW.recorded_at) THEN
    RAISE EXCEPTION 'a write-off takes two people of the lender' USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
--end
