package memory

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"testing"
)

const megabyte = 1_000_000

var peakLine = regexp.MustCompile(`(?m)^VmHWM:\s+(\d+) kB$`)

// peak returns the most memory that the gateway was resident with so far, in octets.
func (g *gateway) peak(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", g.PID()))
	if err != nil {
		t.Fatal(err)
	}
	found := peakLine.FindSubmatch(status)
	if found == nil {
		t.Fatalf("no VmHWM in\n%s", status)
	}
	n, err := strconv.Atoi(string(found[1]))
	if err != nil {
		t.Fatal(err)
	}
	return n << 10
}

// TestOneLargeMessage: whatever is done to a message of 100 MB, and by whichever
// protocol it comes, the process takes no more than three times its size.
func TestOneLargeMessage(t *testing.T) {
	w := newWorld(t)
	const size = 100 * megabyte
	for _, work := range []struct {
		name, from, to, outcome string
		text                    []byte
	}{
		{"pass", alice, "reader@pass.example", "outcome=passed", text(alice, "reader@pass.example", size)},
		{"sign", alice, "reader@sign.example", "outcome=signed", text(alice, "reader@sign.example", size)},
		{"encrypt", alice, "reader@encrypt.example", "outcome=encrypted", text(alice, "reader@encrypt.example", size)},
		{"sign and encrypt", alice, "reader@both.example", `outcome="signed, encrypted"`, text(alice, "reader@both.example", size)},
		{"verify", bob, alice, "outcome=pass", w.signed(alice, size)},
		{"decrypt", bob, alice, "outcome=none", w.encrypted(alice, size)},
		{"decrypt and verify", bob, alice, "outcome=pass", w.sealed(alice, size)},
	} {
		for _, way := range []struct {
			name string
			send send
			addr func(*gateway) string
		}{
			{"milter", byMilter, func(g *gateway) string { return g.milter }},
			{"lmtp", bySMTP("LHLO"), func(g *gateway) string { return g.lmtp }},
			{"smtp", bySMTP("EHLO"), func(g *gateway) string { return g.smtp }},
		} {
			t.Run(work.name+" by "+way.name, func(t *testing.T) {
				g := w.start(t, `message_size = "120MB"
message_memory = "480MB"`)
				before := g.peak(t)
				if code := way.send(t, way.addr(g), work.from, work.to, work.text); code != 250 {
					t.Fatalf("answer %d", code)
				}
				g.WaitLog(t, work.outcome, 1)
				if way.name == "smtp" {
					g.WaitLog(t, "attempt", 1)
				}
				factor := float64(g.peak(t)) / float64(len(work.text))
				t.Logf("%.2f times the message, %d MB before", factor, before/megabyte)
				if factor > 3 {
					t.Errorf("%.2f times the size of the message", factor)
				}
			})
		}
	}
}
