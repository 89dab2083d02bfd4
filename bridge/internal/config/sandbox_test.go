package config

import (
	"reflect"
	"strings"
	"testing"
)

func TestSandbox(t *testing.T) {
	s, _ := one(t, `{"command": "x", "gatehouse": {"sandbox": {"read": ["${BIN}/r"], "write": ["/w"],
		"connect": [80, "5432", "unix"], "memory": "512M", "pids": 64, "cpu": 0.5}}}`)
	want := Sandbox{
		Read: []string{"/opt/bin/r"}, Write: []string{"/w"}, Connect: []uint16{80, 5432}, Unix: true,
		Memory: 512 << 20, Pids: 64, CPU: 0.5,
	}
	if s.Err != nil || !reflect.DeepEqual(s.Gate.Sandbox, want) {
		t.Errorf("%+v, %v; want %+v", s.Gate.Sandbox, s.Err, want)
	}
	if s, _ := one(t, `{"command": "x", "gatehouse": {"sandbox": "off"}}`); s.Err != nil || !s.Gate.Sandbox.Off {
		t.Errorf("off: %+v, %v", s.Gate.Sandbox, s.Err)
	}
	for entry, says := range map[string]string{
		`"on"`:                      `must be "off", or an object`,
		`{"reads": []}`:             `unknown key "reads"`,
		`{"connect": [0]}`:          `must be a TCP port`,
		`{"connect": ["http"]}`:     `must be a TCP port`,
		`{"memory": "lots"}`:        `must be a number of bytes`,
		`{"memory": "0M"}`:          `must be a number of bytes`,
		`{"pids": -1}`:              `must be more than 0`,
		`{"memory": "9999999999G"}`: `must be a number of bytes`,
	} {
		s, _ := one(t, `{"command": "x", "gatehouse": {"sandbox": `+entry+`}}`)
		if s.Err == nil || !strings.Contains(s.Err.Error(), says) {
			t.Errorf("%s: %v, want %q", entry, s.Err, says)
		}
	}
	if s, _ := one(t, `{"command": "x", "sandbox": "off"}`); s.Err == nil {
		t.Error("beside gatehouse it is lost, and not said")
	}
}
