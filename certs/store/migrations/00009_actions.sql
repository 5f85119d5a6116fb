-- Who did what with a certificate, for cert show. It goes with the certificate.

CREATE TABLE store_action (
	fingerprint BYTEA  NOT NULL REFERENCES store_certificate (fingerprint) ON DELETE CASCADE,
	at          BIGINT NOT NULL,
	action      TEXT   NOT NULL,
	actor       TEXT   NOT NULL,
	note        TEXT   NOT NULL,
	PRIMARY KEY (fingerprint, at, action, actor)
);
