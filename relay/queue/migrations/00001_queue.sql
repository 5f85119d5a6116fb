-- One text for SQLite and PostgreSQL; schema.Tables says in what they differ. A file from
-- before the migrations has these tables already.

CREATE TABLE IF NOT EXISTS smimerelay_message (
	id   ROWID,
	data BYTES NOT NULL
);
-- A message that has no room in its row, and what follows of it in the order of the
-- numbers. The parts of a message that is gone are wiped afterwards.
CREATE TABLE IF NOT EXISTS smimerelay_large (
	message_id BIGINT PRIMARY KEY REFERENCES smimerelay_message (id) ON DELETE CASCADE,
	size       BIGINT NOT NULL, -- octets of the whole
	parts      BIGINT NOT NULL  -- by which its parts are found; never used again
);
CREATE TABLE IF NOT EXISTS smimerelay_part (
	id    SERIAL,
	parts BIGINT NOT NULL,
	data  BYTES NOT NULL
);
CREATE INDEX IF NOT EXISTS smimerelay_part_parts ON smimerelay_part (parts);
CREATE TABLE IF NOT EXISTS smimerelay_wipe (parts BIGINT PRIMARY KEY); -- of messages that are gone
CREATE TABLE IF NOT EXISTS smimerelay_delivery (
	id         SERIAL,
	message_id BIGINT NOT NULL REFERENCES smimerelay_message (id),
	job_id     BIGINT,
	sender     TEXT NOT NULL,    -- '' is the null reverse-path
	params     TEXT NOT NULL,    -- JSON of storedParams
	created    BIGINT NOT NULL,  -- Unix time in milliseconds
	attempts   BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS smimerelay_delivery_message ON smimerelay_delivery (message_id);
CREATE TABLE IF NOT EXISTS smimerelay_recipient (
	delivery_id   BIGINT NOT NULL REFERENCES smimerelay_delivery (id) ON DELETE CASCADE,
	position      BIGINT NOT NULL,
	address       TEXT NOT NULL,
	notify        TEXT NOT NULL, -- keywords, with commas
	original_type TEXT NOT NULL,
	original      TEXT NOT NULL,
	error         TEXT NOT NULL DEFAULT '', -- of the last attempt
	PRIMARY KEY (delivery_id, position)
) CLUSTERED;
-- Messages that are held stand in tables of their own: no way of delivering knows
-- them, neither this version's nor an older one's.
CREATE TABLE IF NOT EXISTS smimerelay_hold (
	id         SERIAL,
	message_id BIGINT NOT NULL REFERENCES smimerelay_message (id),
	hold       TEXT NOT NULL,            -- JSON of storedHold
	until      BIGINT NOT NULL,          -- Unix time in milliseconds
	next       BIGINT NOT NULL,          -- when it is looked at again, in the same
	job_order  TEXT NOT NULL DEFAULT ''  -- JSON of relay.Order, '' for none
);
CREATE INDEX IF NOT EXISTS smimerelay_hold_message ON smimerelay_hold (message_id);
CREATE INDEX IF NOT EXISTS smimerelay_hold_next ON smimerelay_hold (next);
-- One row, of random octets: written to see whether the store can be.
CREATE TABLE IF NOT EXISTS smimerelay_probe (
	id   BIGINT PRIMARY KEY,
	data BYTES NOT NULL
);
-- The parts of a message that goes are noted in the statement that it goes by.
LARGE_GONE;
