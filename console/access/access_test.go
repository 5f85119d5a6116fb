package access

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/smimerelay/smimerelay/internal/testing/pgtest"
)

const password = "correct horse battery"

var root = Actor{Name: "root", Via: "command line"}

// world is a store with a clock that the test moves.
type world struct {
	*Store
	ahead atomic.Int64
	log   *strings.Builder
}

func (w *world) advance(d time.Duration) { w.ahead.Add(int64(d)) }

// newWorld opens a store with an account of each role, named like it.
func newWorld(t *testing.T, cfg Config) *world {
	t.Helper()
	w := &world{log: &strings.Builder{}}
	start := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	cfg.Clock = func() time.Time { return start.Add(time.Duration(w.ahead.Load())) }
	cfg.Log = slog.New(slog.NewTextHandler(w.log, nil))
	var err error
	if w.Store, err = Open(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, role := range Roles {
		if err := w.AddUser(t.Context(), root, string(role), role, password); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// engines runs a test on SQLite and on PostgreSQL.
func engines(t *testing.T, test func(*testing.T, *world)) {
	t.Run("SQLite", func(t *testing.T) {
		test(t, newWorld(t, Config{Path: filepath.Join(t.TempDir(), "console.db")}))
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		test(t, newWorld(t, Config{URL: server(t).Database(t)}))
	})
}

var server = func() func(*testing.T) *pgtest.Server {
	var once sync.Once
	return func(t *testing.T) *pgtest.Server {
		t.Helper()
		once.Do(func() {
			var err error
			if postgres, err = pgtest.Start(); err != nil {
				t.Fatal(err)
			}
		})
		if postgres == nil {
			t.Fatal("PostgreSQL did not start")
		}
		return postgres
	}
}()

var postgres *pgtest.Server

func TestMain(m *testing.M) {
	code := m.Run()
	if postgres != nil {
		if err := postgres.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

func (w *world) signIn(t *testing.T, name, password, code string) (string, error) {
	t.Helper()
	got, err := w.SignIn(t.Context(), Credentials{Name: name, Password: password, Code: code, From: netip.MustParseAddr("192.0.2.7")})
	return got.Session, err
}

func (w *world) mustSignIn(t *testing.T, name string) string {
	t.Helper()
	secret, err := w.signIn(t, name, password, "")
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

func TestSignIn(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		for _, c := range []struct{ name, password string }{
			{"viewer", "wrong"}, {"stranger", password}, {"", ""}, {"viewer", ""}, {"viewer", strings.Repeat("x", 5000)}, {"viewer' OR '1'='1", password},
		} {
			if secret, err := w.signIn(t, c.name, c.password, ""); !errors.Is(err, ErrRefused) || secret != "" {
				t.Errorf("%q: %q, %v", c.name, secret, err)
			}
		}
		secret := w.mustSignIn(t, "VIEWER")
		s, err := w.Session(t.Context(), secret, Active)
		if err != nil || s.Name != "viewer" || s.Role != Viewer || s.CSRF == "" || strings.Contains(secret, s.CSRF) {
			t.Errorf("%+v, %v", s, err)
		}
		// Each has a secret of its own: nothing that a client had before is taken over.
		if other := w.mustSignIn(t, "viewer"); other == secret {
			t.Error("two sessions have one secret")
		}
		if err := w.SignOut(t.Context(), secret); err != nil {
			t.Fatal(err)
		}
		for _, bad := range []string{secret, "", "x", digest(secret)} {
			if _, err := w.Session(t.Context(), bad, Active); !errors.Is(err, ErrNoSession) {
				t.Errorf("session %q: %v", bad, err)
			}
		}
	})
}

func TestSessionsEnd(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		ended := func(secret string) bool {
			_, err := w.Session(t.Context(), secret, Active)
			if err != nil && !errors.Is(err, ErrNoSession) {
				t.Fatal(err)
			}
			return err != nil
		}
		idle := w.mustSignIn(t, "viewer")
		w.advance(29 * time.Minute)
		if ended(idle) {
			t.Error("ended too early")
		}
		w.advance(29 * time.Minute)
		if ended(idle) {
			t.Error("its use was not noted")
		}
		w.advance(30 * time.Minute)
		if !ended(idle) {
			t.Error("an idle session goes on")
		}
		used := w.mustSignIn(t, "viewer")
		for range 11*60/20 + 3 {
			w.advance(20 * time.Minute)
			_ = ended(used)
		}
		w.advance(20 * time.Minute)
		if !ended(used) {
			t.Error("a session lasts longer than its lifetime")
		}
		// A new password, new codes and the end of the account end them, and a role holds at once.
		for name, change := range map[string]func() error{
			"password": func() error { return w.SetPassword(t.Context(), root, "viewer", password) },
			"codes":    func() error { return w.SetTOTP(t.Context(), root, "viewer", "") },
		} {
			secret := w.mustSignIn(t, "viewer")
			if err := change(); err != nil || !ended(secret) {
				t.Errorf("%s: %v; the session goes on", name, err)
			}
		}
		secret := w.mustSignIn(t, "viewer")
		if err := w.SetRole(t.Context(), root, "viewer", Operator); err != nil {
			t.Fatal(err)
		}
		if s, err := w.Session(t.Context(), secret, Active); err != nil || s.Role != Operator {
			t.Errorf("%+v, %v", s, err)
		}
		if err := w.RemoveUser(t.Context(), root, "viewer"); err != nil || !ended(secret) {
			t.Errorf("the session of an account that is gone goes on: %v", err)
		}
	})
}

func TestBruteForce(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		// At the same time, so that none may slip in between counting and checking.
		var wrong, locked atomic.Int32
		var all sync.WaitGroup
		for range 3 * maxByName {
			all.Go(func() {
				switch _, err := w.signIn(t, "viewer", "guess of a password", ""); {
				case errors.Is(err, ErrRefused):
					wrong.Add(1)
				case errors.Is(err, ErrLocked):
					locked.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		all.Wait()
		if wrong.Load() != maxByName || locked.Load() != 2*maxByName {
			t.Errorf("%d guesses were checked, %d refused unchecked", wrong.Load(), locked.Load())
		}
		if _, err := w.signIn(t, "viewer", password, ""); !errors.Is(err, ErrLocked) {
			t.Errorf("the right password while locked: %v", err)
		}
		if err := w.Unlock(t.Context(), root, "viewer"); err != nil {
			t.Fatal(err)
		}
		w.mustSignIn(t, "viewer")

		// Many names from one address.
		w.advance(failureMemory + time.Second)
		var last error
		for i := range maxByAddress + 1 {
			_, last = w.signIn(t, strings.Repeat("x", i+1), "guess", "")
		}
		if !errors.Is(last, ErrLocked) {
			t.Errorf("after many names: %v", last)
		}
		if _, err := w.SignIn(t.Context(), Credentials{Name: "viewer", Password: password, From: netip.MustParseAddr("192.0.2.8")}); err != nil {
			t.Errorf("another address: %v", err)
		}
		w.advance(failureMemory + time.Second)
		w.mustSignIn(t, "viewer")
	})
}

// TestKnownBrowsers: who guesses at an account locks it for strangers, and not for a browser in
// which it has signed in before; that one is counted by itself.
func TestKnownBrowsers(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		try := func(name, password, device string) (Secrets, error) {
			return w.SignIn(t.Context(), Credentials{Name: name, Password: password, Device: device}) // by a proxy
		}
		first, err := try("viewer", password, "")
		if err != nil || first.Device == "" || first.Device == first.Session {
			t.Fatalf("%+v, %v", first, err)
		}
		for range maxByName + 1 {
			_, err = try("viewer", "guess", "")
		}
		if !errors.Is(err, ErrLocked) {
			t.Fatal(err)
		}
		again, err := try("viewer", password, first.Device)
		if err != nil || again.Device != first.Device {
			t.Errorf("a known browser while the name is locked: %v", err)
		}
		for _, c := range []struct{ name, device string }{{"viewer", "made up"}, {"viewer", ""}} {
			if _, err := try(c.name, password, c.device); !errors.Is(err, ErrLocked) {
				t.Errorf("%+v: %v", c, err)
			}
		}
		// The browser of one account is none of another, and is no way to guess without end.
		for range maxByName + 1 {
			_, err = try("operator", "guess", first.Device)
		}
		if !errors.Is(err, ErrLocked) {
			t.Errorf("another account: %v", err)
		}
		for range maxByName + 1 {
			_, err = try("viewer", "guess", first.Device)
		}
		if !errors.Is(err, ErrLocked) {
			t.Errorf("guesses of a known browser: %v", err)
		}
		w.advance(DeviceLifetime + time.Second)
		if known, err := w.knownDevice(t.Context(), "viewer", first.Device); known || err != nil {
			t.Errorf("known for ever: %t, %v", known, err)
		}
		for range maxDevices + 5 {
			link, err := w.CreateLink(t.Context(), root, "viewer", time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.FollowLink(t.Context(), link, netip.Addr{}, ""); err != nil {
				t.Fatal(err)
			}
		}
		var n int
		if err := w.db.QueryRowContext(t.Context(), `SELECT count(*) FROM console_device`).Scan(&n); err != nil || n != maxDevices {
			t.Errorf("%d browsers are kept, %v", n, err)
		}
	})
}

// TestCrowd: clients that wait for their turn are bounded, are not counted as guesses, and known
// browsers do not wait for them.
func TestCrowd(t *testing.T) {
	w := newWorld(t, Config{Path: filepath.Join(t.TempDir(), "console.db")})
	owner, err := w.SignIn(t.Context(), Credentials{Name: "viewer", Password: password})
	if err != nil {
		t.Fatal(err)
	}
	// All turns are taken, and all places where one waits for them.
	var leave []func()
	for range cap(w.others.slots) {
		f, err := w.others.enter(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		leave = append(leave, f)
	}
	for range maxWaiting {
		w.others.waiting <- struct{}{}
	}
	for range maxByName + 1 {
		if _, err := w.SignIn(t.Context(), Credentials{Name: "operator", Password: password}); !errors.Is(err, ErrBusy) {
			t.Fatal(err)
		}
	}
	if _, err := w.SignIn(t.Context(), Credentials{Name: "viewer", Password: password, Device: owner.Device}); err != nil {
		t.Errorf("a known browser: %v", err)
	}
	for range maxWaiting {
		<-w.others.waiting
	}
	for _, f := range leave {
		f()
	}
	if _, err := w.SignIn(t.Context(), Credentials{Name: "operator", Password: password}); err != nil {
		t.Errorf("after the crowd: %v", err)
	}
}

// TestPagesThatRefresh: what an open page asks for by itself keeps no session alive, and a
// session whose use cannot be noted is one all the same.
func TestPagesThatRefresh(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		secret := w.mustSignIn(t, "viewer")
		for range 3 {
			w.advance(9 * time.Minute)
			if _, err := w.Session(t.Context(), secret, Passive); err != nil {
				t.Fatal(err)
			}
		}
		w.advance(4 * time.Minute)
		if _, err := w.Session(t.Context(), secret, Passive); !errors.Is(err, ErrNoSession) {
			t.Errorf("a page that is left open keeps the session: %v", err)
		}
	})
	w := newWorld(t, Config{Path: filepath.Join(t.TempDir(), "console.db")})
	secret := w.mustSignIn(t, "viewer")
	w.advance(5 * time.Minute)
	if _, err := w.db.ExecContext(t.Context(), `CREATE TRIGGER full BEFORE UPDATE ON console_session BEGIN SELECT RAISE(FAIL, 'disk full'); END`); err != nil {
		t.Fatal(err)
	}
	if s, err := w.Session(t.Context(), secret, Active); err != nil || s.Name != "viewer" {
		t.Errorf("%+v, %v", s, err)
	}
	if !strings.Contains(w.log.String(), "disk full") {
		t.Error("nothing is logged")
	}
}

func TestCodes(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		const secret = "JBSWY3DPEHPK3PXP"
		if err := w.SetTOTP(t.Context(), root, "viewer", secret); err != nil {
			t.Fatal(err)
		}
		code := func(d time.Duration) string {
			c, err := totp.GenerateCode(secret, w.cfg.Clock().Add(d))
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		for _, bad := range []string{"", "000000", code(-time.Hour), code(time.Minute)} {
			if _, err := w.signIn(t, "viewer", password, bad); !errors.Is(err, ErrRefused) {
				t.Errorf("code %q: %v", bad, err)
			}
		}
		now := code(0)
		if _, err := w.signIn(t, "viewer", password, now); err != nil {
			t.Fatal(err)
		}
		if _, err := w.signIn(t, "viewer", password, now); !errors.Is(err, ErrRefused) {
			t.Errorf("a code twice: %v", err)
		}
		w.advance(period * time.Second)
		if _, err := w.signIn(t, "viewer", password, code(0)); err != nil {
			t.Errorf("the next code: %v", err)
		}
	})
}

func TestLinks(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		follow := func(secret string) error {
			_, err := w.FollowLink(t.Context(), secret, netip.Addr{}, "")
			return err
		}
		link, err := w.CreateLink(t.Context(), root, "viewer", time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if err := follow(link); err != nil {
			t.Fatal(err)
		}
		late, err := w.CreateLink(t.Context(), root, "viewer", time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		w.advance(time.Minute)
		for _, bad := range []string{link, late, "", digest(link)} {
			if err := follow(bad); !errors.Is(err, ErrNoSession) {
				t.Errorf("link %q: %v", bad, err)
			}
		}
		if _, err := w.CreateLink(t.Context(), root, "stranger", time.Minute); !errors.Is(err, ErrNoUser) {
			t.Error(err)
		}
	})
}

func TestTokens(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		secret, err := w.CreateToken(ctx, root, "Backup", "operator", Operator, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		token, err := w.Token(ctx, secret)
		if err != nil || token.Label != "backup" || token.Role != Operator || token.Owner != "operator" {
			t.Errorf("%+v, %v", token, err)
		}
		for _, c := range []struct {
			label, owner string
			role         Role
			lifetime     time.Duration
		}{
			{"backup", "operator", Viewer, time.Hour}, {"b", "operator", Administrator, time.Hour}, {"b", "stranger", Viewer, time.Hour},
			{"", "operator", Viewer, time.Hour}, {"b", "operator", "king", time.Hour}, {"b", "operator", Viewer, 0}, {"b", "operator", Viewer, 2 * maxTokenLifetime},
		} {
			if _, err := w.CreateToken(ctx, root, c.label, c.owner, c.role, c.lifetime); err == nil {
				t.Errorf("%+v is made", c)
			}
		}
		// The owner's role bounds it.
		if err := w.SetRole(ctx, root, "operator", Viewer); err != nil {
			t.Fatal(err)
		}
		if token, err := w.Token(ctx, secret); err != nil || token.Role != Viewer {
			t.Errorf("%+v, %v", token, err)
		}
		w.advance(time.Hour)
		if _, err := w.Token(ctx, secret); !errors.Is(err, ErrNoSession) {
			t.Errorf("an expired token: %v", err)
		}
		if err := w.RemoveToken(ctx, root, "backup"); err != nil {
			t.Fatal(err)
		}
		if err := w.RemoveToken(ctx, root, "backup"); !errors.Is(err, errNoToken) {
			t.Error(err)
		}
		owned, err := w.CreateToken(ctx, root, "owned", "operator", Viewer, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.RemoveUser(ctx, root, "operator"); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Token(ctx, owned); !errors.Is(err, ErrNoSession) {
			t.Errorf("the token of an account that is gone: %v", err)
		}
		if list, err := w.Tokens(ctx); err != nil || len(list) != 0 {
			t.Errorf("%v, %v", list, err)
		}
	})
}

func TestAudit(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				e := Entry{Actor: Actor{Name: "alice", Role: Operator, From: "192.0.2.7", Via: "api"}, Action: "held.release", Object: "h3", Before: map[string]any{"held": true}}
				if err := w.Record(context.WithoutCancel(ctx), e); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		list, err := w.Audit(ctx, AuditQuery{Limit: 5})
		if err != nil || len(list) != 5 || list[0].ID != 23 || list[0].Actor.Name != "alice" || list[0].Before["held"] != true {
			t.Fatalf("%+v, %v", list, err)
		}
		list, err = w.Audit(ctx, AuditQuery{Before: 4, Limit: maxAudit + 1})
		if err != nil || len(list) != 3 || list[2].Action != "account.add" || list[2].Object != "viewer" {
			t.Fatalf("%+v, %v", list, err)
		}
		if !strings.Contains(w.log.String(), `audit=23 actor=alice role=operator client=192.0.2.7 via=api action=held.release object=h3`) {
			t.Errorf("the log has no such line:\n%s", w.log)
		}
		last, _, err := w.VerifyAudit(ctx, AuditPoint{})
		if err != nil || last.ID != 23 || len(last.Digest) != 64 {
			t.Fatalf("the last entry is %+v, %v", last, err)
		}
		kept := AuditPoint{}
		check := func(want int64, after string) {
			t.Helper()
			if _, broken, err := w.VerifyAudit(ctx, kept); err != nil || broken != want {
				t.Errorf("%s, %d kept: broken at %d, want %d: %v", after, kept.ID, broken, want, err)
			}
		}
		check(0, "nothing")
		for _, c := range []struct {
			AuditPoint
			want int64
		}{{last, 0}, {AuditPoint{23, digest("")}, 23}, {AuditPoint{7, last.Digest}, 7}, {AuditPoint{24, last.Digest}, 24}} {
			kept = c.AuditPoint
			check(c.want, "nothing")
		}
		kept = AuditPoint{}
		damage := func(statement string, want int64) {
			t.Helper()
			if _, err := w.db.ExecContext(ctx, statement); err != nil {
				t.Fatal(err)
			}
			check(want, statement)
		}
		damage(`DELETE FROM console_audit WHERE id = 23`, 23)
		damage(`UPDATE console_audit SET entry = replace(entry, 'alice', 'bob') WHERE id = 10`, 10)
		damage(`DELETE FROM console_audit WHERE id = 4`, 4)
	})
}

