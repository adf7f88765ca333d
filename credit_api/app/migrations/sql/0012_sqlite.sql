CREATE TRIGGER proposal_begins_undecided BEFORE INSERT ON proposal
WHEN NEW.outcome IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'a proposal begins undecided'); END;
--end
CREATE TRIGGER proposal_no_delete BEFORE DELETE ON proposal
BEGIN SELECT RAISE(ABORT, 'a proposal stands'); END;
--end
CREATE TRIGGER proposal_decided_once BEFORE UPDATE ON proposal
WHEN OLD.outcome IS NOT NULL OR NEW.outcome IS NULL OR NEW.id <> OLD.id OR NEW.organisation_id <> OLD.organisation_id
  OR NEW.command <> OLD.command OR NEW.object_id <> OLD.object_id OR NEW.arguments <> OLD.arguments
  OR NEW.maker <> OLD.maker OR NEW.made_at <> OLD.made_at
BEGIN SELECT RAISE(ABORT, 'a proposal is decided once and changes in nothing else'); END;
--end
CREATE TRIGGER proposal_by_a_checker BEFORE UPDATE ON proposal
WHEN NOT EXISTS (
  SELECT 1 FROM person WHERE person.id = NEW.checker AND person.organisation_id = NEW.organisation_id
    AND person.ended_at IS NULL AND ' ' || person.roles || ' ' LIKE '% checker %')
BEGIN SELECT RAISE(ABORT, 'a proposal is decided by a checker of the organisation'); END;
--end
CREATE TRIGGER decision_approval_by_a_checker BEFORE INSERT ON decision_approval
WHEN NOT EXISTS (
  SELECT 1 FROM person JOIN credit_decision ON credit_decision.bank_id = person.organisation_id
  WHERE credit_decision.id = NEW.decision_id AND person.id = NEW.checker
    AND person.ended_at IS NULL AND ' ' || person.roles || ' ' LIKE '% checker %')
BEGIN SELECT RAISE(ABORT, 'a decision is checked by a checker of the bank'); END;
--end
CREATE TRIGGER price_confirmed_by_two BEFORE INSERT ON price_observation
WHEN NEW.confirmed AND NOT EXISTS (
  SELECT 1 FROM proposal WHERE proposal.organisation_id = NEW.recorded_by AND proposal.command = 'record_price'
    AND proposal.object_id = NEW.asset_class AND proposal.outcome = 'confirmed'
    AND proposal.decided_at = NEW.recorded_at)
BEGIN SELECT RAISE(ABORT, 'a price beyond the band is confirmed by two people'); END;
--end
CREATE TRIGGER write_off_by_two BEFORE INSERT ON loan_event
WHEN NEW.kind = 'write_off' AND NOT EXISTS (
  SELECT 1 FROM proposal JOIN loan ON loan.bank_id = proposal.organisation_id AND loan.id = proposal.object_id
  WHERE loan.number = NEW.number AND proposal.command = 'service_loan' AND proposal.outcome = 'confirmed')
BEGIN SELECT RAISE(ABORT, 'a write-off takes two people of the lender'); END;
--end
CREATE TRIGGER administrator_by_two BEFORE INSERT ON invitation
WHEN ' ' || NEW.roles || ' ' LIKE '% administrator %'
  AND EXISTS (SELECT 1 FROM person WHERE person.organisation_id = NEW.organisation_id)
  AND NOT EXISTS (
    SELECT 1 FROM proposal WHERE proposal.organisation_id = NEW.organisation_id AND proposal.outcome = 'confirmed'
      AND proposal.command IN ('invite_person', 'recover_person') AND proposal.decided_at = NEW.created_at)
BEGIN SELECT RAISE(ABORT, 'an administrator is invited by two people'); END;
--end
CREATE TRIGGER api_key_keeps BEFORE UPDATE ON api_key
WHEN NEW.sha256 <> OLD.sha256 OR NEW.organisation_id <> OLD.organisation_id OR NEW.person_id <> OLD.person_id
  OR NEW.expires_at <> OLD.expires_at OR (OLD.revoked_at IS NOT NULL AND NEW.revoked_at IS NULL)
BEGIN SELECT RAISE(ABORT, 'a key is revoked, and changes in nothing else'); END;
--end
CREATE TRIGGER subject_bound_once BEFORE UPDATE ON organisation
WHEN OLD.subject_proved_at IS NOT NULL
  AND (NEW.subject_id IS NOT OLD.subject_id OR NEW.subject_proved_at IS NOT OLD.subject_proved_at)
BEGIN SELECT RAISE(ABORT, 'a customer is bound to an organisation once'); END;
--end
