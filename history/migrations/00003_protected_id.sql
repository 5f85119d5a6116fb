-- The Message-ID inside of the encryption, where it differs from the one outside: an answer may
-- name either of them.
ALTER TABLE smimerelay_history ADD COLUMN protected_id TEXT NOT NULL DEFAULT '';  -- without < and >, '' for none
ALTER TABLE smimerelay_history ADD COLUMN protected_id_ref BIGINT;                -- NULL for none
CREATE INDEX smimerelay_history_protected_id ON smimerelay_history (protected_id_ref) WHERE protected_id_ref IS NOT NULL;
