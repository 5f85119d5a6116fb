package config

import (
	"path/filepath"
	"reflect"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/smimerelay/smimerelay/smime/address"
)

// InboundRule is one [[inbound_rule]]. Its conditions must all hold, and none of their
// "except" twins. Conditions on the message are about the message as it came.
type InboundRule struct {
	Name            string   `toml:"name" doc:"name in logs, replies and explanations" required:"yes"`
	Sender          []string `toml:"sender" doc:"condition: address, domain, .subdomains or glob of the envelope sender, or file:PATH; anyone can write any envelope sender, so a rule that protects an author uses from"`
	ExceptSender    []string `toml:"except_sender" doc:"condition: not from these envelope senders"`
	From            []string `toml:"from" doc:"condition: address, domain, .subdomains or glob of an author in the From header field, or file:PATH"`
	ExceptFrom      []string `toml:"except_from" doc:"condition: not from these authors"`
	Recipient       []string `toml:"recipient" doc:"condition: address, domain, .subdomains or glob of the recipient, or file:PATH"`
	ExceptRecipient []string `toml:"except_recipient" doc:"condition: not to these recipients"`

	RecipientGroup       []string `toml:"recipient_group" doc:"condition: directory group that the recipient is a member of, or that is the recipient, given by its mail address or (with a \"=\") its DN, or file:PATH. While the directory is unavailable, the strictest rule that may match decides, and a rejection is temporary"`
	ExceptRecipientGroup []string `toml:"except_recipient_group" doc:"condition: recipient not in these groups"`

	Network          []string `toml:"network" doc:"condition: network (CIDR) of the client"`
	ExceptNetwork    []string `toml:"except_network" doc:"condition: not from these networks"`
	Listener         []string `toml:"listener" doc:"condition: glob of the listener name"`
	ExceptListener   []string `toml:"except_listener" doc:"condition: not through these listeners"`
	Header           []string `toml:"header" doc:"condition: header field that exists (\"Name\"), has a value (\"Name: value\"), or matches a regular expression (\"Name ~ RE2\")"`
	ExceptHeader     []string `toml:"except_header" doc:"condition: no such header field"`
	Subject          []string `toml:"subject" doc:"condition: text anywhere in the subject, ignoring case"`
	ExceptSubject    []string `toml:"except_subject" doc:"condition: no such text in the subject"`
	Attachment       []string `toml:"attachment" doc:"condition: glob of the file name of an attachment, or of its media type if the glob contains a slash"`
	ExceptAttachment []string `toml:"except_attachment" doc:"condition: no such attachment"`
	LargerThan       Size     `toml:"larger_than" doc:"condition: the message is larger; 0 is no condition" min:"0"`
	SmallerThan      Size     `toml:"smaller_than" doc:"condition: the message is smaller; 0 is no condition" min:"0"`

	Result          []string `toml:"result" doc:"condition: result of verification (RFC 8601): none, pass, fail, policy, neutral, temperror, permerror"`
	ExceptResult    []string `toml:"except_result" doc:"condition: not with these results"`
	Reason          []string `toml:"reason" doc:"condition: glob of the reason, a word of docs/reasons.md or docs/message-reasons.md such as below-minimum"`
	ExceptReason    []string `toml:"except_reason" doc:"condition: not for these reasons"`
	Chain           []string `toml:"chain" doc:"condition: certificate chain of the signer: trusted, untrusted, unchecked"`
	ExceptChain     []string `toml:"except_chain" doc:"condition: not with these chains, or without a signer"`
	Signer          []string `toml:"signer" doc:"condition: a signature passed whose certificate has one of these addresses, domains, .subdomains or globs, or this fingerprint: sha256:HEX"`
	ExceptSigner    []string `toml:"except_signer" doc:"condition: no such signature passed"`
	Algorithm       []string `toml:"algorithm" doc:"condition: glob of the name of a digest, signature or cipher in the message, such as sha-1, rsa-pkcs1 or *-cbc"`
	ExceptAlgorithm []string `toml:"except_algorithm" doc:"condition: no such algorithm"`
	Signed          string   `toml:"signed" doc:"condition: the message has an S/MIME signature, valid or not; empty is either" enum:",yes,no"`
	Encrypted       string   `toml:"encrypted" doc:"condition: the message was received S/MIME encrypted; empty is either" enum:",yes,no"`

	OnResult       string `toml:"on_result" doc:"what is done with the message: deliver, tag it (deliver it with inbound.tag_signed or the like before the subject; what is neither signed nor encrypted gets tag_unverified), keep it in quarantine until an administrator releases it, or reject it. A received encrypted message is never rejected for what decryption found, which the sender could learn from it: it is quarantined instead. Where a rule that quarantines or rejects may match such a message only after decryption, it is delivered through the queue with the null sender, and the postmaster gets the delivery report if it fails" enum:"deliver,tag,quarantine,reject"`
	Deliver        string `toml:"deliver" doc:"form of what is delivered: decrypted removes encryption for which there is an identity; readable also turns opaque signed and compressed mail into ordinary MIME, for readers without S/MIME, and a file that was signed as a whole message (contract.pdf.p7m) into the file; as-is changes nothing" enum:"decrypted,readable,as-is"`
	StripSignature string `toml:"strip_signature" doc:"with deliver = \"readable\": which clear signatures are removed; one that covers what SMTP cannot carry is always removed" enum:"never,valid,always"`
	Original       string `toml:"original" doc:"what becomes of the message as received if it is delivered in another form: attach attaches it, archive stores it in inbound.archive" enum:"none,attach,archive"`

	Notify []string `toml:"notify" doc:"who is notified that a message is in quarantine: recipient, or addresses in local domains; an empty list notifies no one"`
	Mode   string   `toml:"mode" doc:"enforce applies the rule; report decides and logs, but delivers; empty is enforce" enum:",enforce,report"`
	// Line is where the rule stands in the file; 0 is built in.
	Line int `toml:"-"`
}

