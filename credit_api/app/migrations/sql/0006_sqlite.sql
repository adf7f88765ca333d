CREATE TRIGGER neutrality_claim_no_delete BEFORE DELETE ON neutrality_claim
BEGIN SELECT RAISE(ABORT, 'neutrality claim keeps its history'); END;
--end
CREATE TRIGGER neutrality_claim_decided_once BEFORE UPDATE ON neutrality_claim
WHEN OLD.state <> 'drafted'
BEGIN SELECT RAISE(ABORT, 'neutrality claim is decided'); END;
--end
CREATE TRIGGER neutrality_match_no_delete BEFORE DELETE ON neutrality_match
BEGIN SELECT RAISE(ABORT, 'neutrality match keeps its history'); END;
--end
CREATE TRIGGER neutrality_match_within BEFORE INSERT ON neutrality_match
WHEN NEW.quantity_kg + COALESCE((
  SELECT SUM(quantity_kg) FROM neutrality_match
  WHERE certificate_number = NEW.certificate_number AND NOT freed
), 0) > (SELECT quantity_kg FROM retirement WHERE certificate_number = NEW.certificate_number)
BEGIN SELECT RAISE(ABORT, 'a retired kilogram offsets once'); END;
--end
