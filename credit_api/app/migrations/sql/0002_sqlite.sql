-- Measured and verified: what is stated stays, periods of a project never overlap, readings live elsewhere.
CREATE TRIGGER parameter_file_no_update BEFORE UPDATE ON parameter_file
BEGIN SELECT RAISE(ABORT, 'parameter_file is append-only'); END;
--end
CREATE TRIGGER parameter_file_no_delete BEFORE DELETE ON parameter_file
BEGIN SELECT RAISE(ABORT, 'parameter_file is append-only'); END;
--end
CREATE TRIGGER methodology_transition_no_update BEFORE UPDATE ON methodology_transition
BEGIN SELECT RAISE(ABORT, 'methodology_transition is append-only'); END;
--end
CREATE TRIGGER methodology_transition_no_delete BEFORE DELETE ON methodology_transition
BEGIN SELECT RAISE(ABORT, 'methodology_transition is append-only'); END;
--end
CREATE TRIGGER metering_statement_no_update BEFORE UPDATE ON metering_statement
BEGIN SELECT RAISE(ABORT, 'metering_statement is append-only'); END;
--end
CREATE TRIGGER metering_statement_no_delete BEFORE DELETE ON metering_statement
BEGIN SELECT RAISE(ABORT, 'metering_statement is append-only'); END;
--end
CREATE TRIGGER signed_statement_no_update BEFORE UPDATE ON signed_statement
BEGIN SELECT RAISE(ABORT, 'signed_statement is append-only'); END;
--end
CREATE TRIGGER signed_statement_no_delete BEFORE DELETE ON signed_statement
BEGIN SELECT RAISE(ABORT, 'signed_statement is append-only'); END;
--end
CREATE TRIGGER accreditation_no_update BEFORE UPDATE ON accreditation
BEGIN SELECT RAISE(ABORT, 'accreditation is append-only'); END;
--end
CREATE TRIGGER accreditation_no_delete BEFORE DELETE ON accreditation
BEGIN SELECT RAISE(ABORT, 'accreditation is append-only'); END;
--end
CREATE TRIGGER organisation_relation_no_update BEFORE UPDATE ON organisation_relation
BEGIN SELECT RAISE(ABORT, 'organisation_relation is append-only'); END;
--end
CREATE TRIGGER organisation_relation_no_delete BEFORE DELETE ON organisation_relation
BEGIN SELECT RAISE(ABORT, 'organisation_relation is append-only'); END;
--end
CREATE TRIGGER meter_key_no_update BEFORE UPDATE ON meter_key
BEGIN SELECT RAISE(ABORT, 'meter_key is append-only'); END;
--end
CREATE TRIGGER meter_key_no_delete BEFORE DELETE ON meter_key
BEGIN SELECT RAISE(ABORT, 'meter_key is append-only'); END;
--end
DROP TRIGGER reading_no_delete;
--end
CREATE TRIGGER reading_closed BEFORE INSERT ON reading
BEGIN SELECT RAISE(ABORT, 'readings are kept at the grid nodes'); END;
--end
CREATE TRIGGER monitoring_period_disjoint BEFORE INSERT ON monitoring_period
WHEN EXISTS (
  SELECT 1 FROM monitoring_period
  WHERE project_id = NEW.project_id AND state <> 'rejected'
    AND starts_at < NEW.ends_at AND NEW.starts_at < ends_at
)
BEGIN SELECT RAISE(ABORT, 'project time is claimed already'); END;
--end
CREATE TRIGGER period_fixed BEFORE UPDATE ON monitoring_period
WHEN NEW.project_id <> OLD.project_id OR NEW.starts_at <> OLD.starts_at OR NEW.ends_at <> OLD.ends_at
  OR NEW.generation_wh <> OLD.generation_wh OR NEW.commitment <> OLD.commitment OR OLD.state IN ('rejected', 'issued')
BEGIN SELECT RAISE(ABORT, 'monitoring period is fixed'); END;
--end
CREATE TRIGGER verifier_finding_no_delete BEFORE DELETE ON verifier_finding
BEGIN SELECT RAISE(ABORT, 'a finding is never deleted'); END;
--end
CREATE TRIGGER verifier_finding_fixed BEFORE UPDATE ON verifier_finding
WHEN OLD.closed_at IS NOT NULL OR NEW.id <> OLD.id OR NEW.period_id <> OLD.period_id
  OR NEW.verifier_id <> OLD.verifier_id OR NEW.severity <> OLD.severity OR NEW.text <> OLD.text
BEGIN SELECT RAISE(ABORT, 'a finding closes once and otherwise only gains its answer'); END;
--end
CREATE TRIGGER signed_statement_after_findings BEFORE INSERT ON signed_statement
WHEN EXISTS (SELECT 1 FROM verifier_finding WHERE period_id = NEW.period_id AND closed_at IS NULL)
BEGIN SELECT RAISE(ABORT, 'findings are open'); END;
--end
