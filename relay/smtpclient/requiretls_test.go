package smtpclient

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/smimerelay/smimerelay/internal/testing/wiretest"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/smtpd"
)

// What must leave under REQUIRETLS only (RFC 8689) is refused where the hop is not
// verified, or does not promise the same; a report is not.
func TestRequireTLS(t *testing.T) {
	tls, _, ca := wiretest.Certificate(t)
	good := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(good, ca, 0o600); err != nil {
		t.Fatal(err)
	}
	sink := &wiretest.Sink{}
	addr := wiretest.Start(t, smtpd.NewServer(smtpd.Config{
		Hostname: "gw.example.com", Handler: &wiretest.Handler{}, Queue: sink, TLS: tls, Log: slog.New(slog.DiscardHandler),
	}))
	for _, tc := range []struct {
		name, mode, sender string
		secret             *relay.Secret
		want               string
	}{
		{"verified", "require", "a@example.org", nil, "ok"},
		{"not verified", "opportunistic", "a@example.org", nil, "550 5.7.30"},
		{"in the clear", "off", "a@example.org", nil, "550 5.7.30"},
		{"not offered", "", "a@example.org", nil, "550 5.7.30"},
		{"a report, not offered", "", "", nil, "ok"},
		{"silent, not offered", "", "", &relay.Secret{Silent: true}, "550 5.7.30"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cl := (&server{t: t, offers: "DSN"}).start(setup{})
			if tc.mode != "" {
				cl = connect(t, setup{Address: addr, Hostname: "client.example.com", TLS: tc.mode, CA: good})
				defer cl.Close()
			}
			d := delivery(t, text, tc.sender, "b@example.net")
			d.Params.RequireTLS, d.Secret = true, tc.secret
			before := len(sink.All())
			if got := codes(cl.Deliver(t.Context(), d)); got != tc.want {
				t.Fatalf("results %s, want %s", got, tc.want)
			}
			if all := sink.All()[before:]; len(all) > 0 && !all[0].Params.RequireTLS {
				t.Error("not passed on")
			}
		})
	}
}
