package demo

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"

	"github.com/emersion/go-smtp"
)

// sink is the mail server behind the gateway: it keeps what it is given.
type sink struct {
	server   *smtp.Server
	listener net.Listener
	dir      string
	done     chan struct{}

	mu      sync.Mutex
	scene   string // what arrives now belongs to this scene
	arrived []delivery
	changed chan struct{}
}

// delivery is a message that arrived, for one recipient.
type delivery struct {
	scene, sender, recipient string
	raw                      []byte
	file                     string
}

func startSink(port int, dir string) (*sink, error) {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return nil, err
	}
	s := &sink{listener: l, dir: dir, done: make(chan struct{}), changed: make(chan struct{}, 1)}
	s.server = smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) {
		return &sinkSession{sink: s}, nil
	}))
	s.server.Domain = "inner.example.org"
	go func() {
		defer close(s.done)
		_ = s.server.Serve(l) // it ends when close closes the listener
	}()
	return s, nil
}

func (s *sink) close() {
	s.server.Close()
	s.listener.Close() // the server may not have come to serve yet
	<-s.done
}

// begin says which scene the next messages belong to.
func (s *sink) begin(scene string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scene = scene
}

// wait waits until n messages of the scene arrived, or ctx ends, and returns
// those that did.
func (s *sink) wait(ctx context.Context, scene string, n int) []delivery {
	for {
		got := s.of(scene)
		if len(got) >= n {
			return got
		}
		select {
		case <-ctx.Done():
			return got
		case <-s.changed:
		}
	}
}

func (s *sink) of(scene string) []delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	var got []delivery
	for _, d := range s.arrived {
		if d.scene == scene {
			got = append(got, d)
		}
	}
	return got
}

// keep stores a message once for each recipient, under a name that tells.
func (s *sink) keep(sender string, recipients []string, raw []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, to := range recipients {
		d := delivery{scene: s.scene, sender: sender, recipient: to, raw: raw}
		d.file = filepath.Join(s.dir, fileName(s.scene, to, sender == ""))
		if err := os.WriteFile(d.file, raw, 0o644); err != nil {
			return err
		}
		s.arrived = append(s.arrived, d)
	}
	select {
	case s.changed <- struct{}{}:
	default:
	}
	return nil
}

// fileName is the name of a delivered message in the outbox.
func fileName(scene, recipient string, notice bool) string {
	if notice {
		return scene + "-notice-to-" + recipient + ".eml"
	}
	return scene + "-to-" + recipient + ".eml"
}

// sinkSession is one SMTP session.
type sinkSession struct {
	sink   *sink
	sender string
	to     []string
}

func (s *sinkSession) Mail(from string, _ *smtp.MailOptions) error {
	s.Reset()
	s.sender = from
	return nil
}

func (s *sinkSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to = append(s.to, to)
	return nil
}

func (s *sinkSession) Data(r io.Reader) error {
	var b bytes.Buffer
	if _, err := b.ReadFrom(r); err != nil {
		return err
	}
	return s.sink.keep(s.sender, s.to, b.Bytes())
}

func (s *sinkSession) Reset()        { s.sender, s.to = "", nil }
func (s *sinkSession) Logout() error { return nil }
