-- By which a report finds the question that could not be delivered; '' for questions that no server
-- reports about.
ALTER TABLE smimerelay_asked ADD COLUMN number TEXT NOT NULL DEFAULT '';
CREATE INDEX smimerelay_asked_number ON smimerelay_asked (number) WHERE number <> '';
