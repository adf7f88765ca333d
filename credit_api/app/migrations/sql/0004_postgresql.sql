CREATE FUNCTION cancellation_no_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'cancellation is irreversible' USING ERRCODE = 'integrity_constraint_violation';
END $$;
--end
CREATE TRIGGER cancellation_no_update BEFORE UPDATE ON cancellation FOR EACH ROW EXECUTE FUNCTION cancellation_no_update();
--end
CREATE FUNCTION cancellation_no_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'cancellation is irreversible' USING ERRCODE = 'integrity_constraint_violation';
END $$;
--end
CREATE TRIGGER cancellation_no_delete BEFORE DELETE ON cancellation FOR EACH ROW EXECUTE FUNCTION cancellation_no_delete();
--end
CREATE FUNCTION retirement_line_no_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'retirement is irreversible' USING ERRCODE = 'integrity_constraint_violation';
END $$;
--end
CREATE TRIGGER retirement_line_no_update BEFORE UPDATE ON retirement_line FOR EACH ROW EXECUTE FUNCTION retirement_line_no_update();
--end
CREATE FUNCTION retirement_line_no_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'retirement is irreversible' USING ERRCODE = 'integrity_constraint_violation';
END $$;
--end
CREATE TRIGGER retirement_line_no_delete BEFORE DELETE ON retirement_line FOR EACH ROW EXECUTE FUNCTION retirement_line_no_delete();
--end
CREATE FUNCTION carry_over_no_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'carry-over is fixed' USING ERRCODE = 'integrity_constraint_violation';
END $$;
--end
CREATE TRIGGER carry_over_no_update BEFORE UPDATE ON carry_over FOR EACH ROW EXECUTE FUNCTION carry_over_no_update();
--end
CREATE FUNCTION carry_over_no_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'carry-over is fixed' USING ERRCODE = 'integrity_constraint_violation';
END $$;
--end
CREATE TRIGGER carry_over_no_delete BEFORE DELETE ON carry_over FOR EACH ROW EXECUTE FUNCTION carry_over_no_delete();
--end
CREATE FUNCTION external_claim_no_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'external claim is on record' USING ERRCODE = 'integrity_constraint_violation';
END $$;
--end
CREATE TRIGGER external_claim_no_update BEFORE UPDATE ON external_claim FOR EACH ROW EXECUTE FUNCTION external_claim_no_update();
--end
CREATE FUNCTION external_claim_no_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'external claim is on record' USING ERRCODE = 'integrity_constraint_violation';
END $$;
--end
CREATE TRIGGER external_claim_no_delete BEFORE DELETE ON external_claim FOR EACH ROW EXECUTE FUNCTION external_claim_no_delete();
--end
CREATE FUNCTION energy_link_no_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'energy link is on record' USING ERRCODE = 'integrity_constraint_violation';
END $$;
--end
CREATE TRIGGER energy_link_no_update BEFORE UPDATE ON energy_link FOR EACH ROW EXECUTE FUNCTION energy_link_no_update();
--end
CREATE FUNCTION energy_link_no_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'energy link is on record' USING ERRCODE = 'integrity_constraint_violation';
END $$;
--end
CREATE TRIGGER energy_link_no_delete BEFORE DELETE ON energy_link FOR EACH ROW EXECUTE FUNCTION energy_link_no_delete();
--end
CREATE FUNCTION carry_over_chained() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.carried_in_kg <> COALESCE((SELECT carried_out_kg FROM carry_over WHERE project_id = NEW.project_id AND seq = NEW.seq - 1), 0)
  OR NEW.seq <> 1 + COALESCE((SELECT MAX(seq) FROM carry_over WHERE project_id = NEW.project_id), 0) THEN
    RAISE EXCEPTION 'carry-over does not continue the project' USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
