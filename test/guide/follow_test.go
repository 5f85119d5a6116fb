//go:build guide

package guide

import "testing"

// TestPostfix follows the guide with Postfix: a signed message, and one that is signed and
// encrypted, leave through Postfix to the server that it relays to.
func TestPostfix(t *testing.T) {
	m := newMachine(t)
	m.startSink()
	m.installPostfix()
	for _, c := range commands(t, "install", "postfix") {
		m.run(c)
	}
	m.arrives("signed", false)
	m.arrives("encrypted", true)
}

// TestRelay follows it without Postfix.
func TestRelay(t *testing.T) {
	m := newMachine(t)
	m.startSink()
	for _, c := range commands(t, "install", "relay") {
		m.run(c)
	}
	m.arrives("relayed", true)
}
