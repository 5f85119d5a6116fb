-- Keys that are in a token: what is sealed is then their public half.

ALTER TABLE store_key ADD COLUMN token TEXT NOT NULL DEFAULT '';   -- the name of the token
ALTER TABLE store_order ADD COLUMN token TEXT NOT NULL DEFAULT ''; -- the same; sealed is NULL until the key is made
