package memory

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
)

const mostOfPage = 16 << 20 // bytes of one answer

// Heap is what a program in Go says of its memory, in MB.
type Heap struct {
	Live   float64 // at the last collection
	Goal   float64 // at which it collects again
	InUse  float64 // spans with objects, live or not collected yet
	Idle   float64 // spans without, still with the program
	Stacks float64
	Rest   float64 // what the runtime keeps of its own
}

// Of reads it from a page of metrics.
func Of(ctx context.Context, page string) (Heap, error) {
	body, err := get(ctx, page)
	if err != nil {
		return Heap{}, err
	}
	defer func() { _ = body.Close() }()
	mb := map[string]float64{}
	for lines := bufio.NewScanner(body); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), " ")
		if n, err := strconv.ParseFloat(value, 64); err == nil {
			mb[name] = n / (1 << 20)
		}
	}
	h := Heap{
		Live: mb["go_gc_heap_live_bytes"], Goal: mb["go_memstats_next_gc_bytes"], InUse: mb["go_memstats_heap_inuse_bytes"],
		Idle: mb["go_memstats_heap_idle_bytes"] - mb["go_memstats_heap_released_bytes"], Stacks: mb["go_memstats_stack_inuse_bytes"],
	}
	h.Rest = mb["go_memstats_sys_bytes"] - mb["go_memstats_heap_sys_bytes"] - h.Stacks
	if h.InUse == 0 {
		return h, errors.New(page + " says nothing of the heap")
	}
	return h, nil
}

func (h Heap) String() string {
	return fmt.Sprintf("heap live %.1f, collected at %.1f, in use %.1f, idle %.1f; stacks %.1f, the runtime's own %.1f",
		h.Live, h.Goal, h.InUse, h.Idle, h.Stacks, h.Rest)
}

// Save writes what a page holds into a file.
func Save(ctx context.Context, page, file string) error {
	body, err := get(ctx, page)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(body, mostOfPage))
	if err != nil {
		return err
	}
	return os.WriteFile(file, raw, 0o600)
}

func get(ctx context.Context, page string) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, page, nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		_ = res.Body.Close()
		return nil, fmt.Errorf("GET %s: %s", page, res.Status)
	}
	return res.Body, nil
}