// newInboundRule is what an element of the array starts from.
func newInboundRule() InboundRule {
	everybody, none := []string{Everybody}, []string{}
	return InboundRule{
		Sender: everybody, From: everybody, Recipient: everybody, RecipientGroup: everybody, Network: everybody, Listener: everybody,
		Header: everybody, Subject: everybody, Attachment: everybody,
		Result: everybody, Reason: everybody, Chain: everybody, Signer: everybody, Algorithm: everybody,
		ExceptSender: none, ExceptFrom: none, ExceptRecipient: none, ExceptRecipientGroup: none, ExceptNetwork: none, ExceptListener: none,
		ExceptHeader: none, ExceptSubject: none, ExceptAttachment: none,
		ExceptResult: none, ExceptReason: none, ExceptChain: none, ExceptSigner: none, ExceptAlgorithm: none,
		OnResult: "deliver", Deliver: "decrypted", StripSignature: "never", Original: "none", Notify: []string{"recipient"},
	}
}

// archive checks where originals are stored.
func (d *decoder) archive(c *Config) {
	place := c.Inbound.Archive
	if strings.Contains(place, "@") {
		if _, err := address.Parse(place); err != nil {
			d.complain("inbound.archive", "write a folder, or an address in a local domain", "%v", err)
		}
	} else if place != "" && !filepath.IsAbs(place) {
		d.complain("inbound.archive", "write its whole path", "%q is neither an address nor an absolute path", place)
	}
	for i, r := range c.InboundRules {
		if r.Original == "archive" && place == "" {
			d.complain(join(index("inbound_rule", i), "original"), "set inbound.archive", "there is no archive")
		}
	}
}

// maxTag keeps a subject with its tags readable.
const maxTag = 60

// tag checks a text that is put before subjects.
func (d *decoder) tag(key, text string) {
	bad := strings.ContainsFunc(text, unicode.IsControl) || !utf8.ValidString(text) || len(text) > maxTag
	if bad || text != "" && strings.TrimSpace(text) == "" {
		d.complain(key, `write a short text such as "[signed]"`, "must be one line of at most %d octets", maxTag)
	}
}

// inboundRules checks what only the rest of the file can tell.
func (d *decoder) inboundRules(c *Config) {
	d.archive(c)
	d.tag("inbound.tag_signed", c.Inbound.TagSigned)
	d.tag("inbound.tag_encrypted", c.Inbound.TagEncrypted)
	d.tag("inbound.tag_unverified", c.Inbound.TagUnverified)
	for i, r := range c.InboundRules {
		key := index("inbound_rule", i)
		d.conditions(key, reflect.ValueOf(r))
		d.groupLists(c, key, []groupList{{"recipient_group", r.RecipientGroup}, {"except_recipient_group", r.ExceptRecipientGroup}})
		if !c.Inbound.Verify && r.asksResult() {
			d.complain(key, "set inbound.verify = true, or remove these conditions", "has conditions on the result of verification, and nothing is verified")
		}
	}
}

// asksResult reports whether a rule has conditions that need verification.
func (r *InboundRule) asksResult() bool {
	for _, list := range [][]string{r.Result, r.Reason, r.Chain, r.Signer} {
		if len(list) != 1 || list[0] != Everybody {
			return true
		}
	}
	return r.Signed != "" || len(r.ExceptResult)+len(r.ExceptReason)+len(r.ExceptChain)+len(r.ExceptSigner) > 0
}
