package console

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// counted counts what is read of a body.
type counted struct {
	io.Reader
	n int
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += n
	return n, err
}

// TestStrangersFillNoMemory: of what a client without a session sends, no more is read than a form to
// sign in can have.
func TestStrangersFillNoMemory(t *testing.T) {
	c, _ := open(t, Config{})
	for _, p := range pages {
		if p.method != http.MethodPost {
			continue
		}
		want := http.StatusUnauthorized
		if p.role == "" {
			want = http.StatusRequestEntityTooLarge
		}
		for kind, begin := range map[string]string{
			"application/x-www-form-urlencoded": "csrf=x&name=", "multipart/form-data; boundary=B": "--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"x\"\r\n\r\n",
		} {
			body := &counted{Reader: strings.NewReader(begin + strings.Repeat("x", maxBody/2))}
			r := httptest.NewRequest(http.MethodPost, strings.ReplaceAll(p.path, "{sha256}", "00"), body)
			r.Header.Set("Content-Type", kind)
			w := httptest.NewRecorder()
			c.ServeHTTP(w, r)
			if w.Code != want || body.n > 2*maxOpenBody {
				t.Errorf("%s, %s: %d after %d octets", p.path, kind, w.Code, body.n)
			}
		}
	}
}
