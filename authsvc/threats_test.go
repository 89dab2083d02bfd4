package main

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"gatehouse/authsvc/internal/issuertest"
	"gatehouse/authsvc/internal/session/redistest"
)

func TestThreatsNameTheirTests(t *testing.T) {
	doc, err := os.ReadFile("../docs/threats.md")
	if err != nil {
		t.Fatal(err)
	}
	have := testsBelow(t, ".")
	maps.Copy(have, testsBelow(t, "../test"))
	maps.Copy(have, testsBelow(t, "../bridge"))
	rows := 0
	for line := range strings.Lines(string(doc)) {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| threat ") {
			continue
		}
		rows++
		named := regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9]+)`").FindAllStringSubmatch(line, -1)
		if len(named) == 0 {
			t.Errorf("no test for: %s", line)
		}
		for _, m := range named {
			if !have[m[1]] {
				t.Errorf("%s does not exist", m[1])
			}
		}
	}
	if rows == 0 {
		t.Error("docs/threats.md has no table")
	}
}

func testsBelow(t *testing.T, root string) map[string]bool {
	have, declared := map[string]bool{}, regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		src, err := os.ReadFile(path)
		for _, m := range declared.FindAllSubmatch(src, -1) {
			have[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return have
}

func TestRedisDumpIsWorthless(t *testing.T) {
	issuer, server := issuertest.Start(t), redistest.Start(t)
	g := start(t, issuer, server.URL).ready()
	cookie := g.login(issuer)
	g.wantVerdict("200", "Cookie", cookie)
	dump := dumpOf(t, server.URL)
	_, secret, _ := strings.Cut(cookie, "=")
	for _, leak := range []string{secret, issuertest.Subject, "alice@example.com", issuertest.SID, "eyJ", "refresh_token", `"d":`} {
		if strings.Contains(dump, leak) {
			t.Errorf("the dump shows %q", leak)
		}
	}
	if len(dump) < 100 {
		t.Errorf("the dump has %d bytes: nothing was looked at", len(dump))
	}
}

func dumpOf(t *testing.T, url string) string {
	o, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	o.DialTimeout = time.Second
	client := redis.NewClient(o)
	defer client.Close()
	var dump strings.Builder
	keys, err := client.Keys(t.Context(), "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		dump.WriteString(key + "\n" + client.Get(t.Context(), key).Val() + "\n")
	}
	return dump.String()
}