// TestNothingSecretIsStored looks for what clients show in the file.
func TestNothingSecretIsStored(t *testing.T) {
	path := filepath.Join(t.TempDir(), "console.db")
	w := newWorld(t, Config{Path: path})
	secrets := []string{password, w.mustSignIn(t, "viewer"), "typed-into-the-wrong-field"}
	if _, err := w.signIn(t, secrets[2], "x", ""); !errors.Is(err, ErrRefused) {
		t.Fatal(err)
	}
	for _, make := range []func() (string, error){
		func() (string, error) { return w.CreateLink(t.Context(), root, "viewer", time.Hour) },
		func() (string, error) { return w.CreateToken(t.Context(), root, "x", "viewer", Viewer, time.Hour) },
	} {
		secret, err := make()
		if err != nil {
			t.Fatal(err)
		}
		secrets = append(secrets, secret)
	}
	for _, name := range []string{path, path + "-wal"} {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range secrets {
			if strings.Contains(string(data), secret) || strings.Contains(w.log.String(), secret) {
				t.Errorf("%q is in %s or in the log", secret, name)
			}
		}
		if info, err := os.Stat(name); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
}

func TestAccounts(t *testing.T) {
	w := newWorld(t, Config{Path: filepath.Join(t.TempDir(), "console.db")})
	for _, c := range []struct {
		name     string
		role     Role
		password string
	}{
		{"viewer", Viewer, password}, {"VIEWER", Viewer, password}, {"", Viewer, password}, {"a b", Viewer, password}, {"<b>", Viewer, password},
		{"x", "king", password}, {"x", "", password}, {"x", Viewer, "short"}, {"x", Viewer, strings.Repeat("x", 2000)},
	} {
		if err := w.AddUser(t.Context(), root, c.name, c.role, c.password); err == nil {
			t.Errorf("%+v is added", c)
		}
	}
	if err := w.AddUser(t.Context(), root, "linked", Viewer, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := w.signIn(t, "linked", "", ""); !errors.Is(err, ErrRefused) {
		t.Errorf("an account without a password: %v", err)
	}
	users, err := w.Users(t.Context())
	if err != nil || len(users) != 4 || users[0].Name != "administrator" || users[0].Role != Administrator {
		t.Errorf("%+v, %v", users, err)
	}
	for _, err := range []error{
		w.SetPassword(t.Context(), root, "stranger", password), w.SetRole(t.Context(), root, "stranger", Viewer), w.RemoveUser(t.Context(), root, "stranger"),
	} {
		if !errors.Is(err, ErrNoUser) {
			t.Error(err)
		}
	}
}

func TestRoles(t *testing.T) {
	for i, a := range Roles {
		for j, b := range Roles {
			if a.Includes(b) != (i >= j) {
				t.Errorf("%s includes %s: %t", a, b, a.Includes(b))
			}
		}
		if a.Includes("") || Role("").Includes(a) || Role("king").Includes(a) {
			t.Errorf("no role and %s", a)
		}
	}
}
