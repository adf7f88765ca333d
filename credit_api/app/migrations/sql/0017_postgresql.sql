CREATE FUNCTION transfer_message_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'a message stays as it was signed' USING ERRCODE = 'integrity_constraint_violation';
END $$;
--end
CREATE TRIGGER transfer_message_stays BEFORE UPDATE OR DELETE ON transfer_message
FOR EACH ROW EXECUTE FUNCTION transfer_message_stays();
--end
CREATE TRIGGER transfer_message_not_emptied BEFORE TRUNCATE ON transfer_message EXECUTE FUNCTION transfer_message_stays();
