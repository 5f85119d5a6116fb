package packaging

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/test/rig"
)

// deployed is a file of deploy.
func deployed(t *testing.T, name string) []byte {
	t.Helper()
	return read(t, filepath.Join(rig.Root(t), "deploy", name))
}

// TestDeployedConfig: the configuration that the containers mount is a good one, and the
// files with secrets that it names are those that they mount.
func TestDeployedConfig(t *testing.T) {
	if c := containerConfig(t); !c.Store.Shared() || c.Admin.Address != "0.0.0.0:9090" {
		t.Errorf("%+v %+v", c.Store, c.Admin)
	}
}

// containerConfig reads the configuration of the containers.
func containerConfig(t *testing.T) *config.Config {
	t.Helper()
	secrets := t.TempDir()
	for _, name := range []string{"store.key", "database.password"} {
		if err := os.WriteFile(filepath.Join(secrets, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text := strings.ReplaceAll(string(deployed(t, "config.toml")), "/run/secrets", secrets)
	c, problems := config.Parse("config.toml", []byte(text))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	for _, file := range []string{c.Store.KeyFile, c.Store.PasswordFile} {
		name, ok := strings.CutPrefix(file, secrets+"/")
		for _, page := range []string{"compose.yaml", "kubernetes.yaml"} {
			if !ok || !bytes.Contains(deployed(t, page), []byte(name)) {
				t.Errorf("%s does not have %s", page, file)
			}
		}
	}
	return c
}

// TestCompose: all that a service of compose.yaml refers to is declared, and the gateway has
// no rights that it does not need.
func TestCompose(t *testing.T) {
	type service struct {
		Image       string                       `yaml:"image"`
		User        string                       `yaml:"user"`
		ReadOnly    bool                         `yaml:"read_only"`
		CapDrop     []string                     `yaml:"cap_drop"`
		SecurityOpt []string                     `yaml:"security_opt"`
		Volumes     []string                     `yaml:"volumes"`
		Secrets     []string                     `yaml:"secrets"`
		Networks    []string                     `yaml:"networks"`
		Restart     string                       `yaml:"restart"`
		Tmpfs       []string                     `yaml:"tmpfs"`
		Ports       []string                     `yaml:"ports"`
		Grace       string                       `yaml:"stop_grace_period"`
		Environment map[string]string            `yaml:"environment"`
		DependsOn   map[string]map[string]string `yaml:"depends_on"`
		Health      map[string]any               `yaml:"healthcheck"`
	}
	var file struct {
		Services map[string]service           `yaml:"services"`
		Networks map[string]map[string]string `yaml:"networks"`
		Volumes  map[string]map[string]string `yaml:"volumes"`
		Secrets  map[string]map[string]string `yaml:"secrets"`
	}
	d := yaml.NewDecoder(bytes.NewReader(deployed(t, "compose.yaml")))
	d.KnownFields(true)
	if err := d.Decode(&file); err != nil {
		t.Fatal(err)
	}
	for name, s := range file.Services {
		if s.Image == "" {
			t.Errorf("%s has no image", name)
		}
		for _, secret := range s.Secrets {
			if _, ok := file.Secrets[secret]; !ok {
				t.Errorf("%s: the secret %s is not declared", name, secret)
			}
		}
		for _, network := range s.Networks {
			if _, ok := file.Networks[network]; !ok {
				t.Errorf("%s: the network %s is not declared", name, network)
			}
		}
		for other := range s.DependsOn {
			if file.Services[other].Health == nil {
				t.Errorf("%s waits for the health of %s, which has no check", name, other)
			}
		}
		for _, volume := range s.Volumes {
			from, _, _ := strings.Cut(volume, ":")
			path, isFile := strings.CutPrefix(from, "./")
			if isFile {
				deployed(t, path)
			} else if _, ok := file.Volumes[from]; !ok {
				t.Errorf("%s: the volume %s is not declared", name, from)
			}
		}
	}
	g := file.Services["smimerelay"]
	if !g.ReadOnly || g.User != "65532:65532" || fmt.Sprint(g.CapDrop) != "[ALL]" || len(g.SecurityOpt) == 0 || len(g.Ports) != 0 {
		t.Errorf("the gateway has rights that it does not need: %+v", g)
	}
}

// TestManifests has the types of Kubernetes read the manifests: a field that they do not
// have, and what the "restricted" level of Pod Security does not allow, are errors.
func TestManifests(t *testing.T) {
	read := func(manifests []byte) (string, error) {
		cmd := exec.Command("go", "run", ".")
		cmd.Dir = filepath.Join(rig.Root(t), "test/manifests")
		cmd.Stdin = bytes.NewReader(manifests)
		var problems strings.Builder // and what the go command downloads on a fresh machine
		cmd.Stderr = &problems
		out, err := cmd.Output()
		if err != nil {
			err = fmt.Errorf("%w: %s", err, &problems)
		}
		return string(out), err
	}
	good := deployed(t, "kubernetes.yaml")
	const want = "Deployment smimerelay\nService smimerelay\nNetworkPolicy smimerelay\nPodDisruptionBudget smimerelay\n"
	if out, err := read(good); err != nil || out != want {
		t.Errorf("%v: %s", err, out)
	}
	for before, after := range map[string]string{
		"maxUnavailable: 1, maxSurge": "maxUnavailble: 1, maxSurge",
		"replicas: 3":                 `replicas: "3"`,
		"runAsNonRoot: true":          "runAsNonRoot: false",
	} {
		if out, err := read(bytes.Replace(good, []byte(before), []byte(after), 1)); err == nil {
			t.Errorf("%s is taken: %s", after, out)
		}
	}
}

// TestKubernetes: the manifests refer to what they and the configuration declare.
func TestKubernetes(t *testing.T) {
	var kinds []string
	var served object
	named := map[any]bool{} // ports by which other pods come
	for d := yaml.NewDecoder(bytes.NewReader(deployed(t, "kubernetes.yaml"))); ; {
		var o object
		err := d.Decode(&o)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		kind, _ := o["kind"].(string)
		kinds = append(kinds, kind)
		switch kind {
		case "Deployment":
			served = o.at("spec", "template", "spec")
			testPods(t, served)
			if a, b := o.at("spec", "selector", "matchLabels"), o.at("spec", "template", "metadata", "labels"); fmt.Sprint(a) != fmt.Sprint(b) {
				t.Errorf("the selector %v does not select %v", a, b)
			}
		case "Service":
			if o.at("spec", "selector")["app"] != "smimerelay" {
				t.Errorf("the service selects %v", o.at("spec", "selector"))
			}
			for _, p := range o.at("spec").each("ports") {
				named[p["targetPort"]] = true
			}
		case "NetworkPolicy":
			for _, rule := range o.at("spec").each("ingress") {
				for _, p := range rule.each("ports") {
					named[p["port"]] = true
				}
			}
		}
	}
	if got := strings.Join(kinds, " "); got != "Deployment Service NetworkPolicy PodDisruptionBudget" {
		t.Errorf("kinds %s", got)
	}
	c := containerConfig(t)
	listening := []string{c.Admin.Address}
	for _, l := range c.Listeners {
		listening = append(listening, l.Address)
	}
	for _, p := range served.each("containers")[0].each("ports") {
		address := fmt.Sprint("0.0.0.0:", p["containerPort"])
		if !slices.Contains(listening, address) || !named[p["name"]] {
			t.Errorf("%v: nothing listens there, or no other pod may come: %v", p, listening)
		}
		listening = slices.DeleteFunc(listening, func(a string) bool { return a == address })
	}
	if len(listening) > 0 {
		t.Errorf("the container has no port for %v", listening)
	}
}

// object is an object of YAML.
type object map[string]any

// at follows keys.
func (o object) at(keys ...string) object {
	for _, key := range keys {
		o, _ = o[key].(object)
	}
	return o
}

// each are the objects of a list.
func (o object) each(key string) (all []object) {
	list, _ := o[key].([]any)
	for _, x := range list {
		if y, ok := x.(object); ok {
			all = append(all, y)
		}
	}
	return all
}

func testPods(t *testing.T, pod object) {
	t.Helper()
	if s := pod.at("securityContext"); s["runAsNonRoot"] != true || s["runAsUser"] != 65532 || s.at("seccompProfile")["type"] != "RuntimeDefault" {
		t.Errorf("security of the pod: %v", s)
	}
	volumes := map[any]bool{}
	for _, v := range pod.each("volumes") {
		volumes[v["name"]] = true
	}
	containers := pod.each("containers")
	if len(containers) != 1 {
		t.Fatalf("%d containers", len(containers))
	}
	c := containers[0]
	if s := c.at("securityContext"); s["readOnlyRootFilesystem"] != true || s["allowPrivilegeEscalation"] != false || fmt.Sprint(s.at("capabilities")["drop"]) != "[ALL]" {
		t.Errorf("security of the container: %v", s)
	}
	ports := map[any]bool{}
	for _, p := range c.each("ports") {
		ports[p["name"]] = true
	}
	for _, probe := range []string{"startupProbe", "readinessProbe", "livenessProbe"} {
		if get := c.at(probe, "httpGet"); !ports[get["port"]] {
			t.Errorf("%s asks %v", probe, get)
		}
	}
	for _, m := range c.each("volumeMounts") {
		if !volumes[m["name"]] {
			t.Errorf("the volume %v is not declared", m["name"])
		}
		delete(volumes, m["name"])
	}
	if len(volumes) > 0 {
		t.Errorf("not mounted: %v", volumes)
	}
}

// TestGrafana: each expression of the board is one of Prometheus, and each metric in it is
// in docs/metrics.md.
func TestGrafana(t *testing.T) {
	var board struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	fromJSON(t, deployed(t, "grafana.json"), &board)
	documented := string(read(t, filepath.Join(rig.Root(t), "docs/metrics.md")))
	var rules strings.Builder
	rules.WriteString("groups:\n- name: board\n  rules:\n")
	n := 0
	for _, p := range board.Panels {
		for _, target := range p.Targets {
			n++
			fmt.Fprintf(&rules, "  - record: board:x%d\n    expr: %q\n", n, target.Expr)
			for _, name := range regexp.MustCompile(`smimerelay_[a-z_]+`).FindAllString(target.Expr, -1) {
				name = strings.TrimSuffix(strings.TrimSuffix(name, "_count"), "_bucket")
				if !strings.Contains(documented, "`"+name+"`") {
					t.Errorf("%s: there is no metric %s", p.Title, name)
				}
			}
		}
	}
	if n < 10 {
		t.Errorf("only %d expressions", n)
	}
	file := filepath.Join(t.TempDir(), "rules.yml")
	if err := os.WriteFile(file, []byte(rules.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, rig.Tool(t, "promtool", "prometheus"), "check", "rules", file)
}
