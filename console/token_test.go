package console

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/console/access"
)

// TestAuthorizationScheme: the name of the scheme is in any case (RFC 6750 section 2.1: one of HTTP), and no
// other scheme carries a token.
func TestAuthorizationScheme(t *testing.T) {
	c, _ := open(t, Config{})
	by := access.Actor{Name: "test", Via: access.ViaHost}
	if err := c.Access.AddUser(t.Context(), by, "alice", access.Viewer, ""); err != nil {
		t.Fatal(err)
	}
	token, err := c.Access.CreateToken(t.Context(), by, "t", "alice", access.Viewer, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for value, want := range map[string]int{
		"Bearer " + token: http.StatusOK, "bearer " + token: http.StatusOK, "BEARER  " + token: http.StatusOK,
		"Basic " + token: http.StatusUnauthorized, token: http.StatusUnauthorized, "Bearer": http.StatusUnauthorized, "Bearer ": http.StatusUnauthorized,
		"Bearer " + token + " x": http.StatusUnauthorized, "Bearerx " + token: http.StatusUnauthorized, "": http.StatusUnauthorized,
	} {
		r := httptest.NewRequest(http.MethodGet, "/api/v1/me", nil)
		r.Header.Set("Authorization", value)
		w := httptest.NewRecorder()
		c.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%q: %d, want %d", value, w.Code, want)
		}
	}
}
