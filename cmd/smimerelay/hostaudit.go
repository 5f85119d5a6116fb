package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/smimerelay/smimerelay/console/access"
	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/service"
)

// changing are the verbs that change something of a gateway, by the action under which they are in
// the audit log: the words of the API, where that does the same. All other verbs only read, or
// record what they do themselves. A test knows each verb.
var changing = map[string]string{
	"ca init": "authority.init", "ca renew": "authority.renew", "ca crl": "authority.crl",
	"cert import": "certificate.import", "cert export": "certificate.export", "cert remove": "certificate.remove",
	"cert allow": "certificate.allow", "cert block": "certificate.block", "cert clear": "certificate.clear",
	"cert pin": "certificate.pin", "cert unpin": "certificate.unpin",
	"cert issue": "certificate.issue", "cert revoke": "certificate.revoke",
	"enrol request": "enrolment.request", "enrol retry": "enrolment.retry", "enrol invite": "enrolment.invite", "enrol revoke": "enrolment.revoke",
	"queue retry": "queue.retry", "queue hold": "queue.hold", "queue remove": "queue.remove",
	"queue release": "queue.release", "queue return": "queue.return",
	"user add": "user.add", "user passwd": "user.password", "user remove": "user.remove",
	"store migrate": "store.migrate", "backup": "backup",
	"restore": "restore",
}

// runAudited runs a verb. One that changes something is in the audit log before it does; if it
// fails, a second entry says so.
func (a *app) runAudited(ctx *kong.Context) error {
	verb := strings.TrimPrefix(ctx.Selected().Path(), "smimerelay ")
	action := changing[verb]
	if action == "" {
		return ctx.Run()
	}
	place, ok := auditPlace(a, ctx)
	if !ok {
		return ctx.Run()
	}
	e := access.Entry{Actor: hostActor(), Action: action}
	e.Object, e.Reason, e.After = arguments(ctx)
	if verb == "restore" { // which may restore the audit log itself
		err := ctx.Run()
		if err != nil {
			e.Failed = err.Error()
		}
		return errors.Join(err, record(place, e))
	}
	if err := record(place, e); err != nil {
		return unusable(fmt.Errorf("nothing was changed, because the audit log cannot be written: %w; check [console] path and which user you are", err))
	}
	err := ctx.Run()
	if err == nil {
		return nil
	}
	e.Failed = err.Error()
	if recordErr := record(place, e); recordErr != nil {
		a.say("the audit log cannot be written: %v", recordErr)
	}
	return err
}

// record adds an entry to the audit log, whether or not a gateway runs.
func record(place access.Config, e access.Entry) error {
	s, err := access.Open(background(), place)
	if err != nil {
		return err
	}
	return errors.Join(s.Record(context.WithoutCancel(background()), e), s.Close())
}

// hostActor is the user at the command line.
func hostActor() access.Actor {
	host, err := os.Hostname()
	if err != nil {
		host = ""
	}
	return access.Actor{Name: whoami(), From: host, Via: access.ViaHost}
}

// auditPlace is where the audit log of the configuration is that the verb uses. One that uses none,
// but a store or a file by its name, changes nothing of a gateway; nor is there one where the
// folder of its log is missing.
func auditPlace(a *app, ctx *kong.Context) (access.Config, bool) {
	path := ""
	for _, f := range ctx.Flags() {
		value := f.Target
		switch f.Name {
		case "config":
			path = value.String()
		case "store", "file":
			if value.Kind() == reflect.String && value.String() != "" {
				return access.Config{}, false
			}
		case "list": // of restore
			if value.Kind() == reflect.Bool && value.Bool() {
				return access.Config{}, false
			}
		}
	}
	if path == "" {
		return access.Config{}, false
	}
	c, _ := config.Load(path)
	if c == nil || c.Store.URL == "" && c.Console.Path == "" {
		return access.Config{}, false // the verb says what is wrong
	}
	place, err := service.ConsolePlace(c, a.clock, slog.New(slog.DiscardHandler))
	if err != nil {
		return access.Config{}, false // as it does of the password of the database
	}
	if place.URL == "" {
		if _, err := os.Stat(filepath.Dir(place.Path)); errors.Is(err, fs.ErrNotExist) {
			return access.Config{}, false
		}
	}
	return place, true
}

// arguments are those of a verb: its objects, its reason, and its flags. None of them is a secret:
// passwords come from files and terminals, and addresses are shown without theirs.
func arguments(ctx *kong.Context) (object, reason string, flags map[string]any) {
	text := func(v reflect.Value) string {
		if v.Kind() != reflect.Slice {
			return config.Redact(fmt.Sprint(v.Interface()))
		}
		var all []string
		for i := range v.Len() {
			all = append(all, config.Redact(fmt.Sprint(v.Index(i).Interface())))
		}
		return strings.Join(all, " ")
	}
	var objects []string
	for _, p := range ctx.Selected().Positional {
		if t := text(p.Target); t != "" {
			objects = append(objects, t)
		}
	}
	for _, p := range ctx.Path {
		if p.Flag == nil || p.Flag.Name == "config" {
			continue
		}
		t := text(p.Flag.Target)
		if p.Flag.Name == "reason" || p.Flag.Name == "note" {
			reason = cmp.Or(reason, t)
			continue
		}
		if flags == nil {
			flags = map[string]any{}
		}
		flags[p.Flag.Name] = t
	}
	return strings.Join(objects, " "), reason, flags
}
