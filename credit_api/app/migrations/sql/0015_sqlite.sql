CREATE TRIGGER score_statement_no_update BEFORE UPDATE ON score_statement
BEGIN SELECT RAISE(ABORT, 'a statement stays as it was signed'); END;
--end
CREATE TRIGGER score_statement_no_delete BEFORE DELETE ON score_statement
BEGIN SELECT RAISE(ABORT, 'a statement stays as it was signed'); END;
--end
CREATE TRIGGER decision_statement_no_update BEFORE UPDATE ON decision_statement
BEGIN SELECT RAISE(ABORT, 'a decision rests on what it rested on'); END;
--end
CREATE TRIGGER decision_statement_no_delete BEFORE DELETE ON decision_statement
BEGIN SELECT RAISE(ABORT, 'a decision rests on what it rested on'); END;
--end
CREATE TRIGGER decision_statement_own BEFORE INSERT ON decision_statement
WHEN NOT EXISTS (SELECT 1 FROM credit_decision WHERE id = NEW.decision_id AND bank_id = NEW.bank_id)
BEGIN SELECT RAISE(ABORT, 'a decision rests on a statement of the bank that decides'); END;
