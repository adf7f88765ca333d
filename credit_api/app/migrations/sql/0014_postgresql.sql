CREATE FUNCTION person_keeps() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    RAISE EXCEPTION 'a person stays on record' USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  IF NEW.id <> OLD.id OR NEW.organisation_id <> OLD.organisation_id OR NEW.roles <> OLD.roles
      OR NEW.created_at <> OLD.created_at
      OR (OLD.ended_at IS NOT NULL AND NEW.ended_at IS DISTINCT FROM OLD.ended_at) THEN
    RAISE EXCEPTION 'a person leaves, and changes in no role'
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
--end
CREATE TRIGGER person_keeps BEFORE UPDATE OR DELETE ON person
FOR EACH ROW EXECUTE FUNCTION person_keeps();
--end
CREATE FUNCTION invitation_keeps() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    RAISE EXCEPTION 'an invitation stays on record' USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  IF NEW.sha256 <> OLD.sha256 OR NEW.id <> OLD.id OR NEW.organisation_id <> OLD.organisation_id
      OR NEW.roles <> OLD.roles OR NEW.invited_by <> OLD.invited_by OR NEW.created_at <> OLD.created_at
      OR NEW.expires_at <> OLD.expires_at OR NEW.person_id IS DISTINCT FROM OLD.person_id
      OR (OLD.used_at IS NOT NULL AND NEW.used_at IS DISTINCT FROM OLD.used_at)
      OR (OLD.withdrawn_at IS NOT NULL AND NEW.withdrawn_at IS DISTINCT FROM OLD.withdrawn_at) THEN
    RAISE EXCEPTION 'an invitation is used or withdrawn once, and changes in nothing else'
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
--end
CREATE TRIGGER invitation_keeps BEFORE UPDATE OR DELETE ON invitation
FOR EACH ROW EXECUTE FUNCTION invitation_keeps();
--end
CREATE FUNCTION machine_keeps() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    RAISE EXCEPTION 'a machine stays on record' USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  IF NEW.id <> OLD.id OR NEW.organisation_id <> OLD.organisation_id OR NEW.works <> OLD.works
      OR NEW.created_by <> OLD.created_by OR NEW.created_at <> OLD.created_at
      OR (OLD.revoked_at IS NOT NULL AND NEW.revoked_at IS DISTINCT FROM OLD.revoked_at) THEN
    RAISE EXCEPTION 'a machine is revoked, and changes in nothing else'
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
--end
CREATE TRIGGER machine_keeps BEFORE UPDATE OR DELETE ON machine
FOR EACH ROW EXECUTE FUNCTION machine_keeps();
--end
CREATE FUNCTION machine_key_keeps() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    RAISE EXCEPTION 'a machine''s key stays on record' USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  IF NEW.machine_id <> OLD.machine_id OR NEW.kid <> OLD.kid OR NEW.created_at <> OLD.created_at
      OR NEW.expires_at <> OLD.expires_at OR NEW.jwk::text <> OLD.jwk::text
      OR (OLD.revoked_at IS NOT NULL AND NEW.revoked_at IS DISTINCT FROM OLD.revoked_at) THEN
    RAISE EXCEPTION 'a machine''s key is revoked, and changes in nothing else'
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
--end
CREATE TRIGGER machine_key_keeps BEFORE UPDATE OR DELETE ON machine_key
FOR EACH ROW EXECUTE FUNCTION machine_key_keeps();
--end
CREATE FUNCTION session_keeps() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    RAISE EXCEPTION 'a session stays on record' USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  IF NEW.sha256 <> OLD.sha256 OR NEW.id <> OLD.id OR NEW.organisation_id <> OLD.organisation_id
      OR NEW.works <> OLD.works OR NEW.created_at <> OLD.created_at OR NEW.expires_at <> OLD.expires_at
      OR NEW.person_id IS DISTINCT FROM OLD.person_id OR NEW.machine_id IS DISTINCT FROM OLD.machine_id
      OR NEW.kid IS DISTINCT FROM OLD.kid OR NEW.api_key IS DISTINCT FROM OLD.api_key
      OR (OLD.ended_at IS NOT NULL AND NEW.ended_at IS DISTINCT FROM OLD.ended_at) THEN
    RAISE EXCEPTION 'a session ends, and changes in nothing else'
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
--end
CREATE TRIGGER session_keeps BEFORE UPDATE OR DELETE ON session
FOR EACH ROW EXECUTE FUNCTION session_keeps();
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
