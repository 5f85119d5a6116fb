package api

import (
	"context"
	"errors"
	"net"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/smimerelay/smimerelay/console/access"
)

// Prefix is the path of the API.
const Prefix = "/api/v1"

// Route is an operation with the role that it needs.
type Route struct {
	Method, Path string
	Role         access.Role
}

// register makes an operation of a function. Its path is below Prefix.
func register[In, Out any](r *router, role access.Role, method, path, id, summary string, f func(context.Context, *In) (*Out, error)) {
	op := huma.Operation{
		OperationID: id, Method: method, Path: Prefix + path, Summary: summary, Tags: []string{strings.Split(path, "/")[1]},
		Description:     "Needs the role " + string(role) + ".",
		Metadata:        map[string]any{"role": role},
		Security:        []map[string][]string{{"token": {}}},
		Errors:          refusals(method, path, hasBody[In]()),
		MaxBodyBytes:    maxBody,
		BodyReadTimeout: time.Minute,
	}
	if reflect.TypeFor[Out]() == reflect.TypeFor[Empty]() {
		op.DefaultStatus = http.StatusNoContent
	}
	r.routes = append(r.routes, Route{method, op.Path, role})
	huma.Register(r.api, op, f)
}

// hasBody reports whether the request of an operation has a body.
func hasBody[In any]() bool {
	_, ok := reflect.TypeFor[In]().FieldByName("Body")
	return ok
}

// conflicting are the last words of the paths of operations that the state of a thing can forbid.
var conflicting = []string{"retry", "hold", "release", "release-plain", "return", "pin", "unpin", "revoke"}

// refusals are the statuses of the errors that an operation can answer with.
func refusals(method, path string, body bool) []int {
	list := []int{
		http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusUnprocessableEntity,
		http.StatusInternalServerError, http.StatusServiceUnavailable,
	}
	if body {
		list = append(list, http.StatusRequestTimeout, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
	}
	ofHistory := strings.HasPrefix(path, "/messages") || path == "/totals" || path == "/policy/replay"
	if ofHistory || strings.Contains(path, "{") {
		list = append(list, http.StatusNotFound)
	}
	if last := path[strings.LastIndex(path, "/")+1:]; slices.Contains(conflicting, last) || method == http.MethodPost && path == "/identities" {
		list = append(list, http.StatusConflict)
	}
	slices.Sort(list)
	return list
}

// maxBody is the most octets of a request.
const maxBody = 8 << 20

// maxTime is how long an operation may take.
const maxTime = 60 * time.Second

type router struct {
	api    huma.API
	routes []Route
}

// Mount puts the operations below Prefix of mux, and the description of them at
// Prefix/openapi.json. It returns all routes.
func (o *Operations) Mount(mux *http.ServeMux) []Route {
	config := huma.DefaultConfig("smimerelay", o.Version)
	config.Info.Description = "What the command line does with a running gateway. Lists have a cursor; errors are those of RFC 9457."
	config.OpenAPIPath, config.DocsPath, config.SchemasPath = Prefix+"/openapi", "", ""
	config.CreateHooks = nil // they add a link to a schema to each answer
	config.RejectUnknownQueryParameters = true
	config.Components.Schemas = huma.NewMapRegistry("#/components/schemas/", schemaName)
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"token": {Type: "http", Scheme: "bearer", Description: "A token of smimerelay console token add."},
	}
	r := &router{api: humago.New(mux, config)}
	r.api.UseMiddleware(o.admit(r.api))
	o.register(r)
	return r.routes
}

