CREATE FUNCTION signing_key_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'a signing key stays on record' USING ERRCODE = 'integrity_constraint_violation';
END $$;
--end
CREATE TRIGGER signing_key_stays BEFORE DELETE ON signing_key
FOR EACH ROW EXECUTE FUNCTION signing_key_stays();
--end
CREATE TRIGGER signing_key_not_emptied BEFORE TRUNCATE ON signing_key EXECUTE FUNCTION signing_key_stays();
--end
CREATE FUNCTION signing_key_only_ends() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.revoked_at IS NOT NULL OR NEW.revoked_at IS NULL OR OLD.public_key <> NEW.public_key
    OR OLD.organisation_id <> NEW.organisation_id OR OLD.held_by <> NEW.held_by
    OR OLD.registered_at <> NEW.registered_at OR OLD.registered_by <> NEW.registered_by THEN
    RAISE EXCEPTION 'a signing key is revoked once, and changes in nothing else'
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
--end
CREATE TRIGGER signing_key_only_ends BEFORE UPDATE ON signing_key
FOR EACH ROW EXECUTE FUNCTION signing_key_only_ends();
--end
CREATE TRIGGER meter_key_append_only BEFORE UPDATE OR DELETE ON meter_key
FOR EACH ROW EXECUTE FUNCTION meter_key_append_only();
