package observe

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/coreos/go-systemd/v22/journal"
)

// asLogger has this program log to its standard error, and no more.
const asLogger = "SMIMERELAY_TEST_LOGGER"

func TestMain(m *testing.M) {
	if os.Getenv(asLogger) != "" {
		log, _, err := NewLogger(os.Stderr, "info", "text")
		if err != nil {
			panic(err)
		}
		logAll(log)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// long is more than a datagram takes.
var long = strings.Repeat("x", 1<<20)

func logAll(log *slog.Logger) {
	log.With("id", "4cWq").WithGroup("peer").With("name", "mx").Info("delivered", "next-hop", "mx.example.net", slog.Group("tls", "version", 13))
	log.Warn("refused", "error", "first\nPRIORITY=0\nsecond")
	log.Error("lost", "error", errors.New("disk"))
	log.Info("long", "reply", long)
	log.Debug("hidden")
}

// journald gives this program a journal of its own, in a mount namespace, and prints what it
// wrote there. JOURNAL_STREAM is set as systemd sets it for a unit.
const journald = `set -e
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/journal /run/log/journal
/lib/systemd/systemd-journald & journald=$!
trap 'kill $journald' EXIT
for i in $(seq 300); do [ -S /run/systemd/journal/stdout ] && break; sleep 0.1; done
systemd-cat -t stream sh -c 'JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2) exec "$1"' sh "$1"
journalctl --sync
journalctl -q -D /run/log/journal --all -o json SYSLOG_IDENTIFIER=smimerelay + SYSLOG_IDENTIFIER=stream
`

// TestJournal logs to systemd's journal: each line is there once, with its priority and its
// attributes, whatever is in them.
func TestJournal(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() != 0 {
		t.Fatal("a private journal needs root: run the tests as root (make test)")
	}
	cmd := exec.CommandContext(t.Context(), "unshare", "--mount", "--propagation", "private", "sh", "-c", journald, "sh", self)
	cmd.Env = append(os.Environ(), asLogger+"=1")
	var problems bytes.Buffer
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, &problems)
	}
	type entry map[string]string
	var got []entry
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var fields map[string]any
		if err := d.Decode(&fields); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		e := entry{}
		for k, v := range fields {
			if s, ok := v.(string); ok {
				e[k] = s
			}
		}
		got = append(got, e)
	}
	want := []entry{
		{"PRIORITY": "6", "SMIMERELAY_ID": "4cWq", "SMIMERELAY_PEER_NAME": "mx", "SMIMERELAY_PEER_NEXT_HOP": "mx.example.net", "SMIMERELAY_PEER_TLS_VERSION": "13"},
		{"PRIORITY": "4", "SMIMERELAY_ERROR": "first\nPRIORITY=0\nsecond"},
		{"PRIORITY": "3", "SMIMERELAY_ERROR": "disk"},
		{"PRIORITY": "6", "SMIMERELAY_REPLY": long},
	}
	if len(got) != len(want) {
		t.Fatalf("%d entries, want %d: %.2000s\n%s", len(got), len(want), out, &problems)
	}
	for i, w := range want {
		for k, v := range w {
			if got[i][k] != v {
				t.Errorf("entry %d: %s is %.100q, want %.100q", i, k, got[i][k], v)
			}
		}
		if got[i]["_TRANSPORT"] != "journal" || !strings.HasPrefix(got[i]["MESSAGE"], "time=") || strings.Contains(got[i]["MESSAGE"], "\n") {
			t.Errorf("entry %d: by %s, %.100q", i, got[i]["_TRANSPORT"], got[i]["MESSAGE"])
		}
	}
}

// TestJournalRefuses: what the journal does not take is on the standard error, once.
func TestJournalRefuses(t *testing.T) {
	var rest bytes.Buffer
	var taken []string
	send := func(text string, _ journal.Priority, _ map[string]string) error {
		if len(text) > 1000 {
			return errors.New("too long")
		}
		taken = append(taken, text)
		return nil
	}
	logAll(slog.New(newJournalHandler(&rest, send, func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, nil) })))
	if len(taken) != 3 || strings.Count(rest.String(), "\n") != 1 || !strings.Contains(rest.String(), long) {
		t.Errorf("%q taken, and %.200q", taken, rest.String())
	}
}

// TestNoJournal: a program whose standard error is a file writes lines.
func TestNoJournal(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), asLogger+"=1", "JOURNAL_STREAM=1:1") // of the parent, not of this file
	out, err := cmd.CombinedOutput()
	if err != nil || bytes.Count(out, []byte("\n")) != 4 || !strings.Contains(string(out), "id=4cWq peer.name=mx peer.next-hop=mx.example.net peer.tls.version=13\n") {
		t.Errorf("%v: %.500s", err, out)
	}
}
