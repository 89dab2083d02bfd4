package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Sandbox is what an entry says of the box of each of its children. The zero
// value is the default.
type Sandbox struct {
	Off     bool
	Read    []string // may be read and executed beside the usual
	Write   []string // may be written, too
	Connect []uint16 // TCP ports beside the usual
	AnyPort bool
	Unix    bool    // sockets of this machine
	Memory  int64   // bytes; 0 is --child-memory
	Pids    int     // 0 is --child-pids
	CPU     float64 // of one processor; 0 is --child-cpu
}

// UnmarshalJSON implements json.Unmarshaler: "off", or what is wider.
func (s *Sandbox) UnmarshalJSON(raw []byte) error {
	var word string
	if json.Unmarshal(raw, &word) == nil {
		if word != "off" {
			return fmt.Errorf(`sandbox %q must be "off", or an object`, word)
		}
		s.Off = true
		return nil
	}
	var block struct {
		Read    []string          `json:"read"`
		Write   []string          `json:"write"`
		Connect []json.RawMessage `json:"connect"`
		Memory  string            `json:"memory"`
		Pids    int               `json:"pids"`
		CPU     float64           `json:"cpu"`
	}
	if err := strictly(raw, &block, "read", "write", "connect", "memory", "pids", "cpu"); err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	s.Read, s.Write, s.Pids, s.CPU = block.Read, block.Write, block.Pids, block.CPU
	var faults []error
	for _, to := range block.Connect {
		faults = append(faults, s.Reach(strings.Trim(string(to), `"`)))
	}
	if block.Memory != "" {
		var err error
		s.Memory, err = Bytes(block.Memory)
		faults = append(faults, err)
	}
	if s.Pids < 0 || s.CPU < 0 {
		faults = append(faults, errors.New("sandbox: pids and cpu must be more than 0"))
	}
	return errors.Join(faults...)
}

// Reach adds a TCP port, "any" for all of them, or "unix" for the sockets of
// this machine.
func (s *Sandbox) Reach(to string) error {
	switch to {
	case "any":
		s.AnyPort = true
	case "unix":
		s.Unix = true
	default:
		port, err := strconv.ParseUint(to, 10, 16)
		if err != nil || port == 0 {
			return fmt.Errorf(`sandbox: connect %q must be a TCP port, "any" or "unix"`, to)
		}
		s.Connect = append(s.Connect, uint16(port))
	}
	return nil
}

// Bytes reads a number of them, such as 512M or 2G.
func Bytes(text string) (int64, error) {
	number, unit := strings.TrimRight(text, "KMG"), int64(1)
	switch strings.TrimPrefix(text, number) {
	case "":
	case "K":
		unit = 1 << 10
	case "M":
		unit = 1 << 20
	case "G":
		unit = 1 << 30
	default:
		number = ""
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n <= 0 || n > math.MaxInt64/unit {
		return 0, fmt.Errorf("memory %q must be a number of bytes above 0, or one with K, M or G", text)
	}
	return n * unit, nil
}