func (o *Operations) register(r *router) {
	const viewer, operator, administrator = access.Viewer, access.Operator, access.Administrator
	register(r, viewer, "GET", "/me", "me", "Show who calls, and with which role", o.showMe)
	register(r, viewer, "GET", "/health", "health", "Show whether mail is accepted, and what waits", o.ShowHealth)

	register(r, viewer, "GET", "/directories", "list-directories", "List the directories that were asked, and how they answered", o.ListDirectories)

	register(r, viewer, "GET", "/revocation", "revocation", "Show what is known of revocation lists and OCSP, and until when it holds", o.ShowRevocation)
	register(r, viewer, "GET", "/expiries", "list-expiries", "Count the certificates of the store by the day on which they expire", o.ListExpiries)

	register(r, viewer, "GET", "/messages", "search-messages", "Find messages, newest first: an entry for each recipient", o.SearchMessages)
	register(r, viewer, "GET", "/messages/{id}", "show-message", "Show what became of a message", o.ShowMessage)
	register(r, viewer, "GET", "/totals", "totals", "Count messages by hour and outcome", o.ShowTotals)

	register(r, viewer, "GET", "/queue", "list-queue", "List deliveries in the queue, oldest first", o.ListQueue)
	register(r, viewer, "GET", "/queue/{id}", "show-delivery", "Show a delivery", o.ShowDelivery)
	register(r, operator, "POST", "/queue/{id}/retry", "retry-delivery", "Attempt a delivery again now", o.RetryDelivery)
	register(r, operator, "POST", "/queue/{id}/hold", "hold-delivery", "Put a delivery on hold", o.HoldDelivery)
	register(r, operator, "POST", "/queue/{id}/release", "release-delivery", "Release a delivery that is on hold", o.ReleaseDelivery)
	register(r, administrator, "DELETE", "/queue/{id}", "remove-delivery", "Delete a delivery without a delivery report", o.RemoveDelivery)

	register(r, viewer, "GET", "/held", "list-held", "List messages that are held or in quarantine, oldest first", o.ListHeld)
	register(r, viewer, "GET", "/held/{id}", "show-held", "Show a held message", o.ShowHeld)
	register(r, operator, "POST", "/held/{id}/release", "release-held", "Recheck a held message now, or deliver one in quarantine", o.ReleaseHeld)
	register(r, administrator, "POST", "/held/{id}/release-plain", "release-held-plain", "Release a held message in plaintext", o.ReleaseHeldPlain)
	register(r, operator, "POST", "/held/{id}/return", "return-held", "Return a held message to its sender", o.ReturnHeld)
	register(r, administrator, "DELETE", "/held/{id}", "remove-held", "Delete a held message without a delivery report", o.RemoveHeld)

	register(r, viewer, "GET", "/certificates", "list-certificates", "List certificates in the store", o.ListCertificates)
	register(r, operator, "POST", "/certificates", "import-certificates", "Import certificates of partners", o.ImportCertificates)
	register(r, viewer, "GET", "/certificates/{sha256}", "show-certificate", "Show a certificate, and what it can be used for", o.ShowCertificate)
	register(r, viewer, "GET", "/certificates/{sha256}/pem", "export-certificate", "Export a certificate with its chain", o.ExportCertificate)
	register(r, administrator, "POST", "/certificates/{sha256}/allow", "allow-certificate", "Trust a certificate regardless of its issuer", o.AllowCertificate)
	register(r, administrator, "POST", "/certificates/{sha256}/block", "block-certificate", "Block a certificate and all below it", o.BlockCertificate)
	register(r, administrator, "POST", "/certificates/{sha256}/clear", "clear-certificate", "Remove a trust override", o.ClearCertificate)
	register(r, administrator, "POST", "/certificates/{sha256}/pin", "pin-certificate", "Sign with this identity even if a newer one exists", o.PinCertificate)
	register(r, administrator, "POST", "/certificates/{sha256}/unpin", "unpin-certificate", "Undo that", o.UnpinCertificate)
	register(r, operator, "POST", "/lookup", "lookup", "Query the directories for the certificates of an address", o.LookupCertificates)
	register(r, administrator, "POST", "/certificates/{sha256}/revoke", "revoke-certificate", "Revoke a certificate that the built-in CA issued", o.RevokeCertificate)
	register(r, administrator, "POST", "/identities", "issue-identity", "Have the built-in CA issue for an address", o.IssueIdentity)
	register(r, viewer, "GET", "/identities", "list-identities", "List the identities in the store", o.listIdentities)
	register(r, viewer, "GET", "/expiring", "list-expiring", "List identities that expire soon", o.ListExpiring)
	register(r, viewer, "GET", "/authorities", "list-authorities", "List the built-in CAs with their CRLs", o.ListAuthorities)

	register(r, viewer, "GET", "/partners", "list-partners", "List the addresses of partners, and what their certificates serve for", o.ListPartners)
	register(r, viewer, "GET", "/agreements", "list-agreements", "List what the configuration says about partners", o.ListAgreements)

	register(r, operator, "POST", "/explain", "explain", "Show what the rules do with a plain message, and why", o.Explain)
	register(r, administrator, "POST", "/explain/message", "explain-message", "Show what the rules do with the message that is sent, and why", o.ExplainMessage)
	register(r, viewer, "POST", "/policy/test", "test-policy", "Run test cases against the rules", o.testPolicy)
	register(r, administrator, "POST", "/policy/replay", "replay-policy", "Try other rules on the messages of the history", o.ReplayPolicy)

	register(r, viewer, "GET", "/configuration", "show-configuration", "Show the configuration in use", o.ShowConfiguration)
	register(r, administrator, "POST", "/configuration/check", "check-configuration", "Check a configuration file", o.CheckConfiguration)
	register(r, administrator, "POST", "/configuration/reload", "reload-configuration", "Apply the configuration file of the gateway", o.ReloadConfiguration)

	register(r, administrator, "GET", "/accounts", "list-accounts", "List the accounts of the console", o.listAccounts)
	register(r, administrator, "GET", "/tokens", "list-tokens", "List the tokens of the API", o.listTokens)
	register(r, administrator, "GET", "/audit", "list-audit", "List what was changed, latest first", o.ListAudit)
}

