package gateway

import (
	"regexp"
	"slices"
	"strings"

	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/message"
)

// Answer is an inbound message that names a message of the gateway as the one it answers,
// and has files with certificates. Nothing of it is authenticated.
type Answer struct {
	// Author is the one mailbox in From.
	Author address.Address
	// To are the Message-IDs.
	To []string
	// Files are what is attached, decoded.
	Files [][]byte
}

// The limits of what is taken of an answer.
const (
	maxAnswered   = 10       // Message-IDs
	maxAnswers    = 4        // files
	maxAnswerSize = 64 << 10 // octets of one
)

// certificateTypes and certificateNames are how files with certificates are known (RFC
// 5280 section 4.2.1.13, RFC 8551 section 3.2.1).
var (
	certificateTypes = []string{
		"application/pkix-cert", "application/x-x509-ca-cert", "application/x-x509-user-cert", "application/x-x509-email-cert",
		"application/x-pkcs7-certificates", "application/pem-certificate-chain", "application/x-pem-file",
	}
	certificateNames = []string{".cer", ".crt", ".der", ".pem", ".p7b", ".p7c"}
)

// answered passes on an inbound message that answers one of the gateway.
func (g *Gateway) answered(m *message.Message) {
	if g.Answered == nil {
		return
	}
	to := g.answers(m)
	from, err := m.Addresses("From")
	if len(to) == 0 || err != nil || len(from) != 1 || len(m.All("From")) != 1 {
		return
	}
	if files := certificateFiles(m); len(files) > 0 {
		g.Answered(Answer{Author: from[0], To: to, Files: files})
	}
}

// messageIDs finds those that the gateway makes: see dsn.Question.
var messageIDs = regexp.MustCompile(`<[A-Z2-7]{26}@[a-zA-Z0-9.-]+>`)

// answers returns the Message-IDs of the gateway that a message names as the ones that it
// answers (RFC 5322 section 3.6.4).
func (g *Gateway) answers(m *message.Message) []string {
	var ids []string
	for _, name := range []string{"In-Reply-To", "References"} {
		for _, value := range m.All(name) {
			for _, id := range messageIDs.FindAllString(value, -1) {
				if len(ids) < maxAnswered && strings.HasSuffix(id, "@"+g.Hostname+">") && !slices.Contains(ids, id) {
					ids = append(ids, id)
				}
			}
		}
	}
	return ids
}

// certificateFiles returns what is attached and may be a certificate.
func certificateFiles(m *message.Message) [][]byte {
	var files [][]byte
	m.Root().Walk(func(p *message.Part) bool {
		if len(files) < maxAnswers && isCertificateFile(p) && len(p.Content()) <= 2*maxAnswerSize {
			if content, err := p.Decode(); err == nil && len(content) <= maxAnswerSize {
				files = append(files, content)
			}
		}
		return len(files) < maxAnswers
	})
	return files
}

func isCertificateFile(p *message.Part) bool {
	if slices.Contains(certificateTypes, p.MediaType) {
		return true
	}
	name := strings.ToLower(fileName(p.Filename()))
	return slices.ContainsFunc(certificateNames, func(suffix string) bool { return strings.HasSuffix(name, suffix) })
}
