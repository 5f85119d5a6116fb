//go:build race

package cms

// raced says that the tests are built with the race detector, which changes what is allocated.
const raced = true
