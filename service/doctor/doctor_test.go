package doctor_test

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/smimerelay/smimerelay/internal/testing/loopback"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/service/doctor"
	"github.com/smimerelay/smimerelay/test/rig"
)

var update = flag.Bool("update", false, "write the expected findings into testdata")

// TestSeeded seeds one mistake in a setup of README.md at a time: each file in testdata
// says what is changed, and which findings there are then. Without a change there are
// none.
func TestSeeded(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			head, want, _ := strings.Cut(string(text), "\nwant\n")
			s := newSeed(t)
			for line := range strings.Lines(head) {
				if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
					s.do(line)
				}
			}
			got := s.examine()
			if *update {
				if err := os.WriteFile(file, []byte(strings.TrimSuffix(head, "\n")+"\nwant\n"+got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("the findings differ (-want +got):\n%s", diff)
			}
		})
	}
}

// seed is a setup with a mistake in it.
type seed struct {
	*testing.T
	dir          string
	ports        rig.Ports
	hop          []string // what the next hops offer; nil: they are down
	gateway      string   // "": something that greets like it; "real", "down", "stranger"
	now          time.Time
	unsynced     bool
	dns          error
	queuedBefore time.Duration
}

func newSeed(t *testing.T) *seed {
	s := &seed{T: t, dir: t.TempDir(), ports: rig.Ports{}, hop: []string{"8BITMIME", "DSN", "SIZE 200000000"}, now: time.Now()}
	for _, name := range []string{"2525", "10024", "10025", "10026", "10027", "10028", "10029", "smtp", "submission"} {
		s.ports[name] = loopback.FreePort(t)
	}
	ca := testpki.Must(testpki.NewCA(testpki.Options{}))
	id := testpki.Must(ca.Issue(testpki.Leaf{Addresses: []string{"alice@example.com"}}))
	s.write("ca.pem", string(testpki.EncodeCertificates(ca.Certificate)))
	s.write("alice.pem", string(testpki.Must(id.PEM())))
	s.write("old.crl", string(testpki.Must(ca.CRL(testpki.CRL{ThisUpdate: s.now.AddDate(0, 0, -9), NextUpdate: s.now.AddDate(0, 0, -2)}))))
	s.write("password", "secret\n")
	old := testpki.Must(ca.Issue(testpki.Leaf{Addresses: []string{"gw@example.com"}, NotBefore: s.now.AddDate(-1, 0, -1), NotAfter: s.now.AddDate(0, 0, -1)}))
	s.write("expired.pem", string(testpki.EncodeCertificates(old.Certificate)))
	s.write("expired.key", string(testpki.Must(old.PEM())))
	return s
}

func (s *seed) write(name, text string) {
	s.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
		s.Fatal(err)
	}
}

func (s *seed) read(name string) string {
	s.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil {
		s.Fatal(err)
	}
	return string(text)
}

const base = `hostname = "gw.example.com"
domains = ["example.com"]
[trust]
anchors = ["ca.pem"]
revocation = "off"
[identities]
path = "alice.pem"
[store]
url = "store.db"
key_file = "store.key"
[queue]
path = "queue.db"
`

