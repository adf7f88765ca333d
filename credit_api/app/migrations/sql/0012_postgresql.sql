CREATE FUNCTION has_checker(organisation text, someone text) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT EXISTS (
    SELECT 1 FROM person WHERE person.id = someone AND person.organisation_id = organisation
      AND person.ended_at IS NULL AND position(' checker ' IN ' ' || person.roles || ' ') > 0)
$$;
--end
CREATE FUNCTION proposal_decided() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    RAISE EXCEPTION 'a proposal stands' USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  IF OLD.outcome IS NOT NULL OR NEW.outcome IS NULL OR NEW.id <> OLD.id OR NEW.organisation_id <> OLD.organisation_id
    OR NEW.command <> OLD.command OR NEW.object_id <> OLD.object_id OR NEW.arguments::text <> OLD.arguments::text
    OR NEW.maker <> OLD.maker OR NEW.made_at <> OLD.made_at THEN
    RAISE EXCEPTION 'a proposal is decided once and changes in nothing else'
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  IF NOT has_checker(NEW.organisation_id, NEW.checker) THEN
    RAISE EXCEPTION 'a proposal is decided by a checker of the organisation'
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
--end
CREATE TRIGGER proposal_decided BEFORE UPDATE OR DELETE ON proposal
FOR EACH ROW EXECUTE FUNCTION proposal_decided();
--end
CREATE FUNCTION decision_approval_by_a_checker() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT has_checker((SELECT bank_id FROM credit_decision WHERE id = NEW.decision_id), NEW.checker) THEN
    RAISE EXCEPTION 'a decision is checked by a checker of the bank'
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
--end
CREATE TRIGGER decision_approval_by_a_checker BEFORE INSERT ON decision_approval
FOR EACH ROW EXECUTE FUNCTION decision_approval_by_a_checker();
--end
CREATE FUNCTION price_confirmed_by_two() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.confirmed AND NOT EXISTS (
    SELECT 1 FROM proposal WHERE proposal.organisation_id = NEW.recorded_by AND proposal.command = 'record_price'
      AND proposal.object_id = NEW.asset_class AND proposal.outcome = 'confirmed'
      AND proposal.decided_at = NEW.recorded_at) THEN
    RAISE EXCEPTION 'a price beyond the band is confirmed by two people'
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
--end
CREATE TRIGGER price_confirmed_by_two BEFORE INSERT ON price_observation
FOR EACH ROW EXECUTE FUNCTION price_confirmed_by_two();
--end
CREATE FUNCTION write_off_by_two() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.kind = 'write_off' AND NOT EXISTS (
    SELECT 1 FROM proposal JOIN loan ON loan.bank_id = proposal.organisation_id AND loan.id = proposal.object_id
    WHERE loan.number = NEW.number AND proposal.command = 'service_loan' AND proposal.outcome = 'confirmed') THEN
    RAISE EXCEPTION 'a write-off takes two people of the lender' USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
--end
CREATE TRIGGER write_off_by_two BEFORE INSERT ON loan_event FOR EACH ROW EXECUTE FUNCTION write_off_by_two();
--end
CREATE FUNCTION administrator_by_two() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF position(' administrator ' IN ' ' || NEW.roles || ' ') > 0
    AND EXISTS (SELECT 1 FROM person WHERE person.organisation_id = NEW.organisation_id)
    AND NOT EXISTS (
      SELECT 1 FROM proposal WHERE proposal.organisation_id = NEW.organisation_id AND proposal.outcome = 'confirmed'
        AND proposal.command IN ('invite_person', 'recover_person') AND proposal.decided_at = NEW.created_at) THEN
    RAISE EXCEPTION 'an administrator is invited by two people' USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
--end
CREATE TRIGGER administrator_by_two BEFORE INSERT ON invitation
FOR EACH ROW EXECUTE FUNCTION administrator_by_two();
--end
CREATE FUNCTION api_key_keeps() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.sha256 <> OLD.sha256 OR NEW.organisation_id <> OLD.organisation_id OR NEW.person_id <> OLD.person_id
    OR NEW.expires_at <> OLD.expires_at OR (OLD.revoked_at IS NOT NULL AND NEW.revoked_at IS NULL) THEN
    RAISE EXCEPTION 'a key is revoked, and changes in nothing else' USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
--end
CREATE TRIGGER api_key_keeps BEFORE UPDATE ON api_key FOR EACH ROW EXECUTE FUNCTION api_key_keeps();
--end
CREATE FUNCTION subject_bound_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.subject_proved_at IS NOT NULL AND (NEW.subject_id IS DISTINCT FROM OLD.subject_id
    OR NEW.subject_proved_at IS DISTINCT FROM OLD.subject_proved_at) THEN
    RAISE EXCEPTION 'a customer is bound to an organisation once' USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
--end
CREATE TRIGGER subject_bound_once BEFORE UPDATE ON organisation
FOR EACH ROW EXECUTE FUNCTION subject_bound_once();
--end
CREATE FUNCTION proposal_begins_undecided() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.outcome IS NOT NULL THEN
    RAISE EXCEPTION 'a proposal begins undecided' USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
--end
CREATE TRIGGER proposal_begins_undecided BEFORE INSERT ON proposal
FOR EACH ROW EXECUTE FUNCTION proposal_begins_undecided();
--end
