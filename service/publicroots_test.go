package service

import (
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/file"
	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/internal/testing/configtest"
	"github.com/smimerelay/smimerelay/internal/testing/corpora"
)

// TestPublicRoots: none without being asked for, the built-in list by its name, and a
// warning when it is old.
func TestPublicRoots(t *testing.T) {
	with := func(public string, at time.Time) *Parts {
		t.Helper()
		text := configtest.Elsewhere("[trust]\npublic = \""+public+"\"\n", t.TempDir())
		c, problems := config.Parse(filepath.Join(t.TempDir(), "gw.toml"), []byte(text))
		parts, problems := build(c, problems, setting{clock: func() time.Time { return at }, log: slog.New(slog.DiscardHandler)})
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		t.Cleanup(func() { _ = parts.Close() })
		return parts
	}
	now := time.Date(2025, 6, 1, 0, 0, 0, 0, time.UTC)
	if p := with("", now); p.Anchors != 0 {
		t.Errorf("%d anchors without being asked for", p.Anchors)
	}
	p := with("mozilla", now)
	if p.Anchors < 50 || strings.Contains(p.Warnings(Holdings{}, now).Error(), "public authorities") {
		t.Errorf("%d anchors, %v", p.Anchors, p.Warnings(Holdings{}, now))
	}
	if old := with("mozilla", now.AddDate(2, 0, 0)); !strings.Contains(old.Warnings(Holdings{}, now).Error(), "older than a year") {
		t.Errorf("%v", old.Warnings(Holdings{}, now))
	}
}

// TestPublicChains: a chain of a public authority that others made leads to the list,
// and signs no mail, for it is a web server's; those of others lead nowhere.
func TestPublicChains(t *testing.T) {
	folder := corpora.Dir(t)
	check := func(public, name string) certs.Verdict {
		t.Helper()
		text := configtest.Elsewhere("[trust]\npublic = \""+public+"\"\nrevocation = \"off\"\n", t.TempDir())
		c, problems := config.Parse(filepath.Join(t.TempDir(), "gw.toml"), []byte(text))
		parts, problems := build(c, problems, setting{clock: time.Now, log: slog.New(slog.DiscardHandler)})
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		defer parts.Close()
		list, err := file.ReadCertificates(filepath.Join(folder, name))
		if err != nil || len(list) == 0 {
			t.Fatal(err)
		}
		return parts.Validator.Check(t.Context(), list[0], certs.Request{
			Purpose: certs.ForSigning, Intermediates: list[1:], At: list[0].NotBefore.Add(time.Hour),
		})
	}
	const public = "tika-pkcs7/testPKCS7_certs_only_def.p7c"
	if v := check(config.PublicRoots, public); len(v.Chain) != 3 || v.Reason != certs.WrongPurpose {
		t.Errorf("a public chain: %+v", v)
	}
	if v := check("", public); v.Reason != certs.Untrusted {
		t.Errorf("a public chain without the list: %+v", v)
	}
	if v := check(config.PublicRoots, "keys/tb-Alice.pem"); v.Reason != certs.Untrusted {
		t.Errorf("a private chain: %+v", v)
	}
}
