-- Secrets with which clients have one key certified by the built-in CA.

CREATE TABLE store_invitation (
	digest     BYTEA  NOT NULL PRIMARY KEY, -- SHA-256 of the secret
	address    TEXT   NOT NULL,             -- as it is compared
	expires_at BIGINT NOT NULL,
	used_for   BYTEA                        -- SHA-256 of the key that was certified; NULL: unused
);
