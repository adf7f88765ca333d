CREATE FUNCTION score_statement_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'a statement stays as it was signed' USING ERRCODE = 'integrity_constraint_violation';
END $$;
--end
CREATE TRIGGER score_statement_stays BEFORE UPDATE OR DELETE ON score_statement
FOR EACH ROW EXECUTE FUNCTION score_statement_stays();
--end
CREATE TRIGGER score_statement_not_emptied BEFORE TRUNCATE ON score_statement EXECUTE FUNCTION score_statement_stays();
--end
CREATE FUNCTION decision_statement_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'a decision rests on what it rested on' USING ERRCODE = 'integrity_constraint_violation';
END $$;
--end
CREATE TRIGGER decision_statement_stays BEFORE UPDATE OR DELETE ON decision_statement
FOR EACH ROW EXECUTE FUNCTION decision_statement_stays();
--end
CREATE TRIGGER decision_statement_not_emptied BEFORE TRUNCATE ON decision_statement
EXECUTE FUNCTION decision_statement_stays();
--end
CREATE FUNCTION decision_statement_own() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM credit_decision WHERE id = NEW.decision_id AND bank_id = NEW.bank_id) THEN
    RAISE EXCEPTION 'a decision rests on a statement of the bank that decides'
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
--end
CREATE TRIGGER decision_statement_own BEFORE INSERT ON decision_statement
FOR EACH ROW EXECUTE FUNCTION decision_statement_own();
