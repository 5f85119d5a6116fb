//go:build !race

package cms

const raced = false
