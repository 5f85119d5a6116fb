package milter

import (
	"fmt"
	"testing"
)

func TestMailParams(t *testing.T) {
	for in, want := range map[string]string{
		"<a@b>\x00SIZE=1\x00RET=hdrs\x00ENVID=a+2Bb+20c\x00": "{a+b c HDRS false}",
		"<a@b>\x00ret=FULL\x00smtputf8\x00BODY=8BITMIME\x00": "{ FULL true}",
		"<a@b>\x00RET=SOME\x00ENVID=a+0Ab\x00":               "{  false}",
		"<a@b>\x00ENVID=a+\x00":                              "{  false}",
		"<a@b>\x00":                                          "{  false}",
		"":                                                   "{  false}",
	} {
		if got := fmt.Sprint(mailParams(arguments([]byte(in)))); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
}

func TestRcptParams(t *testing.T) {
	for in, want := range map[string]string{
		"NOTIFY=failure,DELAY\x00ORCPT=rfc822;a+2Bb@c": "[FAILURE DELAY] rfc822 a+b@c",
		"ORCPT=UTF-8;\\x{FC}\\x{5C}x@c":                "[] utf-8 ü\\x@c",
		"ORCPT=utf-8;ü@c":                              "[] utf-8 ü@c",
		"NOTIFY=SOMETIMES\x00ORCPT=rfc822;a+0D+0Ab":    "[]  ",
		"ORCPT=utf-8;\\x{D}x":                          "[]  ",
		"ORCPT=utf-8;\\x{FFFFFFFFF}":                   "[]  ",
		"ORCPT=utf-8;\\x{41":                           "[]  ",
	} {
		r := rcptParams(arguments([]byte("<a@b>\x00" + in + "\x00")))
		if got := fmt.Sprintf("%v %s %s", r.Notify, r.OriginalType, r.Original); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
