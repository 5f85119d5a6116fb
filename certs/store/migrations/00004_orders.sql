-- Orders of certificates (docs/enrolment.md). The private key is here, sealed, from before
-- the request is sent until the certificate is in store_certificate.

CREATE TABLE store_order (
	id           TEXT   NOT NULL PRIMARY KEY,
	bundle       TEXT   NOT NULL,            -- the orders whose certificates are used together
	address      TEXT   NOT NULL,            -- as it is compared
	address_text TEXT   NOT NULL,            -- as it is certified
	enrolment    TEXT   NOT NULL,            -- the name of [[enrolment]]
	purpose      TEXT   NOT NULL,            -- what the key is for
	state        TEXT   NOT NULL,
	sealed       BYTEA,                      -- NULL where the order is over
	reference    BYTEA,                      -- what the provider wants to know again
	certificates BYTEA,                      -- DER, one after the other, that of the key first
	attempts     BIGINT NOT NULL DEFAULT 0,  -- since the provider last answered
	next_at      BIGINT NOT NULL,
	ordered_at   BIGINT NOT NULL,
	changed_at   BIGINT NOT NULL,
	problem      TEXT   NOT NULL DEFAULT ''
);
-- An address has one order at a time for each purpose, whichever node makes it.
CREATE UNIQUE INDEX store_order_open ON store_order (address, purpose) WHERE state <> 'done' AND state <> 'cancelled';
CREATE INDEX store_order_next ON store_order (next_at) WHERE state <> 'done' AND state <> 'cancelled' AND state <> 'failed';
CREATE INDEX store_order_ordered ON store_order (enrolment, ordered_at);
CREATE INDEX store_order_bundle ON store_order (bundle);
