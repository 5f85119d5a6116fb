-- Files with private keys that were imported, by the SHA-256 of their contents: to
-- open one again only to find that all in it is known would take its password's
-- work. A row without its certificate or its key says nothing any more.
CREATE TABLE store_file (
	digest      BYTEA   NOT NULL,
	fingerprint BYTEA   NOT NULL,
	has_key     BOOLEAN NOT NULL,
	PRIMARY KEY (digest, fingerprint)
);
