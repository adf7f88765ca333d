CREATE TRIGGER signing_key_stays BEFORE DELETE ON signing_key
BEGIN SELECT RAISE(ABORT, 'a signing key stays on record'); END;
--end
CREATE TRIGGER signing_key_only_ends BEFORE UPDATE ON signing_key
WHEN OLD.revoked_at IS NOT NULL OR NEW.revoked_at IS NULL OR OLD.public_key <> NEW.public_key
  OR OLD.organisation_id <> NEW.organisation_id OR OLD.held_by <> NEW.held_by
  OR OLD.registered_at <> NEW.registered_at OR OLD.registered_by <> NEW.registered_by
BEGIN SELECT RAISE(ABORT, 'a signing key is revoked once, and changes in nothing else'); END;
--end
CREATE TRIGGER meter_key_no_update BEFORE UPDATE ON meter_key
BEGIN SELECT RAISE(ABORT, 'meter_key is append-only'); END;
--end
CREATE TRIGGER meter_key_no_delete BEFORE DELETE ON meter_key
BEGIN SELECT RAISE(ABORT, 'meter_key is append-only'); END;
