-- The questions that may be answered: a recipient who is asked again may still answer the older
-- one. until is when the message that waits is given up, or when the recipient may be asked
-- again, whichever is later (Unix time in milliseconds).
CREATE TABLE smimerelay_asked (
	recipient  TEXT NOT NULL,
	message_id TEXT NOT NULL,
	until      BIGINT NOT NULL,
	PRIMARY KEY (recipient, message_id)
);
INSERT INTO smimerelay_asked (recipient, message_id, until) SELECT recipient, message_id, until FROM smimerelay_question;