// admit lets those through who show a token with the role of the operation. Cookies of the
// console count for nothing here: no page of another site can have a browser call the API.
func (o *Operations) admit(api huma.API) func(huma.Context, func(huma.Context)) {
	refuse := func(ctx huma.Context, code int, text string) {
		if err := huma.WriteErr(api, ctx, code, text); err != nil {
			o.Log.Debug("console: client is gone", "error", err)
		}
	}
	return func(hc huma.Context, next func(huma.Context)) {
		ctx, cancel := context.WithTimeout(hc.Context(), maxTime)
		defer cancel()
		needed, _ := hc.Operation().Metadata["role"].(access.Role)
		scheme, secret, ok := strings.Cut(hc.Header("Authorization"), " ")
		if !ok || !strings.EqualFold(scheme, "Bearer") { // RFC 6750 section 2.1; a scheme of HTTP is in any case
			hc.SetHeader("WWW-Authenticate", "Bearer")
			refuse(hc, http.StatusUnauthorized, "send a token: Authorization: Bearer TOKEN")
			return
		}
		token, err := o.Access.Token(ctx, strings.TrimSpace(secret))
		switch {
		case err != nil && !errors.Is(err, access.ErrNoSession):
			o.Log.Error("console: tokens cannot be read", "error", err)
			refuse(hc, http.StatusServiceUnavailable, "tokens cannot be read; try again")
			return
		case err != nil:
			hc.SetHeader("WWW-Authenticate", `Bearer error="invalid_token"`)
			refuse(hc, http.StatusUnauthorized, "the token is not known, or has expired")
			return
		case !token.Role.Includes(needed):
			refuse(hc, http.StatusForbidden, "this needs the role "+string(needed)+"; the token has "+string(token.Role))
			return
		}
		by := access.Actor{Name: token.Owner + "/" + token.Label, Role: token.Role, From: host(hc.RemoteAddr()), Via: "api"}
		next(huma.WithContext(hc, WithActor(ctx, by)))
	}
}

// host is the address of a client without its port.
func host(remote string) string {
	if h, _, err := net.SplitHostPort(remote); err == nil {
		return h
	}
	return "unix socket"
}

// schemaName names a type in the description: with its package, for two have an Entry.
func schemaName(t reflect.Type, hint string) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	name := t.Name()
	if name == "" {
		name = hint
	} else {
		name = t.PkgPath() + "." + name
	}
	var b strings.Builder
	// A generic type has those that it is made of in brackets, each with its whole path.
	for _, part := range strings.FieldsFunc(name, func(r rune) bool { return strings.ContainsRune("[]*,", r) }) {
		for word := range strings.SplitSeq(part[strings.LastIndexByte(part, '/')+1:], ".") {
			if word != "" && word != "api" {
				b.WriteString(strings.ToUpper(word[:1]) + word[1:])
			}
		}
	}
	return b.String()
}
