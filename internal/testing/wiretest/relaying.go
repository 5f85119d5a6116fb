package wiretest

import "strings"

// Relayed returns recipients, as they stand behind RCPT TO, that are not in the local domain
// example.org, or by whose address a server behind the
// gateway would find one that is not.
func Relayed() (list []string) {
	for _, victim := range []string{"victim@example.net", "victim@example.net.", "VICTIM@EXAMPLE.NET", "victim@sub.example.org", "victim@example.org.example.net",
		"victim@[192.0.2.9]", "victim@[IPv6:2001:db8::9]", "victim@[example.org]", "victim@[127.0.0.1]", "victim@localhost", "victim@example", "victim@xn--exmple-cua.net",
		"victim@ex\u00e4mple.net", "victim@example\u3002net", "victim@example\uff0enet", "victim@\uff45xample.net", "victim@notexample.org", "victim@example.org-", "postmaster@example.net", "abuse@example.net"} {
		list = append(list, "<"+victim+">", victim)
	}
	for _, local := range []string{
		"victim%example.net", "victim%example.net%example.org", "example.net!victim", "example.org!example.net!victim", "victim@example.net", "victim@example.net@example.org",
		"@example.net:victim", "@example.org:victim@example.net", "victim/example.net", "+victim@example.net", "victim\\@example.net", "victim%[192.0.2.9]", "!victim", "%victim",
	} {
		list = append(list, "<"+local+"@example.org>", `<"`+strings.ReplaceAll(local, `\`, `\\`)+`"@example.org>`, local+"@example.org", `"`+strings.ReplaceAll(local, `\`, `\\`)+`"@EXAMPLE.ORG`)
	}
	for _, route := range []string{"@example.org", "@example.org,@example.net", "@gw.example.org", "@[127.0.0.1]", "@localhost", "@EXAMPLE.ORG", "@example.org,@example.org"} {
		list = append(list, "<"+route+":victim@example.net>", "<"+route+`:"victim"@example.net>`, "<"+route+":victim@example.org>", route+":victim@example.net")
	}
	return append(list,
		"<victim>", "<victim%example.net>", "<example.net!victim>", `<"victim@example.net">`, "<victim@>", "<@example.net>", "<>", "<@>", "< victim@example.net >",
		"<victim@example.net> <a@example.org>", "<a@example.org,victim@example.net>", "<a@example.org>,<victim@example.net>", "<a@example.org> victim@example.net",
		`<"a@example.org> <victim"@example.net>`, `<"a@example.org\" "@example.net>`, "<victim(comment)@example.net>", "<victim@example.net(comment)>", "<victim@(x)example.net>",
		"Victim <victim@example.net>", "<<victim@example.net>>", "<victim@example.net", "victim@example.net>", "<victim@example.net\x00@example.org>", "<victim@example.org\x00.example.net>",
		"<victim@example.net\t@example.org>", "<victim@example.org @example.net>", "<victim@example.net;a@example.org>", "<a@example.org:victim@example.net>", "<smtp:victim@example.net>", "<mailto:victim@example.net>",
		"<victim=40example.net@example.org@example.net>", "<victim@example.net?a@example.org>", "<victim@example.org/example.net>", "<victim@example.org%example.net>",
		"<postmaster@example.net>", "<postmaster%example.net@example.org>", "<postmaster@example.org@example.net>", `<"postmaster@example.net"@gw.example.org>`,
		"<victim@example.net> ORCPT=rfc822;a@example.org", "<victim@example.net> NOTIFY=NEVER", "<victim@example.net> RELAY=yes", "<victim@xn--example-.net>", "<victim@exa_mple.net>", "<victim@.example.net>", "<victim@example..net>")
}

// Entitled are ways to seem to be allowed to send, as they stand behind MAIL FROM.
var Entitled = []string{
	"<a@example.net>", "<>", "<alice@example.org>", "<victim@example.net>", "<postmaster@gw.example.org>", "<@example.org:a@example.net>", "<alice@example.org> AUTH=alice@example.org",
	"<alice@example.org> AUTH=<>", "postmaster", "<alice@localhost>", "<alice@[127.0.0.1]>",
}
