CREATE TRIGGER loan_event_no_delete BEFORE DELETE ON loan_event
BEGIN SELECT RAISE(ABORT, 'an event is corrected by reversing it'); END;
--end
CREATE TRIGGER loan_event_no_update BEFORE UPDATE ON loan_event
WHEN OLD.reversed_at IS NOT NULL OR NEW.reversed_at IS NULL OR NEW.number <> OLD.number OR NEW.sequence <> OLD.sequence
  OR NEW.kind <> OLD.kind OR NEW.value_on <> OLD.value_on OR NEW.amount_fen <> OLD.amount_fen OR NEW.record <> OLD.record
BEGIN SELECT RAISE(ABORT, 'an event is corrected by reversing it'); END;
--end
CREATE TRIGGER business_day_no_delete BEFORE DELETE ON business_day
BEGIN SELECT RAISE(ABORT, 'a business date is closed once'); END;
--end
CREATE TRIGGER business_day_no_update BEFORE UPDATE ON business_day
BEGIN SELECT RAISE(ABORT, 'a business date is closed once'); END;
--end
CREATE TRIGGER decision_approval_no_delete BEFORE DELETE ON decision_approval
BEGIN SELECT RAISE(ABORT, 'an approval stands'); END;
--end
CREATE TRIGGER decision_approval_no_update BEFORE UPDATE ON decision_approval
BEGIN SELECT RAISE(ABORT, 'an approval stands'); END;
--end
CREATE TRIGGER business_day_in_order BEFORE INSERT ON business_day
WHEN EXISTS (SELECT 1 FROM business_day WHERE bank_id = NEW.bank_id AND day >= NEW.day)
BEGIN SELECT RAISE(ABORT, 'business dates are closed in order'); END;
