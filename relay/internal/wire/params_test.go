package wire

import (
	"fmt"
	"strings"
	"testing"
)

// What is not understood is named, and nothing of it is kept; an MTA in front of
// a milter has accepted it.
func TestMailParams(t *testing.T) {
	for in, want := range map[string]string{
		"SIZE=1 RET=hdrs ENVID=a+2Bb+20c": "{a+b c HDRS false false} 1 ",
		"ret=FULL smtputf8 BODY=8BITMIME": "{ FULL true false} 0 ",
		"RET=SOME ENVID=a+0Ab SMTPUTF8":   `{  true false} 0 parameter "RET=SOME": not understood`,
		"ENVID=a+":                        `{  false false} 0 parameter "ENVID=a+": not understood`,
		"ENVID=":                          `{  false false} 0 parameter "ENVID=": not understood`,
		"SIZE=5000000000 AUTH=<>":         "{  false false} 5000000000 ",
		"SIZE=x":                          `{  false false} 0 parameter "SIZE=x": not understood`,
		"BODY=BINARYMIME":                 `{  false false} 0 parameter "BODY=BINARYMIME": not understood`,
		"FOO=bar":                         `{  false false} 0 MAIL: unknown parameter "FOO"`,
		"requiretls":                      "{  false true} 0 ",
		"REQUIRETLS=":                     "{  false true} 0 ",
		"REQUIRETLS=1":                    `{  false true} 0 parameter "REQUIRETLS=1": not understood`,
		"":                                "{  false false} 0 ",
	} {
		p, size, err := MailParams(strings.Fields(in))
		if got := strings.TrimSuffix(fmt.Sprint(p, size, err), "<nil>"); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
}

// ORCPT is handed on whatever its type, and what Postfix writes for an address
// beyond ASCII too.
func TestRcptParams(t *testing.T) {
	for in, want := range map[string]string{
		"NOTIFY=failure,DELAY ORCPT=rfc822;a+2Bb@c": "[FAILURE DELAY] rfc822 a+b@c",
		"ORCPT=rfc822;j+C3+B6rg@c":                  "[] rfc822 jörg@c",
		"ORCPT=unknown;eve":                         "[] unknown eve",
		"ORCPT=x400;/c+3Dde/s+3Deve":                "[] x400 /c=de/s=eve",
		"ORCPT=UTF-8;\\x{FC}\\x{5C}x@c":             "[] utf-8 ü\\x@c",
		"ORCPT=utf-8;ü@c":                           "[] utf-8 ü@c",
		"NOTIFY=SOMETIMES ORCPT=rfc822;a+0D+0Ab":    "[]   bad",
		"NOTIFY=NEVER,DELAY":                        "[]   bad",
		"NOTIFY=DELAY,DELAY":                        "[]   bad",
		"ORCPT=utf-8;\\x{D}x":                       "[]   bad",
		"ORCPT=utf-8;\\x{FFFFFFFFF}":                "[]   bad",
		"ORCPT=utf-8;\\x{41":                        "[]   bad",
		"ORCPT=rfc822;a+2":                          "[]   bad",
		"ORCPT=rfc822":                              "[]   bad",
		"RRVS=x":                                    "[]   bad",
	} {
		r, err := RcptParams(strings.Fields(in))
		got := fmt.Sprintf("%v %s %s", r.Notify, r.OriginalType, r.Original)
		if err != nil {
			got += " bad"
		}
		if got != want {
			t.Errorf("%q: %q (%v), want %q", in, got, err, want)
		}
	}
}
