CREATE TRIGGER transfer_message_no_update BEFORE UPDATE ON transfer_message
BEGIN SELECT RAISE(ABORT, 'a message stays as it was signed'); END;
--end
CREATE TRIGGER transfer_message_no_delete BEFORE DELETE ON transfer_message
BEGIN SELECT RAISE(ABORT, 'a message stays as it was signed'); END;
