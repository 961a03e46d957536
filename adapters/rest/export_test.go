package rest

// What tests look at from outside.
var (
	Public    = public
	NewEraser = newEraser
)
