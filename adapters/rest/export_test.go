package rest

import "net/http"

// What tests look at from outside.
var (
	Public    = public
	NewEraser = newEraser
)

// UseTransport has calls of c, paced as ever, go through t.
func UseTransport(c *Client, t *http.Transport) { c.http.Transport.(*departure).next = t }
