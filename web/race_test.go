//go:build race

package web

import "time"

// The race detector makes readings of the large state ten times slower.
func init() { readTime = 2 * time.Minute }
