-- The twin of 0002_sqlite.sql, one function a rule.
CREATE FUNCTION parameter_file_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'parameter_file is append-only' USING ERRCODE = 'integrity_constraint_violation';
END $$;
--end
CREATE TRIGGER parameter_file_append_only BEFORE UPDATE OR DELETE ON parameter_file FOR EACH ROW EXECUTE FUNCTION parameter_file_append_only();
--end
CREATE FUNCTION methodology_transition_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'methodology_transition is append-only' USING ERRCODE = 'integrity_constraint_violation';
END $$;
--end
CREATE TRIGGER methodology_transition_append_only BEFORE UPDATE OR DELETE ON methodology_transition FOR EACH ROW EXECUTE FUNCTION methodology_transition_append_only();
--end
CREATE FUNCTION metering_statement_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'metering_statement is append-only' USING ERRCODE = 'integrity_constraint_violation';
END $$;
--end
CREATE TRIGGER metering_statement_append_only BEFORE UPDATE OR DELETE ON metering_statement FOR EACH ROW EXECUTE FUNCTION metering_statement_append_only();
--end
CREATE FUNCTION signed_statement_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'signed_statement is append-only' USING ERRCODE = 'integrity_constraint_violation';
END $$;
--end
CREATE TRIGGER signed_statement_append_only BEFORE UPDATE OR DELETE ON signed_statement FOR EACH ROW EXECUTE FUNCTION signed_statement_append_only();
--end
CREATE FUNCTION accreditation_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'accreditation is append-only' USING ERRCODE = 'integrity_constraint_violation';
END $$;
--end
CREATE TRIGGER accreditation_append_only BEFORE UPDATE OR DELETE ON accreditation FOR EACH ROW EXECUTE FUNCTION accreditation_append_only();
--end
CREATE FUNCTION organisation_relation_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'organisation_relation is append-only' USING ERRCODE = 'integrity_constraint_violation';
END $$;
--end
CREATE TRIGGER organisation_relation_append_only BEFORE UPDATE OR DELETE ON organisation_relation FOR EACH ROW EXECUTE FUNCTION organisation_relation_append_only();
--end
CREATE FUNCTION meter_key_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'meter_key is append-only' USING ERRCODE = 'integrity_constraint_violation';
END $$;
--end
CREATE TRIGGER meter_key_append_only BEFORE UPDATE OR DELETE ON meter_key FOR EACH ROW EXECUTE FUNCTION meter_key_append_only();
--end
DROP TRIGGER reading_no_delete ON reading;
--end
CREATE FUNCTION reading_closed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'readings are kept at the grid nodes' USING ERRCODE = 'integrity_constraint_violation';
END $$;
--end
CREATE TRIGGER reading_closed BEFORE INSERT ON reading FOR EACH ROW EXECUTE FUNCTION reading_closed();
--end
CREATE FUNCTION monitoring_period_disjoint() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (
    SELECT 1 FROM monitoring_period
    WHERE project_id = NEW.project_id AND state <> 'rejected'
      AND starts_at < NEW.ends_at AND NEW.starts_at < ends_at
  ) THEN
    RAISE EXCEPTION 'project time is claimed already' USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
--end
CREATE TRIGGER monitoring_period_disjoint BEFORE INSERT ON monitoring_period
FOR EACH ROW EXECUTE FUNCTION monitoring_period_disjoint();
--end
CREATE TRIGGER period_fixed BEFORE UPDATE ON monitoring_period FOR EACH ROW EXECUTE FUNCTION period_fixed();
--end
CREATE FUNCTION verifier_finding_no_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'a finding is never deleted' USING ERRCODE = 'integrity_constraint_violation';
END $$;
--end
CREATE TRIGGER verifier_finding_no_delete BEFORE DELETE ON verifier_finding
FOR EACH ROW EXECUTE FUNCTION verifier_finding_no_delete();
--end
CREATE FUNCTION verifier_finding_fixed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.closed_at IS NOT NULL OR NEW.id <> OLD.id OR NEW.period_id <> OLD.period_id
  OR NEW.verifier_id <> OLD.verifier_id OR NEW.severity <> OLD.severity OR NEW.text <> OLD.text THEN
    RAISE EXCEPTION 'a finding closes once and otherwise only gains its answer' USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
--end
CREATE TRIGGER verifier_finding_fixed BEFORE UPDATE ON verifier_finding
FOR EACH ROW EXECUTE FUNCTION verifier_finding_fixed();
--end
CREATE FUNCTION signed_statement_after_findings() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT 1 FROM verifier_finding WHERE period_id = NEW.period_id AND closed_at IS NULL) THEN
    RAISE EXCEPTION 'findings are open' USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
--end
CREATE TRIGGER signed_statement_after_findings BEFORE INSERT ON signed_statement
FOR EACH ROW EXECUTE FUNCTION signed_statement_after_findings();
--end
