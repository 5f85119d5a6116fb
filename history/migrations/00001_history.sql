-- One text for SQLite and PostgreSQL; schema.Tables says in what they differ. What is searched
-- by has a column of its own, all else of a row is in data.
CREATE TABLE smimerelay_history (
	seq           SERIAL,
	time          BIGINT NOT NULL,  -- Unix time in milliseconds
	id            TEXT NOT NULL,    -- of the envelope
	queue_id      TEXT NOT NULL,    -- of the MTA in front, '' for none
	message_id    TEXT NOT NULL,    -- without < and >, '' for none
	listener      TEXT NOT NULL,
	direction     TEXT NOT NULL,
	sender_key    TEXT NOT NULL,    -- '' is the null reverse-path
	recipient_key TEXT NOT NULL,
	rule          TEXT NOT NULL,
	outcome       TEXT NOT NULL,
	kept          BIGINT NOT NULL,  -- octets that the row takes, about
	data          TEXT NOT NULL,    -- JSON of storedRow
	facts         TEXT NOT NULL     -- JSON of storedFacts, '' for none
);
CREATE INDEX smimerelay_history_time ON smimerelay_history (time, seq);
CREATE INDEX smimerelay_history_id ON smimerelay_history (id);
CREATE INDEX smimerelay_history_queue_id ON smimerelay_history (queue_id, time, seq) WHERE queue_id <> '';
CREATE INDEX smimerelay_history_message_id ON smimerelay_history (message_id, time, seq) WHERE message_id <> '';
CREATE INDEX smimerelay_history_sender ON smimerelay_history (sender_key, time, seq);
CREATE INDEX smimerelay_history_recipient ON smimerelay_history (recipient_key, time, seq);
CREATE INDEX smimerelay_history_outcome ON smimerelay_history (outcome, time, seq);
-- What a console counts, by the hour: a million rows are not gone through for it.
CREATE TABLE smimerelay_history_hour (
	hour      BIGINT NOT NULL,  -- Unix time in hours
	kind      TEXT NOT NULL,
	word      TEXT NOT NULL,
	direction TEXT NOT NULL,
	number    BIGINT NOT NULL,
	PRIMARY KEY (hour, kind, word, direction)
) CLUSTERED;
