package service

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/internal/testing/configtest"
)

func TestHMACKey(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", 2)
	for name, tt := range map[string]struct {
		key   string
		mode  os.FileMode
		want  string // of the problem
		taken string
	}{
		"good":             {long + "\n", 0o600, "", long},
		"too short":        {long[1:] + "\n", 0o600, "has 31 characters; write at least 32", ""},
		"empty":            {"", 0o600, "has 0 characters", ""},
		"others may read":  {long, 0o644, "chmod 0600", ""},
		"there is no file": {"", 0, "no such file", ""},
	} {
		key := filepath.Join(t.TempDir(), "filter.key")
		if tt.mode != 0 {
			if err := os.WriteFile(key, []byte(tt.key), tt.mode); err != nil {
				t.Fatal(err)
			}
		}
		text := configtest.Elsewhere("[inbound]\nhmac_key_file = \""+key+"\"\n", t.TempDir())
		c, problems := config.Parse(filepath.Join(t.TempDir(), "gw.toml"), []byte(text))
		parts, problems := build(c, problems, setting{clock: time.Now, log: slog.New(slog.DiscardHandler)})
		if parts != nil {
			t.Cleanup(func() { _ = parts.Close() })
		}
		if got := problems.Error(); len(problems) > 0 != (tt.want != "") || !strings.Contains(got, tt.want) || tt.want != "" && !strings.Contains(got, "inbound.hmac_key_file") {
			t.Errorf("%s: %v", name, got)
		}
		if tt.taken != "" && (parts == nil || string(parts.Gateway.Inbound.HMACKey) != tt.taken) {
			t.Errorf("%s: another key", name)
		}
	}
}
