// Command hold gives free ports to a test that is a shell script. It prints as
// many as it is told in one line, and they stay reserved until its standard input
// ends, as it does when the script has ended.
package main

import (
	"fmt"
	"io"
	"log"
	"os"
	"strconv"
	"strings"

	"gatehouse/test/freeport"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("hold: ")
	if len(os.Args) != 2 {
		log.Fatal("usage: hold PORTS")
	}
	n, err := strconv.Atoi(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	if err := hold(os.Stdin, os.Stdout, n); err != nil {
		log.Fatal(err)
	}
}

// hold writes n ports to out, and releases them at the end of in.
func hold(in io.Reader, out io.Writer, n int) error {
	ports := make([]string, n)
	for i := range ports {
		port, release, err := freeport.Reserve()
		if err != nil {
			return err
		}
		defer release()
		ports[i] = strconv.Itoa(port)
	}
	if _, err := fmt.Fprintln(out, strings.Join(ports, " ")); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, in)
	return err
}
