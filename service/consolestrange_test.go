package service

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/console/access"
	"github.com/smimerelay/smimerelay/console/api"
)

// TestConsoleStrangeValues: a cursor, a number or a text that no page has made is refused, or finds
// nothing. It is no error of the gateway.
func TestConsoleStrangeValues(t *testing.T) {
	v := startConsole(t)
	if err := v.sendHeld("a@example.org", "b@example.net"); err != nil {
		t.Fatal(err)
	}
	token := v.token(access.Administrator)
	secret, _ := v.session(access.Administrator)
	values := []string{
		"x", "-1", "0", "1.5", "1e9", "9223372036854775807", "9223372036854775808", "99999999999999999999999", "h0", "h-1", "h1", "h999999999999999999", "h9223372036854775807",
		"1.2", "-1.-2", "9223372036854775807.9223372036854775807", ".", "..", "a@b", "ff", strings.Repeat("f", 64), strings.Repeat("0", 65), strings.Repeat("x", 400),
		"' OR '1'='1", "%", "_", "\x00", "a\x00b", "\xff\xfe", "\u202e", "٣", "\r\nX: y",
	}
	failed := func(where string, code int, text string) {
		if code >= http.StatusInternalServerError || code == http.StatusUnauthorized {
			t.Errorf("%.100s: %d %.60q", where, code, text)
		}
	}
	for _, value := range values {
		q := url.QueryEscape(value)
		for _, list := range []string{
			"/messages?cursor=", "/messages?q=", "/messages?address=", "/messages?since=", "/messages?limit=", "/messages?listener=", "/messages?rule=", "/queue?cursor=", "/queue?sender=", "/queue?recipient=",
			"/queue?status=", "/queue?route=", "/held?cursor=", "/certificates?cursor=", "/certificates?address=", "/certificates?sha256=", "/certificates?expiring=", "/identities?cursor=",
			"/partners?cursor=", "/partners?domain=", "/partners?address=", "/audit?cursor=", "/audit?limit=", "/audit?who=", "/audit?what=", "/audit?since=", "/totals?hours=", "/expiries?days=", "/expiring?days=",
		} {
			code, text := v.call("GET", api.Prefix+list+q, token, nil)
			failed(list+q, code, text)
			if strings.Contains(list, "cursor=") && len(value) > 320 && code != http.StatusUnprocessableEntity {
				t.Errorf("%s of %d octets: %d", list, len(value), code)
			}
		}
		for _, list := range []string{
			"/messages?cursor=", "/messages?q=", "/messages?since=", "/messages?until=", "/messages?outcome=", "/messages?direction=", "/messages?rule=", "/queue?cursor=", "/queue?sender=", "/queue?recipient=", "/queue?status=",
			"/held?cursor=", "/certificates?cursor=", "/certificates?q=", "/certificates?origin=", "/certificates?mark=", "/certificates?has_key=", "/partners?cursor=", "/partners?q=", "/audit?cursor=", "/audit?who=", "/audit?what=", "/audit?since=",
		} {
			answer, text := v.ask(v.request(list+q, secret, nil))
			failed("page "+list+q, answer.StatusCode, text)
		}
		for _, path := range []string{"/messages/", "/certificates/", api.Prefix + "/messages/", api.Prefix + "/queue/", api.Prefix + "/held/", api.Prefix + "/certificates/"} {
			code, text := v.call("GET", path+url.PathEscape(value), token, nil)
			if strings.HasPrefix(path, api.Prefix) {
				failed(path+url.PathEscape(value), code, text)
				continue
			}
			answer, text := v.ask(v.request(path+url.PathEscape(value), secret, nil))
			failed(path+url.PathEscape(value), answer.StatusCode, text)
		}
	}
	if n := v.log.count("request failed") + v.log.count("page failed"); n != 0 {
		t.Errorf("%d errors are in the log", n)
	}
}