// do carries out a line of a file.
func (s *seed) do(line string) {
	s.Helper()
	verb, rest, _ := strings.Cut(line, " ")
	rest = s.number(strings.ReplaceAll(strings.ReplaceAll(rest, `\n`, "\n"), "$DIR", s.dir))
	name, text, _ := strings.Cut(rest, " ")
	switch verb {
	case "setup":
		s.write("config.toml", base+rig.Recipe(s, "toml "+name, s.ports))
		master := "lmtp unix - - n - - lmtp\n"
		if name != "filter" {
			master += s.number("smtp inet n - n - - smtpd\n")
		}
		s.write("main.cf", "compatibility_level = 3.6\nmessage_size_limit = 50000000\n"+rig.Recipe(s, "main.cf "+name, s.ports))
		if name != "relay" {
			master += rig.Recipe(s, "master.cf "+name, s.ports)
		}
		s.write("master.cf", master)
	case "replace":
		before, after, found := strings.Cut(text, " =>")
		after = strings.TrimPrefix(after, " ")
		if !found || !strings.Contains(s.read(name), before) {
			s.Fatalf("%q is not in %s:\n%s", before, name, s.read(name))
		}
		s.write(name, strings.Replace(s.read(name), before, after, 1))
	case "append":
		s.write(name, s.read(name)+text+"\n")
	case "chmod":
		mode, err := strconv.ParseUint(name, 8, 9)
		if err == nil {
			err = os.Chmod(filepath.Join(s.dir, text), os.FileMode(mode))
		}
		if err != nil {
			s.Fatal(err)
		}
	case "hop":
		s.hop = strings.Split(rest, ",")
		if rest == "down" {
			s.hop = nil
		}
	case "gateway":
		s.gateway = rest
	case "clock":
		s.unsynced = rest == "unsynchronized"
		if rest == "2001" {
			s.now = time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
		}
	case "dns":
		s.dns = &net.DNSError{Err: rest, IsNotFound: rest == "no such host"}
	case "unwritten":
		s.publish(name, text)
	case "ldap":
		code, err := strconv.ParseUint(text, 10, 8)
		if err != nil {
			s.Fatal(err)
		}
		s.serve("2525", func(conn net.Conn) { refuse(conn, name, byte(code)) })
	case "disk":
		s.disk(name, text)
	case "queued":
		s.queuedBefore = mustDuration(s, rest)
	default:
		s.Fatalf("unknown: %s", line)
	}
}

func mustDuration(t *seed, text string) time.Duration {
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// number puts ports in the place of those that README.md writes; label is the opposite.
func (s *seed) number(text string) string {
	for name, port := range s.ports {
		if name != "smtp" && name != "submission" {
			text = strings.ReplaceAll(text, name, strconv.Itoa(port))
		}
	}
	return text
}

func (s *seed) label(text string) string {
	for name, port := range s.ports {
		text = strings.ReplaceAll(text, strconv.Itoa(port), name)
	}
	text = varying.ReplaceAllString(text, "N")
	return strings.ReplaceAll(text, s.dir, "$DIR")
}

// varying are times, dates and sizes of this day and this machine.
var varying = regexp.MustCompile(`\d{4}-\d\d-\d\d(T[\d:]+Z)?|\d+ MB free`)

// examine runs what the setup needs and returns the findings that are worse than a note.
func (s *seed) examine() string {
	s.Helper()
	s.run()
	findings, problems := doctor.Examine(s.Context(), doctor.Options{
		Config: filepath.Join(s.dir, "config.toml"), Postfix: s.dir, Timeout: 20 * time.Second,
		Built: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Clock: func() time.Time { return s.now },
		LookupHost:   func(context.Context, string) ([]string, error) { return []string{"192.0.2.1"}, s.dns },
		Synchronized: func() (bool, bool) { return !s.unsynced, true },
	})
	var lines []string
	for _, p := range problems {
		lines = append(lines, "problem "+p.String())
	}
	for _, f := range findings {
		if f.Remedy == "" != (f.Severity == doctor.OK) {
			s.Errorf("what is wrong has a remedy, and nothing else: %+v", f)
		}
		if f.Severity != doctor.OK && f.Severity != doctor.Note {
			lines = append(lines, fmt.Sprintf("%s %s %s: %s; %s", f.Severity, f.Check, f.Where, f.Text, f.Remedy))
		}
	}
	if !slices.ContainsFunc(findings, func(f doctor.Finding) bool { return f.Severity == doctor.OK }) && len(problems) == 0 {
		s.Error("nothing is fine")
	}
	lines = append(lines, "")
	return s.label(strings.Join(lines, "\n"))
}
