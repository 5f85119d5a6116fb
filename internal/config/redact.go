package config

import (
	"net/url"
	"reflect"
	"strings"
)

// hidden stands for what is not shown.
const hidden = "…"

// Secrets are the options that have a secret in the file itself: what Options hides of them.
func (c *Config) Secrets() []string {
	var keys []string
	for _, o := range c.Options() {
		if o.Line > 0 && o.redacted {
			keys = append(keys, o.Key)
		}
	}
	return keys
}

// shown is the value of an option for those who may see the configuration and no secrets.
// Passwords belong into files, and an option that names a file shows its name; but an
// address, an argument of a program or a field that clients must send can be a secret too.
func shown(f reflect.StructField, v reflect.Value) string {
	switch f.Tag.Get("shown") {
	case "program": // and no arguments
		if list, ok := v.Interface().([]string); ok && len(list) > 1 {
			return literal(reflect.ValueOf([]string{list[0], hidden}))
		}
	case "name": // of a field, and not what is in it
		if name, _, ok := strings.Cut(v.String(), ":"); ok {
			return literal(reflect.ValueOf(name + ": " + hidden))
		}
	}
	switch x := v.Interface().(type) {
	case string:
		return literal(reflect.ValueOf(Redact(x)))
	case []string:
		list := make([]string, len(x))
		for i := range x {
			list[i] = Redact(x[i])
		}
		return literal(reflect.ValueOf(list))
	}
	return literal(v)
}

// Redact hides the password and the parameters of an address. Other text is left as it is.
func Redact(text string) string {
	if token, query, ok := strings.Cut(text, "?"); ok && strings.HasPrefix(text, "pkcs11:") {
		return token + "?" + withoutValues(query)
	}
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		return text
	}
	rest, query, hasQuery := strings.Cut(rest, "?")
	host, path, hasPath := strings.Cut(rest, "/")
	if at := strings.LastIndexByte(host, '@'); at >= 0 {
		// A user alone can be a token, except that of a database.
		user, _, hasPassword := strings.Cut(host[:at], ":")
		switch database := strings.HasPrefix(scheme, "postgres"); {
		case hasPassword:
			user += ":" + hidden
		case !database:
			user = hidden
		}
		host = user + host[at:]
	}
	text = scheme + "://" + host
	if hasPath {
		text += "/" + path
	}
	if hasQuery {
		text += "?" + withoutValues(query)
	}
	return text
}

// plainParameters are those whose values are shown: of a database, and what is no secret by its
// nature.
var plainParameters = map[string]bool{
	"sslmode": true, "sslrootcert": true, "sslcert": true, "sslkey": true, "host": true, "port": true, "dbname": true, "user": true,
	"module-path": true, "module-name": true, "pin-source": true, "application_name": true, "connect_timeout": true, "target_session_attrs": true,
}

// withoutValues hides the values of parameters, unless they are known to be harmless or are a
// recipient's place.
func withoutValues(query string) string {
	var parts []string
	for part := range strings.SplitSeq(query, "&") {
		name, value, ok := strings.Cut(part, "=")
		if decoded, err := url.QueryUnescape(name); ok && !(err == nil && plainParameters[decoded]) && !isPlace(value) {
			part = name + "=" + hidden
		} else if !ok && len(query) == len(part) && !strings.ContainsAny(part, "{") {
			part = hidden
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, "&")
}

// isPlace reports whether a value is nothing but where a part of an address is put.
func isPlace(value string) bool {
	return value == "{addr}" || value == "{local}" || value == "{domain}" || value == "{local}@{domain}"
}
