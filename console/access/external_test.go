package access

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// external returns what a provider says of someone, with a way back that was not used before.
func (w *world) external(name string, role Role) External {
	return External{Issuer: "https://login.example.com", Subject: "subject of " + name, Name: name, Role: role, Once: newSecret(), OnceUntil: w.cfg.Clock().Add(time.Minute)}
}

func TestExternalAccounts(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		enter := func(e External) (Secrets, error) {
			return w.SignInExternal(t.Context(), e, netip.MustParseAddr("192.0.2.7"), "")
		}
		in := func(s Secrets) string {
			found, err := w.Session(t.Context(), s.Session, Active)
			if err != nil {
				return err.Error()
			}
			return fmt.Sprint(found.Name, " ", found.Role, " ", found.Issuer)
		}
		first, err := enter(w.external("Erin@example.org", Operator))
		if err != nil || in(first) != "erin@example.org operator https://login.example.com" {
			t.Fatalf("%v, %s", err, in(first))
		}
		// The role is that of the last sign-in, also in sessions that began before.
		second, err := enter(w.external("Erin@example.org", Viewer))
		if err != nil || in(first) != in(second) || !strings.Contains(in(second), "viewer") {
			t.Errorf("%v, %s, %s", err, in(first), in(second))
		}
		// A name belongs to one account: neither to a local one, nor to someone else.
		for _, e := range []External{w.external("viewer", Administrator), {Issuer: "https://login.example.com", Subject: "another", Name: "erin@example.org", Role: Administrator, Once: newSecret()}, {Issuer: "https://login.example.net", Subject: "subject of Erin@example.org", Name: "erin@example.org", Role: Administrator, Once: newSecret()}} {
			if _, err := enter(e); !errors.Is(err, ErrTaken) {
				t.Errorf("%+v: %v", e, err)
			}
		}
		// It is one account under another name.
		e := w.external("Erin@example.org", Viewer)
		e.Name = "erin.miller@example.org"
		third, err := enter(e)
		if err != nil || !strings.HasPrefix(in(third), "erin.miller@example.org viewer") || in(second) != ErrNoSession.Error() {
			t.Errorf("%v, %s, %s", err, in(third), in(second))
		}
		if _, err := enter(e); !errors.Is(err, ErrUsed) {
			t.Errorf("twice: %v", err)
		}
		// What the provider has cannot be given here, and nothing signs in without it.
		name := "erin.miller@example.org"
		for what, change := range map[string]func() error{
			"password": func() error { return w.SetPassword(t.Context(), root, name, password) },
			"role":     func() error { return w.SetRole(t.Context(), root, name, Administrator) },
			"codes":    func() error { return w.SetTOTP(t.Context(), root, name, "") },
			"link":     func() error { _, err := w.CreateLink(t.Context(), root, name, time.Minute); return err },
			"token": func() error {
				_, err := w.CreateToken(t.Context(), root, "x", name, Viewer, time.Hour)
				return err
			},
		} {
			if err := change(); !errors.Is(err, errExternal) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if _, err := w.signIn(t, name, "", ""); !errors.Is(err, ErrRefused) {
			t.Errorf("with an empty password: %v", err)
		}
		users, err := w.Users(t.Context())
		if err != nil || len(users) != len(Roles)+1 || users[1].Name != name || users[1].Issuer != "https://login.example.com" {
			t.Errorf("%v, %+v", err, users)
		}
		// Without a role there is no account.
		gone := w.external("Erin@example.org", "")
		gone.Name = name
		if _, err := enter(gone); !errors.Is(err, ErrNoRole) || in(third) != ErrNoSession.Error() {
			t.Errorf("%v, %s", err, in(third))
		}
		if _, err := enter(w.external("frank@example.org", "")); !errors.Is(err, ErrNoRole) {
			t.Error(err)
		}
		if _, err := enter(w.external("grace@example.org", "root")); err == nil {
			t.Error("a role that is none")
		}
		if err := w.RemoveUser(t.Context(), root, name); !errors.Is(err, ErrNoUser) {
			t.Error(err)
		}
		entries, err := w.Audit(t.Context(), AuditQuery{Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		var actions []string
		for _, e := range entries {
			if e.Actor.Via == "openid" {
				actions = append(actions, e.Action)
			}
		}
		if got := strings.Join(actions, " "); got != "account.remove session.begin account.add account.remove session.begin account.role session.begin account.add" {
			t.Errorf("audit log, latest first: %s", got)
		}
	})
}
