-- What a search may ask for alone, as it does for the outcome. Each has few values, so that rows
-- are added at few places of an index.
CREATE INDEX smimerelay_history_rule ON smimerelay_history (rule, time, seq);
CREATE INDEX smimerelay_history_listener ON smimerelay_history (listener, time, seq);
CREATE INDEX smimerelay_history_direction ON smimerelay_history (direction, time, seq);
