package smtpd

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/internal/testing/wiretest"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/answer"
	"github.com/smimerelay/smimerelay/smime/message"
)

// BenchmarkLMTP hands messages over one connection, as Postfix does, to a server that
// passes them on to nowhere. The client's side is a part of it.
func BenchmarkLMTP(b *testing.B) {
	for _, size := range []int{5_000, 75_000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			line := strings.Repeat("0123456789", 7) + "\r\n"
			content := "From: a@example.org\r\nSubject: x\r\n\r\n" + strings.Repeat(line, size/len(line)) + ".\r\n"
			s := NewServer(Config{Hostname: "gw.example.com", LMTP: true, Handler: &passer{}, Deliverer: &passer{}, Log: slog.New(slog.DiscardHandler)})
			c := wiretest.Dial(b, wiretest.Start(b, s))
			defer c.Close()
			r := bufio.NewReader(c)
			say := func(what string, replies int) {
				if _, err := c.Write([]byte(what)); err != nil {
					b.Fatal(err)
				}
				for replies > 0 {
					reply, err := r.ReadSlice('\n')
					if err != nil || reply[0] != '2' && reply[0] != '3' {
						b.Fatalf("%q, %v", reply, err)
					}
					if reply[3] == ' ' {
						replies--
					}
				}
			}
			say("LHLO client.example.org\r\n", 2)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				say("MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n", 3)
				say(content, 1)
			}
		})
	}
}

// passer passes everything, and keeps nothing.
type passer struct{ wiretest.Handler }

func (*passer) Process(ctx context.Context, env *relay.Envelope, m *message.Message, can relay.Capabilities) (*relay.Answer, error) {
	return answer.Of(ctx, wiretest.Pass(env, m), env, m, can, &wiretest.Handler{})
}

func (*passer) Deliver(_ context.Context, d relay.Delivery) ([]error, []bool) {
	return make([]error, len(d.Recipients)), nil
}
