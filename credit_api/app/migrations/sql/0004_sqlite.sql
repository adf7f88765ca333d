CREATE TRIGGER retirement_no_update BEFORE UPDATE ON retirement
BEGIN SELECT RAISE(ABORT, 'retirement is irreversible'); END;
--end
CREATE TRIGGER retirement_no_delete BEFORE DELETE ON retirement
BEGIN SELECT RAISE(ABORT, 'retirement is irreversible'); END;
--end
CREATE TRIGGER cancellation_no_update BEFORE UPDATE ON cancellation
BEGIN SELECT RAISE(ABORT, 'cancellation is irreversible'); END;
--end
CREATE TRIGGER cancellation_no_delete BEFORE DELETE ON cancellation
BEGIN SELECT RAISE(ABORT, 'cancellation is irreversible'); END;
--end
CREATE TRIGGER retirement_line_no_update BEFORE UPDATE ON retirement_line
BEGIN SELECT RAISE(ABORT, 'retirement is irreversible'); END;
--end
CREATE TRIGGER retirement_line_no_delete BEFORE DELETE ON retirement_line
BEGIN SELECT RAISE(ABORT, 'retirement is irreversible'); END;
--end
CREATE TRIGGER carry_over_no_update BEFORE UPDATE ON carry_over
BEGIN SELECT RAISE(ABORT, 'carry-over is fixed'); END;
--end
CREATE TRIGGER carry_over_no_delete BEFORE DELETE ON carry_over
BEGIN SELECT RAISE(ABORT, 'carry-over is fixed'); END;
--end
CREATE TRIGGER external_claim_no_update BEFORE UPDATE ON external_claim
BEGIN SELECT RAISE(ABORT, 'external claim is on record'); END;
--end
CREATE TRIGGER external_claim_no_delete BEFORE DELETE ON external_claim
BEGIN SELECT RAISE(ABORT, 'external claim is on record'); END;
--end
CREATE TRIGGER energy_link_no_update BEFORE UPDATE ON energy_link
BEGIN SELECT RAISE(ABORT, 'energy link is on record'); END;
--end
CREATE TRIGGER energy_link_no_delete BEFORE DELETE ON energy_link
BEGIN SELECT RAISE(ABORT, 'energy link is on record'); END;
--end
CREATE TRIGGER carry_over_chained BEFORE INSERT ON carry_over
WHEN NEW.carried_in_kg <> COALESCE((SELECT carried_out_kg FROM carry_over WHERE project_id = NEW.project_id AND seq = NEW.seq - 1), 0)
  OR NEW.seq <> 1 + COALESCE((SELECT MAX(seq) FROM carry_over WHERE project_id = NEW.project_id), 0)
BEGIN SELECT RAISE(ABORT, 'carry-over does not continue the project'); END;
--end
CREATE TRIGGER freeze_closes_once BEFORE UPDATE ON serial_freeze
WHEN OLD.state <> 'active' OR NEW.state = 'active' OR NEW.id <> OLD.id OR NEW.issuance_id <> OLD.issuance_id
  OR NEW.first_kg <> OLD.first_kg OR NEW.last_kg <> OLD.last_kg
BEGIN SELECT RAISE(ABORT, 'freeze closes once and otherwise never changes'); END;
--end
CREATE TRIGGER freeze_no_delete BEFORE DELETE ON serial_freeze
BEGIN SELECT RAISE(ABORT, 'freeze keeps its history'); END;
--end
CREATE TRIGGER serial_block_not_frozen BEFORE INSERT ON serial_block
WHEN EXISTS (
  SELECT 1 FROM serial_freeze
  WHERE serial_freeze.issuance_id = NEW.issuance_id AND serial_freeze.state = 'active'
    AND serial_freeze.first_kg <= NEW.last_kg AND NEW.first_kg <= serial_freeze.last_kg
) AND EXISTS (
  SELECT 1 FROM serial_block AS before
  WHERE before.issuance_id = NEW.issuance_id AND before.until_entry_id = NEW.since_entry_id
    AND before.account_id <> NEW.account_id AND before.first_kg <= NEW.last_kg AND NEW.first_kg <= before.last_kg
)
BEGIN SELECT RAISE(ABORT, 'frozen serials do not move'); END;
--end
CREATE TRIGGER package_criteria_fixed BEFORE UPDATE ON package
WHEN NEW.id <> OLD.id OR NEW.code <> OLD.code OR NEW.registry_id <> OLD.registry_id OR NEW.asset_class <> OLD.asset_class
  OR CAST(NEW.criteria AS TEXT) <> CAST(OLD.criteria AS TEXT) OR NEW.redemption <> OLD.redemption
BEGIN SELECT RAISE(ABORT, 'package criteria are fixed'); END;
--end
CREATE TRIGGER transfer_closes_once BEFORE UPDATE ON region_transfer
WHEN OLD.state <> 'locked' OR NEW.id <> OLD.id OR NEW.issuance_id <> OLD.issuance_id OR NEW.quantity_kg <> OLD.quantity_kg
  OR NEW.owner_id <> OLD.owner_id OR NEW.to_registry <> OLD.to_registry
BEGIN SELECT RAISE(ABORT, 'transfer closes once'); END;
--end
CREATE TRIGGER transfer_no_delete BEFORE DELETE ON region_transfer
BEGIN SELECT RAISE(ABORT, 'transfer keeps its history'); END;
--end
CREATE TRIGGER green_certificate_cancelled_for_good BEFORE UPDATE ON green_certificate
WHEN OLD.state = 'cancelled' OR NEW.certificate_number <> OLD.certificate_number OR NEW.energy_wh <> OLD.energy_wh
  OR NEW.meter_id <> OLD.meter_id
BEGIN SELECT RAISE(ABORT, 'a cancelled certificate stays cancelled'); END;
--end