--end
CREATE TRIGGER carry_over_chained BEFORE INSERT ON carry_over FOR EACH ROW EXECUTE FUNCTION carry_over_chained();
--end
CREATE FUNCTION serial_freeze_closes_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.state <> 'active' OR NEW.state = 'active' OR NEW.id <> OLD.id OR NEW.issuance_id <> OLD.issuance_id
  OR NEW.first_kg <> OLD.first_kg OR NEW.last_kg <> OLD.last_kg THEN
    RAISE EXCEPTION 'freeze closes once and otherwise never changes' USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
--end
CREATE TRIGGER freeze_closes_once BEFORE UPDATE ON serial_freeze FOR EACH ROW EXECUTE FUNCTION serial_freeze_closes_once();
--end
CREATE FUNCTION serial_freeze_no_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'freeze keeps its history' USING ERRCODE = 'integrity_constraint_violation';
END $$;
--end
CREATE TRIGGER freeze_no_delete BEFORE DELETE ON serial_freeze FOR EACH ROW EXECUTE FUNCTION serial_freeze_no_delete();
--end
CREATE FUNCTION serial_block_not_frozen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (
  SELECT 1 FROM serial_freeze
  WHERE serial_freeze.issuance_id = NEW.issuance_id AND serial_freeze.state = 'active'
    AND serial_freeze.first_kg <= NEW.last_kg AND NEW.first_kg <= serial_freeze.last_kg
) AND EXISTS (
  SELECT 1 FROM serial_block AS before
  WHERE before.issuance_id = NEW.issuance_id AND before.until_entry_id = NEW.since_entry_id
    AND before.account_id <> NEW.account_id AND before.first_kg <= NEW.last_kg AND NEW.first_kg <= before.last_kg
) THEN
    RAISE EXCEPTION 'frozen serials do not move' USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
--end
CREATE TRIGGER serial_block_not_frozen BEFORE INSERT ON serial_block FOR EACH ROW EXECUTE FUNCTION serial_block_not_frozen();
--end
CREATE FUNCTION package_criteria_fixed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.id <> OLD.id OR NEW.code <> OLD.code OR NEW.registry_id <> OLD.registry_id OR NEW.asset_class <> OLD.asset_class
  OR CAST(NEW.criteria AS TEXT) <> CAST(OLD.criteria AS TEXT) OR NEW.redemption <> OLD.redemption THEN
    RAISE EXCEPTION 'package criteria are fixed' USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
--end
CREATE TRIGGER package_criteria_fixed BEFORE UPDATE ON package FOR EACH ROW EXECUTE FUNCTION package_criteria_fixed();
--end
CREATE FUNCTION transfer_closes_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.state <> 'locked' OR NEW.id <> OLD.id OR NEW.issuance_id <> OLD.issuance_id OR NEW.quantity_kg <> OLD.quantity_kg
  OR NEW.owner_id <> OLD.owner_id OR NEW.to_registry <> OLD.to_registry THEN
    RAISE EXCEPTION 'transfer closes once' USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
--end
CREATE TRIGGER transfer_closes_once BEFORE UPDATE ON region_transfer FOR EACH ROW EXECUTE FUNCTION transfer_closes_once();
--end
CREATE FUNCTION transfer_no_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'transfer keeps its history' USING ERRCODE = 'integrity_constraint_violation';
END $$;
--end
CREATE TRIGGER transfer_no_delete BEFORE DELETE ON region_transfer FOR EACH ROW EXECUTE FUNCTION transfer_no_delete();
--end
CREATE FUNCTION green_certificate_cancelled_for_good() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.state = 'cancelled' OR NEW.certificate_number <> OLD.certificate_number OR NEW.energy_wh <> OLD.energy_wh
  OR NEW.meter_id <> OLD.meter_id THEN
    RAISE EXCEPTION 'a cancelled certificate stays cancelled' USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;
--end
CREATE TRIGGER green_certificate_cancelled_for_good BEFORE UPDATE ON green_certificate FOR EACH ROW EXECUTE FUNCTION green_certificate_cancelled_for_good();
--end
