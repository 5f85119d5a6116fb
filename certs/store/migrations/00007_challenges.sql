-- Challenges that certification authorities sent by mail for orders, and their answers.

CREATE TABLE store_challenge (
	order_id   TEXT   NOT NULL,            -- of store_order
	challenge  TEXT   NOT NULL,            -- its name at the authority
	token      TEXT   NOT NULL,            -- what the message brought
	reply_to   TEXT   NOT NULL,            -- whom the answer is for
	message_id TEXT   NOT NULL,            -- of the message; '' if it had none
	arrived_at BIGINT NOT NULL,
	next_at    BIGINT NOT NULL,            -- when the answer is tried next
	replied_at BIGINT NOT NULL DEFAULT 0,  -- when it was handed on
	PRIMARY KEY (order_id, challenge, token)
);
