-- +goose Up
-- Accounts of an OpenID Connect provider are known by its issuer and its sub; both are '' of local
-- accounts.
ALTER TABLE console_user ADD COLUMN issuer TEXT NOT NULL DEFAULT '';
ALTER TABLE console_user ADD COLUMN subject TEXT NOT NULL DEFAULT '';
CREATE UNIQUE INDEX console_user_subject ON console_user (issuer, subject) WHERE issuer <> '';
-- What a browser brought back from the provider, once.
CREATE TABLE console_once (
	digest  TEXT   NOT NULL PRIMARY KEY,
	expires BIGINT NOT NULL
);
