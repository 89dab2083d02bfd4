package streamable

// Agree is for the fuzz target.
func Agree(body []byte, asked string) ([]byte, string) { return agree(body, asked) }
