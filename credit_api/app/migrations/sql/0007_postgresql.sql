CREATE FUNCTION loan_event_stands() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE' AND OLD.reversed_at IS NULL AND NEW.reversed_at IS NOT NULL
    AND (NEW.number, NEW.sequence, NEW.kind, NEW.value_on, NEW.amount_fen, NEW.record::text)
      IS NOT DISTINCT FROM (OLD.number, OLD.sequence, OLD.kind, OLD.value_on, OLD.amount_fen, OLD.record::text)
  THEN RETURN NEW; END IF;
  RAISE EXCEPTION 'an event is corrected by reversing it' USING ERRCODE = 'check_violation';
END $$;
--end
CREATE TRIGGER loan_event_stands BEFORE UPDATE OR DELETE ON loan_event FOR EACH ROW EXECUTE FUNCTION loan_event_stands();
--end
CREATE FUNCTION business_day_stands() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'a business date is closed once' USING ERRCODE = 'check_violation';
END $$;
--end
CREATE TRIGGER business_day_stands BEFORE UPDATE OR DELETE ON business_day FOR EACH ROW EXECUTE FUNCTION business_day_stands();
--end
CREATE FUNCTION decision_approval_stands() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'an approval stands' USING ERRCODE = 'check_violation';
END $$;
--end
CREATE TRIGGER decision_approval_stands BEFORE UPDATE OR DELETE ON decision_approval FOR EACH ROW EXECUTE FUNCTION decision_approval_stands();
--end
CREATE FUNCTION business_day_in_order() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT 1 FROM business_day WHERE bank_id = NEW.bank_id AND day >= NEW.day) THEN
    RAISE EXCEPTION 'business dates are closed in order' USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;
--end
CREATE TRIGGER business_day_in_order BEFORE INSERT ON business_day FOR EACH ROW EXECUTE FUNCTION business_day_in_order();
