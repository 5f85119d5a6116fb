package service

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/certs/describe"
	"github.com/smimerelay/smimerelay/console/access"
	"github.com/smimerelay/smimerelay/console/api"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

// description is what a client reads of the OpenAPI document.
type description struct {
	Paths      map[string]map[string]operation `json:"paths"`
	Components struct {
		Schemas map[string]*schema `json:"schemas"`
	} `json:"components"`
}

type operation struct {
	OperationID string `json:"operationId"`
	Parameters  []struct {
		Name, In string
		Required bool
		Schema   *schema
	} `json:"parameters"`
	RequestBody *struct {
		Content map[string]struct{ Schema *schema }
	} `json:"requestBody"`
	Responses map[string]struct {
		Content map[string]struct{ Schema *schema }
	} `json:"responses"`
}

// schema is the part of JSON Schema that the document uses.
type schema struct {
	Ref                  string             `json:"$ref"`
	Type                 any                `json:"type"` // a word, or several
	Properties           map[string]*schema `json:"properties"`
	Required             []string           `json:"required"`
	AdditionalProperties any                `json:"additionalProperties"`
	Items                *schema            `json:"items"`
	Enum                 []any              `json:"enum"`
	Pattern              string             `json:"pattern"`
}

func (d *description) resolve(s *schema) *schema {
	if name, ok := strings.CutPrefix(s.Ref, "#/components/schemas/"); ok {
		return d.Components.Schemas[name]
	}
	return s
}

// wrong says in what a value is not as the schema says; nil is in nothing.
func (d *description) wrong(at string, s *schema, v any) (all []string) {
	if s = d.resolve(s); s == nil {
		return []string{at + ": no schema"}
	}
	kinds := fmt.Sprint(s.Type)
	kind, ok := "", false
	switch x := v.(type) {
	case nil:
		kind, ok = "null", strings.Contains(kinds, "null") || s.Type == nil
	case bool:
		kind, ok = "boolean", strings.Contains(kinds, "boolean")
	case float64:
		kind, ok = "number", strings.Contains(kinds, "number") || strings.Contains(kinds, "integer") && x == float64(int64(x))
	case string:
		kind, ok = "string", strings.Contains(kinds, "string")
		if s.Pattern != "" && !regexp.MustCompile(s.Pattern).MatchString(x) {
			all = append(all, fmt.Sprintf("%s: %q does not match %s", at, x, s.Pattern))
		}
	case []any:
		kind, ok = "array", strings.Contains(kinds, "array")
		for i, item := range x {
			if s.Items != nil {
				all = append(all, d.wrong(fmt.Sprintf("%s[%d]", at, i), s.Items, item)...)
			}
		}
	case map[string]any:
		kind, ok = "object", strings.Contains(kinds, "object")
		for _, name := range s.Required {
			if _, has := x[name]; !has {
				all = append(all, at+"."+name+" is missing")
			}
		}
		for name, value := range x {
			if p := s.Properties[name]; p != nil {
				all = append(all, d.wrong(at+"."+name, p, value)...)
			} else if s.AdditionalProperties == false {
				all = append(all, at+"."+name+" is not described")
			}
		}
	}
	if s.Type != nil && !ok {
		all = append(all, fmt.Sprintf("%s is of type %s, and should be %s", at, kind, kinds))
	}
	if len(s.Enum) > 0 && !slices.Contains(s.Enum, v) {
		all = append(all, fmt.Sprintf("%s: %v is none of %v", at, v, s.Enum))
	}
	return all
}

// sample is a value by a schema: of words the first, and of others what samples has by name.
func (d *description) sample(name string, s *schema, samples map[string]any) any {
	if v, ok := samples[name]; ok {
		return v
	}
	s = d.resolve(s)
	switch kinds := fmt.Sprint(s.Type); {
	case len(s.Enum) > 0:
		return s.Enum[0]
	case strings.Contains(kinds, "object"):
		o := map[string]any{}
		for _, p := range s.Required {
			o[p] = d.sample(p, s.Properties[p], samples)
		}
		return o
	case strings.Contains(kinds, "array"):
		return []any{}
	case strings.Contains(kinds, "integer"), strings.Contains(kinds, "number"):
		return 1
	case strings.Contains(kinds, "boolean"):
		return false
	}
	return "x"
}

