-- What a row is found by is indexed as a number, its reference (refs.go says what that is): texts
-- at random places of large indexes were two thirds of what it took to write a row. store.refer
-- gives the rows their references that were there before.
ALTER TABLE smimerelay_history ADD COLUMN id_ref BIGINT;
ALTER TABLE smimerelay_history ADD COLUMN queue_id_ref BIGINT;      -- NULL for none
ALTER TABLE smimerelay_history ADD COLUMN message_id_ref BIGINT;    -- NULL for none
ALTER TABLE smimerelay_history ADD COLUMN sender_key_ref BIGINT;
ALTER TABLE smimerelay_history ADD COLUMN recipient_key_ref BIGINT;
DROP INDEX smimerelay_history_id;
DROP INDEX smimerelay_history_queue_id;
DROP INDEX smimerelay_history_message_id;
DROP INDEX smimerelay_history_sender;
DROP INDEX smimerelay_history_recipient;
CREATE INDEX smimerelay_history_id ON smimerelay_history (id_ref);
CREATE INDEX smimerelay_history_queue_id ON smimerelay_history (queue_id_ref) WHERE queue_id_ref IS NOT NULL;
CREATE INDEX smimerelay_history_message_id ON smimerelay_history (message_id_ref) WHERE message_id_ref IS NOT NULL;
CREATE INDEX smimerelay_history_sender ON smimerelay_history (sender_key_ref, time, seq);
CREATE INDEX smimerelay_history_recipient ON smimerelay_history (recipient_key_ref, time, seq);
