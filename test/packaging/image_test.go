package packaging

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/test/rig"
)

// TestImage: two builds are the same bytes, the image says what a runtime must know, and
// what is in it runs alone, as its user.
func TestImage(t *testing.T) {
	first := buildImage(t, rig.Root(t))
	if !bytes.Equal(read(t, first), read(t, buildImage(t, elsewhere(t)))) {
		t.Error("two builds of the image differ")
	}
	dir := t.TempDir()
	run(t, "tar", "-xf", first, "-C", dir)
	var manifest []struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
	fromJSON(t, read(t, filepath.Join(dir, "manifest.json")), &manifest)
	if len(manifest) != 1 || len(manifest[0].Layers) != 1 {
		t.Fatalf("%+v", manifest)
	}
	var image struct {
		Config struct {
			User        string
			Entrypoint  []string
			Healthcheck struct{ Test []string }
		}
		Rootfs struct {
			DiffIDs []string `json:"diff_ids"`
		}
	}
	fromJSON(t, read(t, filepath.Join(dir, manifest[0].Config)), &image)
	if image.Config.User != "65532:65532" || strings.Join(image.Config.Healthcheck.Test, " ") != "CMD /usr/bin/smimerelay health" ||
		len(image.Rootfs.DiffIDs) != 1 || image.Rootfs.DiffIDs[0] != "sha256:"+strings.TrimSuffix(manifest[0].Layers[0], ".tar") {
		t.Errorf("%+v", image)
	}
	layer := filepath.Join(dir, manifest[0].Layers[0])
	owners(t, layer)
	root := filepath.Join(dir, "root")
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	run(t, "tar", "-xpf", layer, "-C", root)
	if out := run(t, "chroot", "--userspec=65532:65532", root, image.Config.Entrypoint[0], "version"); !strings.HasPrefix(out, "smimerelay ") {
		t.Errorf("version: %s", out)
	}
}

// owners wants everything in the layer to be root's, but for the folder of the state.
func owners(t *testing.T, layer string) {
	t.Helper()
	f, err := os.Open(layer)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	found := map[string]bool{}
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		state := h.Name == "./var/lib/smimerelay/"
		if (h.Uid == 65532) != state || state && h.Mode != 0o700 {
			t.Errorf("%s is of user %d, with mode %o", h.Name, h.Uid, h.Mode)
		}
		found[h.Name] = true
	}
	for _, name := range []string{"./usr/bin/smimerelay", "./etc/ssl/certs/ca-certificates.crt", "./etc/passwd", "./var/lib/smimerelay/", "./tmp/"} {
		if !found[name] {
			t.Errorf("the image has no %s", name)
		}
	}
}

func buildImage(t *testing.T, root string) string {
	t.Helper()
	dir := t.TempDir()
	pack(t, root, dir, "image")
	return only(t, filepath.Join(dir, "*.image.tar"))
}

func fromJSON(t *testing.T, data []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatalf("%v: %s", err, data)
	}
}
