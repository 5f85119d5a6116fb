-- The recipients who were asked for a certificate, by which message, and until when they are not
-- asked again (Unix time in milliseconds).
CREATE TABLE smimerelay_question (
	recipient  TEXT PRIMARY KEY,
	message_id TEXT NOT NULL,
	until      BIGINT NOT NULL
);
