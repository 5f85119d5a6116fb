package setup

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/postfix"
)

// settings are those of a Postfix with these files.
func settings(t *testing.T, dir string) *postfix.Settings {
	t.Helper()
	for _, name := range []string{"main.cf", "master.cf"} { // postconf waits until a file is not new
		if err := os.Chtimes(filepath.Join(dir, name), time.Time{}, time.Now().Add(-time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	s, err := postfix.Read(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestAccepted: the size of clients is what their ports and sendmail(1) take, and a second init
// finds the same as the first.
func TestAccepted(t *testing.T) {
	const pickup, led = "pickup unix n - n 60 1 pickup", "pickup unix n - n 60 1 pickup -o content_filter=lmtp:[127.0.0.1]:10025"
	for _, tc := range []struct {
		name               string
		main               int64
		smtp, submission   string
		sendmail           string
		accepted, returned int64
	}{
		{"one limit", 1_000_000, "", "", pickup, 1_000_000, 2_131_072},
		{"ports with limits, and sendmail has that of main.cf", 5_000_000, "-o message_size_limit=400000", "-o message_size_limit=1000000", pickup, 5_000_000, 10_131_072},
		{"ports with limits, and sendmail leads to the gateway", 5_000_000, "-o message_size_limit=400000", "-o message_size_limit=1000000", led, 2_434_464, 5_000_000},
		{"ports with limits, and no room for what comes back", 1_500_000, "-o message_size_limit=400000", "-o message_size_limit=1000000", led, 1_000_000, 2_131_072},
		{"ports with limits, and sendmail leads to another filter", 5_000_000, "-o message_size_limit=400000", "", pickup + " -o content_filter=smtp:[127.0.0.1]:10099", 5_000_000, 10_131_072},
		{"ports with limits and no sendmail", 5_000_000, "-o message_size_limit=400000", "-o message_size_limit=1000000", "", 1_000_000, 5_000_000},
		{"one port without a limit", 5_000_000, "-o message_size_limit=400000", "", "", 5_000_000, 10_131_072},
		{"a port that has no bound but that of main.cf", 5_000_000, "-o message_size_limit=0", "-o message_size_limit=400000", "", 5_000_000, 10_131_072},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range map[string]string{
				"main.cf":   fmt.Sprintf("compatibility_level = 3.6\nmessage_size_limit = %d\n", tc.main),
				"master.cf": fmt.Sprintf("smtp inet n - n - - smtpd %s\nsubmission inet n - n - - smtpd %s\n127.0.0.1:10099 inet n - n - - smtpd\n%s\n", tc.smtp, tc.submission, tc.sendmail),
			} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			a := Answers{Way: "filter"}
			for again := range 2 {
				mta := settings(t, dir)
				if got := a.accepted(mta); got != tc.accepted {
					t.Fatalf("clients send %d, not %d", got, tc.accepted)
				}
				if got := mta.Main("message_size_limit"); again > 0 && got != fmt.Sprint(tc.returned) {
					t.Errorf("main.cf has %s, not %d", got, tc.returned)
				}
				if err := postfix.Apply(context.Background(), dir, mta.Plan(a.Postfix(mta))); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}
