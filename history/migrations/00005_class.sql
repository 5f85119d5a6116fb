-- What a search may ask for besides an identifier or an address is indexed as one number, the class
-- of a row (class.go says what that is), instead of four texts: it is cheaper to write, and finds
-- what several of them have in common. store.classify gives the rows their class that were there before.
ALTER TABLE smimerelay_history ADD COLUMN class BIGINT;
DROP INDEX smimerelay_history_outcome;
DROP INDEX smimerelay_history_rule;
DROP INDEX smimerelay_history_listener;
DROP INDEX smimerelay_history_direction;
CREATE INDEX smimerelay_history_class ON smimerelay_history (class, time, seq);
