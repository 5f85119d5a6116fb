package ca

// What the tests in package ca_test use.
const (
	Auto        = autoKey
	MaxValidity = maxValidity
)

var Kinds = keyKinds
