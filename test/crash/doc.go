// Package crash holds no code: its tests kill the gateway while mail passes, with `make
// test-crash` as often as is asked for.
package crash
