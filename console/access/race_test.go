package access

import (
	"errors"
	"path/filepath"
	"testing"
)

// TestPasswordChangesMeanwhile: a password that is changed while a client waits for the check of the
// old one begins no session.
func TestPasswordChangesMeanwhile(t *testing.T) {
	w := newWorld(t, Config{Path: filepath.Join(t.TempDir(), "console.db")})
	// The check takes its place from the test, and gives it back to it.
	w.others = checks{waiting: make(chan struct{}, 1), slots: make(chan struct{})}
	answer := make(chan error)
	go func() {
		_, err := w.SignIn(t.Context(), Credentials{Name: "viewer", Password: password})
		answer <- err
	}()
	<-w.others.slots
	if err := w.SetPassword(t.Context(), root, "viewer", "another "+password); err != nil {
		t.Fatal(err)
	}
	w.others.slots <- struct{}{}
	if err := <-answer; !errors.Is(err, ErrRefused) {
		t.Errorf("the old password: %v", err)
	}
	w.others = newChecks(1)
	if _, err := w.SignIn(t.Context(), Credentials{Name: "viewer", Password: "another " + password}); err != nil {
		t.Errorf("the new one: %v", err)
	}
}
