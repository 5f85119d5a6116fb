package token

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/cms"
)

// Programs that are no helpers, and a helper that is none, are a token that does not
// answer: nothing is refused for good, and nothing hangs.
func TestNoHelper(t *testing.T) {
	for _, program := range []string{"/bin/true", "/bin/false", "/bin/cat", "/usr/bin/yes"} {
		w := newWorld(t, "good")
		c := w.config()
		c.Helper = program
		if err := w.open(t, c).Err(); !errors.Is(err, cms.ErrDevice) {
			t.Errorf("%s: %v", program, err)
		}
	}
	for _, how := range []string{"ends", "garbage"} {
		w := newWorld(t, how)
		if err := w.open(t, w.config()).Err(); !errors.Is(err, cms.ErrDevice) {
			t.Errorf("%s: %v", how, err)
		}
	}
}

// object is a frame with an object.
func object(text string) string {
	return string(binary.BigEndian.AppendUint32(nil, uint32(len(text)))) + text
}

// Whatever a helper on a socket sends, the gateway has an error that is temporary.
func TestHostileHelper(t *testing.T) {
	opened := object(`{"id":1}`)
	for name, answer := range map[string]string{
		"nothing":          "",
		"text":             "HTTP/1.1 400 Bad Request\r\n\r\n",
		"4 GiB":            "\xff\xff\xff\xff" + strings.Repeat("x", 1<<20),
		"cut off":          opened[:7],
		"no object":        object(`"x"`),
		"unknown field":    object(`{"id":1,"pin":"1"}`),
		"never asked":      object(`{"id":7}`),
		"answered twice":   opened + opened,
		"before the list":  opened + object(`{"id":2,"data":"!"}`),
		"keys of no kind":  opened + object(`{"id":2,"keys":[{"name":1}]}`),
		"too many keys":    opened + object(`{"id":2,"keys":[`+strings.Repeat(`{"name":""},`, 1000)+`{"name":""}]}`),
		"unknown kind":     object(`{"id":1,"error":{"kind":"x","text":"y"}}`),
		"an empty error":   opened + object(`{"id":2,"error":{"kind":""}}`),
		"ids that are not": object(`{"id":-1}`),
	} {
		l := listen(t, func(conn net.Conn) {
			go io.Copy(io.Discard, conn)
			_, _ = io.WriteString(conn, answer)
		})
		w := newWorld(t, "good")
		c := w.config()
		c.Token = "unix:" + l
		if err := w.open(t, c).Err(); !errors.Is(err, cms.ErrDevice) || isRefusal(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A socket that is not there, or behind which no one answers, is a token that is away.
func TestSocketWithoutHelper(t *testing.T) {
	w := newWorld(t, "good")
	c := w.config()
	c.Token, c.Timeout = "unix:"+filepath.Join(t.TempDir(), "s"), 200*time.Millisecond
	if err := w.open(t, c).Err(); !errors.Is(err, cms.ErrDevice) {
		t.Errorf("no socket: %v", err)
	}
	release := make(chan struct{})
	c.Token = "unix:" + listen(t, func(net.Conn) { <-release })
	if err := w.open(t, c).Err(); !errors.Is(err, cms.ErrDevice) {
		t.Errorf("no answer: %v", err)
	}
	close(release)
}

// listen serves each connection to a socket with f and closes it.
func listen(t *testing.T, f func(net.Conn)) string {
	t.Helper()
	l := testpki.Must(net.Listen("unix", filepath.Join(t.TempDir(), "s")))
	var group sync.WaitGroup
	group.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			group.Go(func() {
				f(conn)
				conn.Close()
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		group.Wait()
	})
	return l.Addr().String()
}
