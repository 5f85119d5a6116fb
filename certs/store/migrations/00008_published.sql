-- What was written to places outside, so that values of others are never removed there.

CREATE TABLE store_published (
	target TEXT  NOT NULL, -- the [[publish]] table
	object TEXT  NOT NULL, -- a name in DNS, or that of an entry
	digest BYTEA NOT NULL, -- SHA-256 of the value
	value  BYTEA NOT NULL,
	done   BOOLEAN NOT NULL, -- false: it may have been written, or not
	PRIMARY KEY (target, object, digest)
);
