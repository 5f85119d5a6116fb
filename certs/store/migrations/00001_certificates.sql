-- One text for SQLite and PostgreSQL. Times are Unix seconds, 0 is none.

CREATE TABLE store_certificate (
	fingerprint BYTEA   NOT NULL PRIMARY KEY,  -- SHA-256 of der
	der         BYTEA   NOT NULL,
	issuer      BYTEA   NOT NULL,              -- SHA-256 of the name as it is compared
	serial      TEXT    NOT NULL,              -- in hexadecimal, with its sign
	key_id      BYTEA,                         -- the extension
	computed_id BYTEA,                         -- where it differs from key_id
	not_before  BIGINT  NOT NULL,
	not_after   BIGINT  NOT NULL,
	origin      TEXT    NOT NULL,
	first_seen  BIGINT  NOT NULL,
	last_seen   BIGINT  NOT NULL,
	ciphers     TEXT    NOT NULL DEFAULT '',   -- with commas
	preferred   TEXT    NOT NULL DEFAULT '',   -- JSON of cms.ID
	signed_at   BIGINT  NOT NULL DEFAULT 0,    -- of the signature that told ciphers and preferred
	result      TEXT    NOT NULL DEFAULT '',
	reason      TEXT    NOT NULL DEFAULT '',
	judged_at   BIGINT  NOT NULL DEFAULT 0,
	mark        TEXT    NOT NULL DEFAULT '',
	note        TEXT    NOT NULL DEFAULT '',
	mark_until  BIGINT  NOT NULL DEFAULT 0,
	pinned      BOOLEAN NOT NULL DEFAULT FALSE,
	generation  BIGINT  NOT NULL               -- of its last change
);
CREATE INDEX store_certificate_serial ON store_certificate (serial);
CREATE INDEX store_certificate_key_id ON store_certificate (key_id) WHERE key_id IS NOT NULL;
CREATE INDEX store_certificate_computed_id ON store_certificate (computed_id) WHERE computed_id IS NOT NULL;
CREATE INDEX store_certificate_mark ON store_certificate (mark) WHERE mark <> '';

-- The comparison keys of the addresses that a certificate names.
CREATE TABLE store_address (
	address     TEXT  NOT NULL,
	fingerprint BYTEA NOT NULL REFERENCES store_certificate (fingerprint) ON DELETE CASCADE,
	PRIMARY KEY (address, fingerprint)
);
CREATE INDEX store_address_fingerprint ON store_address (fingerprint);

-- Private keys, sealed (docs/store.md).
CREATE TABLE store_key (
	fingerprint BYTEA NOT NULL PRIMARY KEY REFERENCES store_certificate (fingerprint) ON DELETE CASCADE,
	sealed      BYTEA NOT NULL
);

-- The certificates that came with others and help to build their chains.
CREATE TABLE store_intermediate (
	fingerprint BYTEA NOT NULL PRIMARY KEY,
	der         BYTEA NOT NULL
);
CREATE TABLE store_chain (
	fingerprint  BYTEA  NOT NULL REFERENCES store_certificate (fingerprint) ON DELETE CASCADE,
	position     BIGINT NOT NULL,
	intermediate BYTEA  NOT NULL REFERENCES store_intermediate (fingerprint),
	PRIMARY KEY (fingerprint, position)
);
CREATE INDEX store_chain_intermediate ON store_chain (intermediate);

-- What our own authorities issued; revoked_at 0 is not revoked.
CREATE TABLE store_ledger (
	issuer     BYTEA  NOT NULL,
	serial     TEXT   NOT NULL,
	not_after  BIGINT NOT NULL,
	issued_at  BIGINT NOT NULL,
	revoked_at BIGINT NOT NULL DEFAULT 0,
	reason     BIGINT NOT NULL DEFAULT 0,
	PRIMARY KEY (issuer, serial)
);
CREATE INDEX store_ledger_issued ON store_ledger (issuer, issued_at);
CREATE INDEX store_ledger_revoked ON store_ledger (issuer, not_after) WHERE revoked_at <> 0;

-- The revocation lists of our own authorities.
CREATE TABLE store_authority (
	issuer     BYTEA  NOT NULL PRIMARY KEY,
	next       BIGINT NOT NULL DEFAULT 0, -- last number that was given out
	crl_number BIGINT NOT NULL DEFAULT 0,
	crl        BYTEA
);

-- Expiry warnings that were given, thresholds in seconds.
CREATE TABLE store_warned (
	fingerprint BYTEA  NOT NULL,
	threshold   BIGINT NOT NULL,
	PRIMARY KEY (fingerprint, threshold)
);

CREATE TABLE store_counter (
	name  TEXT   NOT NULL PRIMARY KEY,
	value BIGINT NOT NULL
);
INSERT INTO store_counter (name, value) VALUES ('certificates', 1), ('trust', 1), ('keys', 1);

CREATE TABLE store_setting (
	name  TEXT  NOT NULL PRIMARY KEY,
	value BYTEA NOT NULL
);