// TestEachOperationAsDescribed: a client that knows the API from its description alone calls each
// operation, and gets one of the answers that are described, in the form that is.
func TestEachOperationAsDescribed(t *testing.T) {
	v := startConsole(t)
	token := v.token(access.Administrator)
	for i := range 3 {
		if err := v.sendHeld("a@example.org", fmt.Sprintf("b%d@example.net", i)); err != nil {
			t.Fatal(err)
		}
	}
	v.again()
	_, text := v.call("GET", api.Prefix+"/openapi.json", "", nil)
	var d description
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		t.Fatal(err)
	}
	person := testpki.Must(v.ca.Issue(testpki.Leaf{Addresses: []string{"b0@example.net"}}))
	pem := string(testpki.EncodeCertificates(person.Certificate))
	samples := map[string]any{
		"pem": pem, "from": "a@example.org", "to": []string{"b0@example.net"}, "address": "b0@example.net", "reason": "superseded",
		"message": "From: a@example.org\r\n\r\nHello.\r\n", "text": "[[rule]]\nname = \"default\"\nsign = \"never\"\nencrypt = \"never\"\n",
		"cases": "[[case]]\nname = \"x\"\nfrom = \"a@example.org\"\nto = [\"b0@example.net\"]\nexpect = { \"b0@example.net\" = \"held\" }\n",
	}
	// A certificate, so that there is one, and then all others. What deletes comes last.
	if code, text := v.call("POST", api.Prefix+"/certificates", token, map[string]string{"pem": pem}); code != http.StatusOK {
		t.Fatal(code, text)
	}
	var messages struct{ Items []struct{ ID string } }
	_, text = v.call("GET", api.Prefix+"/messages", token, nil)
	if err := json.Unmarshal([]byte(text), &messages); err != nil || len(messages.Items) != 3 {
		t.Fatal(text, err)
	}
	done := map[int]int{}
	for _, method := range []string{"get", "post", "delete"} {
		for _, path := range slices.Sorted(maps.Keys(d.Paths)) {
			op, ok := d.Paths[path][method]
			if !ok {
				continue
			}
			id := "1"
			switch {
			case strings.Contains(path, "/held/"):
				id = "h1"
			case strings.Contains(path, "/messages/"):
				id = messages.Items[0].ID
			}
			place := strings.NewReplacer("{id}", id, "{sha256}", describe.Fingerprint(person.Certificate)).Replace(path)
			var body any
			if op.RequestBody != nil {
				body = d.sample("", op.RequestBody.Content["application/json"].Schema, samples)
			}
			code, text := v.call(strings.ToUpper(method), place, token, body)
			done[code]++
			answer, described := op.Responses[fmt.Sprint(code)]
			if !described || code >= http.StatusInternalServerError {
				t.Errorf("%s: %d %s", op.OperationID, code, text)
				continue
			}
			for kind, content := range answer.Content {
				var value any
				if err := json.Unmarshal([]byte(text), &value); err != nil {
					t.Errorf("%s: %s: %v", op.OperationID, kind, err)
				} else if all := d.wrong(op.OperationID, content.Schema, value); len(all) > 0 {
					t.Errorf("%d %s", code, strings.Join(all, "\n\t"))
				}
			}
		}
	}
	t.Logf("answers by status: %v", done)
	if done[http.StatusOK]+done[http.StatusNoContent] < 30 {
		t.Errorf("only a few operations did something: %v", done)
	}
}

// TestErrorsAsDescribed: each operation refuses what no operation takes with a status that it
// describes, and describes none that it never answers with.
func TestErrorsAsDescribed(t *testing.T) {
	v := startConsole(t)
	token := v.token(access.Administrator)
	_, text := v.call("GET", api.Prefix+"/openapi.json", "", nil)
	var d description
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		t.Fatal(err)
	}
	send := func(method, path, kind, body string) int {
		r, err := http.NewRequestWithContext(t.Context(), strings.ToUpper(method), v.url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		if kind != "" {
			r.Header.Set("Content-Type", kind)
		}
		answer, _ := v.ask(r)
		return answer.StatusCode
	}
	for path, methods := range d.Paths {
		place := strings.NewReplacer("{id}", "999", "{sha256}", strings.Repeat("0", 64)).Replace(path)
		if strings.Contains(path, "/held/") {
			place = strings.Replace(place, "999", "h999", 1)
		}
		for method, op := range methods {
			want := func(code, got int) {
				t.Helper()
				if _, described := op.Responses[fmt.Sprint(code)]; got != code || !described {
					t.Errorf("%s: %d, want %d, of %v", op.OperationID, got, code, slices.Sorted(maps.Keys(op.Responses)))
				}
			}
			want(http.StatusBadRequest, send(method, place+"?x=%00", "", ""))
			want(http.StatusUnprocessableEntity, send(method, place+"?nonsense=1", "application/json", "{}"))
			has := op.RequestBody != nil
			if has {
				want(http.StatusRequestEntityTooLarge, send(method, place, "application/json", strings.Repeat(" ", 9<<20)))
				want(http.StatusUnsupportedMediaType, send(method, place, "text/plain", "{}"))
			} else if method != "get" && strings.Contains(path, "{") {
				want(http.StatusNotFound, send(method, place, "", ""))
			}
			if _, described := op.Responses["415"]; described != has {
				t.Errorf("%s: 415 is described: %t", op.OperationID, described)
			}
			_, missing := op.Responses["404"]
			if found := strings.Contains(path, "{"); found && !missing || path == api.Prefix+"/me" && missing {
				t.Errorf("%s: 404 is described: %t", op.OperationID, missing)
			}
		}
	}
}
