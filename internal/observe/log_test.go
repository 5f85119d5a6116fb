package observe

import (
	"bytes"
	"strings"
	"testing"
)

// TestLogLinesHoldNoControls logs what a stranger could have named a certificate.
func TestLogLinesHoldNoControls(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		var b bytes.Buffer
		log, _, err := NewLogger(&b, "info", format)
		if err != nil {
			t.Fatal(err)
		}
		log.Info("decision", "subject", "Eve\nlevel=INFO\x1b[2K\u009b2K\u202eecila\u2028")
		line := strings.TrimSuffix(b.String(), "\n")
		if strings.ContainsAny(line, "\n\x1b\u009b\u202e\u2028") || !strings.Contains(line, "Eve") {
			t.Errorf("%s: %q", format, b.String())
		}
	}
}
