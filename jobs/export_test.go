package jobs

import "sumbi/queue"

// Left is the priority of a walk's next page.
func (p *Pipeline) Left(w queue.Walk, total int) int { return p.left(w, total) }

// Split is a run's part of what has become of a lane's calls.
var Split = split
