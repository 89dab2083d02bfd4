//go:build !linux

package work

import "time"

// spent counts waiting too: these systems count no thread by itself.
func spent() time.Duration { return time.Duration(time.Now().UnixNano()) }
