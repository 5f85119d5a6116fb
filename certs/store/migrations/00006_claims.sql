-- An attempt on an order belongs to the process that claimed it, until its time is over. When
-- the next one is due is another matter: an administrator may change that meanwhile.

ALTER TABLE store_order ADD COLUMN claim TEXT NOT NULL DEFAULT '';           -- of the attempt that is under way
ALTER TABLE store_order ADD COLUMN claimed_until BIGINT NOT NULL DEFAULT 0;
