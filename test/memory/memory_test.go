package memory

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"sync"
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
		for _, way := range ways {
			t.Run(work.name+" by "+way.name, func(t *testing.T) {
				g := w.start(t, `message_size = "120MB"
message_memory = "480MB"`)
				before := g.peak(t)
				if code, err := way.send(way.addr(g), work.from, work.to, work.text); code != 250 {
					t.Fatalf("answer %d (%v)", code, err)
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

// TestManyLargeMessages: twelve messages of 45 MB at once, with the limits as they are
// without a configuration, stay within limits.message_memory and 100 MB. Those for
// which there is no memory are deferred, and small mail passes all the time.
func TestManyLargeMessages(t *testing.T) {
	w := newWorld(t)
	const many, size = 12, 45 * megabyte
	for _, work := range []struct {
		name, from, to string
		text           []byte
	}{
		{"sign and encrypt", alice, "reader@both.example", text(alice, "reader@both.example", size)},
		{"decrypt and verify", bob, alice, w.sealed(alice, size)},
	} {
		for _, way := range ways {
			t.Run(work.name+" by "+way.name, func(t *testing.T) {
				g := w.start(t, "")
				var large sync.WaitGroup
				var mu sync.Mutex
				answers := map[int]int{}
				for range many {
					large.Go(func() {
						code, err := way.send(way.addr(g), work.from, work.to, work.text)
						mu.Lock()
						defer mu.Unlock()
						if answers[code]++; err != nil {
							t.Error(err)
						}
					})
				}
				done := make(chan struct{})
				go func() {
					defer close(done)
					large.Wait()
				}()
				small := 0
				for passing := true; passing; small++ {
					select {
					case <-done:
						passing = false
					default:
					}
					if code, err := way.send(way.addr(g), alice, "reader@sign.example", text(alice, "reader@sign.example", 5000)); code != 250 {
						t.Fatalf("a small message is answered %d (%v)", code, err)
					}
				}
				if answers[250] == 0 || answers[250]+answers[452] != many {
					t.Errorf("answers %v", answers)
				}
				if way.name == "smtp" {
					g.WaitLog(t, "msg=attempt", small+answers[250])
				}
				const limit = 400<<20 + 100*megabyte
				t.Logf("%d MB, answers %v, %d small messages", g.peak(t)/megabyte, answers, small)
				if g.peak(t) > limit {
					t.Errorf("%d MB", g.peak(t)/megabyte)
				}
			})
		}
	}
}

// TestManySessions: fifty sessions that send usual mail, one message after the other.
func TestManySessions(t *testing.T) {
	w := newWorld(t)
	const sessions, each = 50, 40
	for _, load := range []struct{ size, most int }{{5000, 80 * megabyte}, {75_000, 100 * megabyte}} {
		for _, to := range []string{"reader@pass.example", "reader@both.example"} {
			for _, way := range ways {
				t.Run(fmt.Sprintf("%d octets to %s by %s", load.size, to, way.name), func(t *testing.T) {
					g := w.start(t, "")
					mail := text(alice, to, load.size)
					var all sync.WaitGroup
					for range sessions {
						all.Go(func() {
							for range each {
								if code, err := way.send(way.addr(g), alice, to, mail); code != 250 {
									t.Errorf("answer %d (%v)", code, err)
									return
								}
							}
						})
					}
					all.Wait()
					t.Logf("%d MB", g.peak(t)/megabyte)
					if g.peak(t) > load.most {
						t.Errorf("%d MB", g.peak(t)/megabyte)
					}
				})
			}
		}
	}
}
