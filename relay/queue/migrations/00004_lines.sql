-- Since when a delivery stands in line, as its destination takes no more for now (Unix time in
-- milliseconds); 0 is for those that do not.
ALTER TABLE smimerelay_delivery ADD COLUMN lined BIGINT NOT NULL DEFAULT 0;
CREATE INDEX smimerelay_delivery_lined ON smimerelay_delivery (destination, lined, id) WHERE lined > 0;
