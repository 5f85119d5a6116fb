package slapdtest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// schemas of Debian's slapd that every server loads, besides adSchema and mailSchema.
var schemas = []string{"core", "cosine", "inetorgperson", "nis", "dyngroup", "misc"}

// writeConfig writes slapd.conf, and the files that it names, into s.dir.
func (s *Server) writeConfig(cfg Config) error {
	data := filepath.Join(s.dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		return err
	}
	var b strings.Builder
	for _, name := range schemas {
		file := "/etc/ldap/schema/" + name + ".schema"
		if cfg.ActiveDirectory {
			var err error
			if file, err = s.asAD(file); err != nil {
				return err
			}
		}
		fmt.Fprintf(&b, "include %s\n", file)
	}
	ad := filepath.Join(s.dir, "ad.schema")
	if err := os.WriteFile(ad, []byte(adSchema+mailSchema), 0o600); err != nil {
		return err
	}
	fmt.Fprintf(&b, "include %s\n", ad)
	fmt.Fprintf(&b, "pidfile %s\nargsfile %s\n", filepath.Join(s.dir, "pid"), filepath.Join(s.dir, "args"))
	fmt.Fprintf(&b, "modulepath /usr/lib/ldap\nmoduleload back_mdb\n")
	fmt.Fprintf(&b, "threads 4\nsizelimit 1000\nloglevel none\n")
	if cfg.ActiveDirectory {
		root := filepath.Join(s.dir, "root.ldif")
		if err := os.WriteFile(root, []byte(adRoot), 0o600); err != nil {
			return err
		}
		fmt.Fprintf(&b, "rootDSE %s\n", root)
	}
	if cfg.NoAnonymous {
		fmt.Fprintf(&b, "disallow bind_anon\nrequire authc\n")
	}
	if err := s.writeTLS(&b, cfg); err != nil {
		return err
	}
	fmt.Fprintf(&b, "database mdb\nsuffix %q\nrootdn %q\nrootpw %s\n", Suffix, AdminDN, AdminPassword)
	fmt.Fprintf(&b, "directory %s\nmaxsize 268435456\ndbnosync\n", data)
	fmt.Fprintf(&b, "index objectClass,mail,proxyAddresses,uid,cn eq\n%s\n", cfg.Extra)
	return os.WriteFile(filepath.Join(s.dir, "slapd.conf"), []byte(b.String()), 0o600)
}

// asAD returns a copy of a schema in which certificates are octet strings.
func (s *Server) asAD(file string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	copied := filepath.Join(s.dir, filepath.Base(file))
	return copied, os.WriteFile(copied, []byte(adCertificates.Replace(string(text))), 0o600)
}

func (s *Server) writeTLS(b *strings.Builder, cfg Config) error {
	for _, f := range []struct {
		directive string
		pem       []byte
	}{
		{"TLSCertificateFile", cfg.Certificate},
		{"TLSCertificateKeyFile", cfg.Key},
		{"TLSCACertificateFile", cfg.ClientCA},
	} {
		if len(f.pem) == 0 {
			continue
		}
		path := filepath.Join(s.dir, f.directive+".pem")
		if err := os.WriteFile(path, f.pem, 0o600); err != nil {
			return err
		}
		fmt.Fprintf(b, "%s %s\n", f.directive, path)
	}
	if len(cfg.ClientCA) > 0 {
		fmt.Fprintf(b, "TLSVerifyClient demand\n")
	}
	return nil
}
