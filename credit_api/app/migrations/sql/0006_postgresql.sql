CREATE FUNCTION neutrality_claim_no_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'neutrality claim keeps its history' USING ERRCODE = 'integrity_constraint_violation';
END $$;
--end
CREATE TRIGGER neutrality_claim_no_delete BEFORE DELETE ON neutrality_claim FOR EACH ROW EXECUTE FUNCTION neutrality_claim_no_delete();
--end
CREATE FUNCTION neutrality_claim_decided_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.state <> 'drafted' THEN
    RAISE EXCEPTION 'neutrality claim is decided' USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
--end
CREATE TRIGGER neutrality_claim_decided_once BEFORE UPDATE ON neutrality_claim FOR EACH ROW EXECUTE FUNCTION neutrality_claim_decided_once();
--end
CREATE FUNCTION neutrality_match_no_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'neutrality match keeps its history' USING ERRCODE = 'integrity_constraint_violation';
END $$;
--end
CREATE TRIGGER neutrality_match_no_delete BEFORE DELETE ON neutrality_match FOR EACH ROW EXECUTE FUNCTION neutrality_match_no_delete();
--end
CREATE FUNCTION neutrality_match_within() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.quantity_kg + COALESCE((
  SELECT SUM(quantity_kg) FROM neutrality_match
  WHERE certificate_number = NEW.certificate_number AND NOT freed
), 0) > (SELECT quantity_kg FROM retirement WHERE certificate_number = NEW.certificate_number) THEN
    RAISE EXCEPTION 'a retired kilogram offsets once' USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
--end
CREATE TRIGGER neutrality_match_within BEFORE INSERT ON neutrality_match FOR EACH ROW EXECUTE FUNCTION neutrality_match_within();
--end
