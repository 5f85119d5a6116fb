package acme

import "strings"

// passes reports whether a value of Authentication-Results (RFC 8601 section 2.2) is of one
// of the servers, and says that a DKIM signature of a domain is good. What cannot be read for
// sure counts as nothing: parts of it are written by strangers.
func passes(value string, servers []string, domain string) bool {
	parts, ok := split(value)
	if !ok || len(parts) < 2 || len(parts[0]) == 0 || !named(parts[0][0], servers) {
		return false
	}
	if len(parts[0]) > 2 || len(parts[0]) == 2 && parts[0][1] != "1" {
		return false // a version that is not known
	}
	for _, part := range parts[1:] {
		if signedBy(part, domain) {
			return true
		}
	}
	return false
}

func named(server string, servers []string) bool {
	for _, s := range servers {
		if strings.EqualFold(strings.TrimRight(s, "."), strings.TrimRight(server, ".")) {
			return true
		}
	}
	return false
}

// signedBy reads one result.
func signedBy(words []string, domain string) bool {
	if len(words) == 0 || !strings.EqualFold(words[0], "dkim=pass") && !strings.EqualFold(words[0], "dkim/1=pass") {
		return false
	}
	found := 0
	for _, w := range words[1:] {
		if name, value, _ := strings.Cut(w, "="); strings.EqualFold(name, "header.d") {
			if !strings.EqualFold(strings.TrimRight(value, "."), domain) {
				return false
			}
			found++
		}
	}
	return found == 1
}

// split returns the words of the parts between semicolons, without comments and quotation
// marks; white space around "=" and within comments goes.
func split(s string) (parts [][]string, ok bool) {
	var words []string
	var word strings.Builder
	inWord, depth := false, 0
	end := func() {
		if inWord {
			words = append(words, word.String())
		}
		word.Reset()
		inWord = false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '\\':
			if depth == 0 {
				return nil, false
			}
			i++
		case c == '(':
			depth++
			if depth == 1 {
				end()
			}
		case depth > 0:
			if c == ')' {
				depth--
			}
		case c == ')':
			return nil, false
		case c == '"':
			text, n, closed := quoted(s[i+1:])
			if !closed {
				return nil, false
			}
			word.WriteString(text)
			inWord, i = true, i+n
		case c == ';':
			end()
			parts, words = append(parts, words), nil
		case c == ' ' || c == '\t':
			end()
		default:
			word.WriteByte(c)
			inWord = true
		}
	}
	end()
	return join(append(parts, words)), depth == 0
}

// quoted reads a quoted string behind its first mark; n is how far it goes.
func quoted(s string) (text string, n int, closed bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), i + 1, true
		case '\\':
			if i++; i == len(s) {
				return "", 0, false
			}
		}
		b.WriteByte(s[i])
	}
	return "", 0, false
}

// join puts words together that white space or a comment parts at "=".
func join(parts [][]string) [][]string {
	for n, words := range parts {
		var joined []string
		for _, w := range words {
			last := len(joined) - 1
			if last >= 0 && (strings.HasPrefix(w, "=") || strings.HasSuffix(joined[last], "=")) {
				joined[last] += w
				continue
			}
			joined = append(joined, w)
		}
		parts[n] = joined
	}
	return parts
}
