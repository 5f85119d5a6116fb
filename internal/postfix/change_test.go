package postfix

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const master = `smtp inet n - y - - smtpd
submission inet n - y - - smtpd
  -o content_filter=amavis:[127.0.0.1]:10024
pickup unix n - y 60 1 pickup
lmtp unix - - y - - lmtp
`

// folder makes one with a main.cf and a master.cf. postconf waits until files have not been
// changed for a while, so they are made old after each change.
func folder(t *testing.T) (dir string, show func() string) {
	t.Helper()
	dir = t.TempDir()
	for name, text := range map[string]string{"main.cf": "compatibility_level = 3.6\nrelayhost = $mydomain\n", "master.cf": master} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir, func() string {
		t.Helper()
		var all strings.Builder
		for _, args := range []string{"-n", "-M", "-P"} {
			for _, name := range []string{"main.cf", "master.cf"} {
				if err := os.Chtimes(filepath.Join(dir, name), time.Time{}, time.Now().Add(-time.Hour)); err != nil {
					t.Fatal(err)
				}
			}
			out, err := postconf(t.Context(), dir, args)
			if err != nil {
				t.Fatal(err)
			}
			all.WriteString(out)
		}
		return all.String()
	}
}

// TestUndo applies a change with postconf, and undoes it by the lines for a shell: both files
// say what they said.
func TestUndo(t *testing.T) {
	dir, show := folder(t)
	before := show()
	settings, err := Read(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	change := ParseChange("relayhost = [127.0.0.1]:2525\nlmtp_line_length_limit = 0\n", `smtp inet n - n - - smtpd
  -o content_filter=lmtp:[127.0.0.1]:10026
submission inet n - n - - smtpd
  -o content_filter=lmtp:[127.0.0.1]:10025
127.0.0.1:10027 inet n - n - - smtpd
  -o content_filter=
  -o mynetworks=127.0.0.0/8
`)
	steps := settings.Plan(change)
	if len(steps) != 3 {
		t.Errorf("%d calls, not one for each kind: %q", len(steps), steps)
	}
	if err := Apply(t.Context(), dir, steps); err != nil {
		t.Fatal(err)
	}
	changed := show()
	for _, want := range []string{"relayhost = [127.0.0.1]:2525\n", "submission/inet/content_filter = lmtp:[127.0.0.1]:10025\n", "127.0.0.1:10027/inet/mynetworks = 127.0.0.0/8\n", "smtp       inet  n       -       y"} {
		if !strings.Contains(changed, want) {
			t.Errorf("%q is not in\n%s", want, changed)
		}
	}
	for _, s := range slices.Backward(steps) {
		for _, undo := range s.Undo {
			if out, err := exec.CommandContext(t.Context(), "sh", "-c", Command(dir, undo)).CombinedOutput(); err != nil {
				t.Fatalf("%s: %v: %s", Command(dir, undo), err, out)
			}
		}
	}
	if after := show(); after != before {
		t.Errorf("undone:\n%s\nbefore:\n%s", after, before)
	}
}

// TestApplyIsAllOrNone: a call that fails takes those before it back.
func TestApplyIsAllOrNone(t *testing.T) {
	dir, show := folder(t)
	before := show()
	err := Apply(t.Context(), dir, []Step{
		{[]string{"-e", "relayhost = [127.0.0.1]:2525"}, [][]string{{"-e", "relayhost = $mydomain"}}},
		{[]string{"-Z"}, nil},
	})
	if err == nil {
		t.Fatal("a call that postconf does not know succeeded")
	}
	if after := show(); after != before {
		t.Errorf("afterwards:\n%s\nbefore:\n%s", after, before)
	}
}

// TestRead reads parameters of main.cf and of services.
func TestRead(t *testing.T) {
	dir, show := folder(t)
	show()
	s, err := Read(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	at := s.service("submission", "inet")
	if at == nil || !at.Chrooted || at.Command != "smtpd" || s.Of(at, "content_filter") != "amavis:[127.0.0.1]:10024" || s.Of(at, "milter_default_action") != "tempfail" {
		t.Errorf("%+v", at)
	}
	t.Setenv("PATH", "")
	if _, err := Read(t.Context(), dir); !errors.Is(err, ErrNone) {
		t.Errorf("without postconf: %v", err)
	}
}
