-- One text for SQLite and PostgreSQL. Times are Unix seconds, 0 is none. Secrets that a
-- client shows are here as their SHA-256 in hexadecimal.

CREATE TABLE console_user (
	name      TEXT   NOT NULL PRIMARY KEY,
	role      TEXT   NOT NULL,
	password  TEXT   NOT NULL,             -- hash of argon2id; '' admits no password
	totp      TEXT   NOT NULL DEFAULT '',  -- secret in base32; '' asks for no code
	totp_step BIGINT NOT NULL DEFAULT 0,   -- of the last code that was accepted
	created   BIGINT NOT NULL
);
CREATE TABLE console_session (
	digest  TEXT   NOT NULL PRIMARY KEY,
	name    TEXT   NOT NULL REFERENCES console_user (name) ON DELETE CASCADE,
	created BIGINT NOT NULL,
	used    BIGINT NOT NULL,
	expires BIGINT NOT NULL
);
CREATE TABLE console_link (
	digest  TEXT   NOT NULL PRIMARY KEY,
	name    TEXT   NOT NULL REFERENCES console_user (name) ON DELETE CASCADE,
	expires BIGINT NOT NULL
);
CREATE TABLE console_token (
	digest  TEXT   NOT NULL PRIMARY KEY,
	label   TEXT   NOT NULL UNIQUE,
	owner   TEXT   NOT NULL REFERENCES console_user (name) ON DELETE CASCADE,
	role    TEXT   NOT NULL,
	created BIGINT NOT NULL,
	expires BIGINT NOT NULL
);
-- Failed attempts to sign in; key is the SHA-256 of a name or an address.
CREATE TABLE console_failure (
	key   TEXT   NOT NULL PRIMARY KEY,
	count BIGINT NOT NULL,
	last  BIGINT NOT NULL
);
-- What was changed. Rows are only added: each has the digest of the one before.
CREATE TABLE console_audit (
	id     BIGINT NOT NULL PRIMARY KEY,
	digest TEXT   NOT NULL,
	entry  TEXT   NOT NULL  -- JSON
);
-- The last row of console_audit; to add one is to wait for this row.
CREATE TABLE console_audit_last (
	id     BIGINT NOT NULL,
	digest TEXT   NOT NULL
);
INSERT INTO console_audit_last (id, digest) VALUES (0, '');
