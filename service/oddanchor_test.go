package service

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/testing/configtest"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

// A trust anchor that cannot be read is logged, counted and a warning; the gateway
// starts with the others.
func TestOddAnchorDoesNotKeepFromStarting(t *testing.T) {
	dir := t.TempDir()
	good := testpki.Must(testpki.NewCA(testpki.Options{}))
	odd := *good.Certificate
	odd.Raw = bytes.Replace(odd.Raw, []byte{0x17, 0x0d}, []byte{0x17, 0x0d ^ 0x01}, 1) // a date
	text := strings.NewReplacer("%DIR%", dir, "%HOP%", "127.0.0.1:1").Replace(configtest.Elsewhere(inbound, dir))
	for name, data := range map[string][]byte{"ca.pem": testpki.EncodeCertificates(&odd, good.Certificate), "config.toml": []byte(text)} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var log bytes.Buffer
	parts, problems := Load(filepath.Join(dir, "config.toml"), time.Now, slog.New(slog.NewTextHandler(&log, nil)))
	if parts == nil {
		t.Fatalf("it does not start: %v", problems)
	}
	defer parts.Close()
	if parts.Anchors != 1 || len(parts.skipped) != 1 {
		t.Errorf("%d anchors, skipped %v", parts.Anchors, parts.skipped)
	}
	for what, said := range map[string]string{"the log": log.String(), "check": parts.Warnings(Holdings{}, time.Now()).Error()} {
		if !strings.Contains(said, "ca.pem") || !strings.Contains(said, "trust.anchors[0]") || !strings.Contains(said, "skipped") {
			t.Errorf("%s does not say which: %s", what, said)
		}
	}
}
