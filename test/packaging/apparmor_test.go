package packaging

import (
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/test/rig"
)

// TestAppArmor: the profile is for the unit alone, and allows each program that the unit starts
// under it. One that was attached to a path would also be that of an administrator's init,
// doctor and backup, which read and write what the gateway may not.
func TestAppArmor(t *testing.T) {
	profile := read(t, filepath.Join(rig.Root(t), "systemd/apparmor.d/smimerelay"))
	if !regexp.MustCompile(`(?m)^profile smimerelay \{$`).Match(profile) {
		t.Error("the profile is attached to a path, or has another name than that in the unit")
	}
	// An exclusive lock of the folder (flock) is one for which AppArmor wants w and k.
	if !regexp.MustCompile(`(?m)^  owner /var/lib/smimerelay/ rwk,$`).Match(profile) {
		t.Error("the gateway cannot lock the folder of its store: it does not start")
	}
	unit := read(t, filepath.Join(rig.Root(t), "systemd/smimerelay.service"))
	if !regexp.MustCompile(`(?m)^AppArmorProfile=-smimerelay$`).Match(unit) {
		t.Error("the unit does not name the profile")
	}
	commands := regexp.MustCompile(`(?m)^Exec\w+=([-@:]*)(\+?)(/\S+)`).FindAllSubmatch(unit, -1)
	if len(commands) < 4 {
		t.Fatalf("%d commands", len(commands))
	}
	for _, c := range commands {
		allowed := regexp.MustCompile(`(?m)^  ` + regexp.QuoteMeta(string(c[3])) + ` mr`)
		if len(c[2]) == 0 && !allowed.Match(profile) {
			t.Errorf("the unit runs %s under the profile, which does not allow it", c[3])
		}
	}
}

// TestAppArmorSockets: the profile allows each socket that the manual names, of the gateway and of
// services beside it.
func TestAppArmorSockets(t *testing.T) {
	profile := string(read(t, filepath.Join(rig.Root(t), "systemd/apparmor.d/smimerelay")))
	var allowed []string
	for _, rule := range regexp.MustCompile(`(?m)^  (?:owner )?(/\S+) rwk?,$`).FindAllStringSubmatch(profile, -1) {
		path := strings.ReplaceAll(regexp.QuoteMeta(rule[1]), `\*\*`, `.+`)
		allowed = append(allowed, strings.ReplaceAll(path, `\*`, `[^/]*`))
	}
	all := regexp.MustCompile(`^(` + strings.Join(allowed, "|") + `)$`)
	pages, err := filepath.Glob(filepath.Join(rig.Root(t), "docs/*.md"))
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile(`(unix:|ldapi://|[?&]host=)(/[^"` + "`" + `&, ]+|%2F[^"` + "`" + `&, ]+)`)
	found := map[string]bool{}
	for _, page := range pages {
		for _, m := range named.FindAllStringSubmatch(string(read(t, page)), -1) {
			path, err := url.PathUnescape(m[2])
			if err != nil {
				t.Fatal(err)
			}
			if found[path] = true; m[1] == "?host=" || m[1] == "&host=" {
				path += "/.s.PGSQL.5432"
			}
			if !all.MatchString(path) {
				t.Errorf("%s names %s, which the profile does not allow", filepath.Base(page), path)
			}
		}
	}
	if len(found) < 6 {
		t.Errorf("found %v in the manual", found)
	}
}
