package streamable

// Agreed is for the fuzz target.
func Agreed(body []byte) ([]byte, string) { return agreed(body) }
