// Writes numbered lines of JSON to standard output. The log agent's tests on the real node run it in pods.
//
//	writer -per-second N    writes at this rate until it is told to stop
//	writer -lines N         writes N lines and exits with 1
//
// A line's message is "RUN NUMBER". RUN is the pod's name and the program's start, so that each try of a
// container has its own; numbers start with 0. With -bytes, each line has at least that length.
//
//	/stop     ends the writing, and answers {"run":RUN,"lines":N}
//	/eat      writes a line for each MiB that it takes, until the kernel kills it
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

const tick = 20 * time.Millisecond

type writer struct {
	mutex   sync.Mutex
	run     string
	padding string
	lines   int
	stopped bool
}

func main() {
	perSecond := flag.Int("per-second", 0, "lines a second")
	lines := flag.Int("lines", 0, "exit after this number of lines")
	bytes := flag.Int("bytes", 0, "the least length of a line")
	flag.Parse()
	host, _ := os.Hostname()
	w := &writer{run: fmt.Sprintf("%s/%d", host, time.Now().UnixMilli()), padding: strings.Repeat("x", *bytes)}
	if *lines > 0 {
		w.write(*lines)
		os.Exit(1)
	}
	go w.keepWriting(*perSecond)
	http.HandleFunc("/stop", func(answer http.ResponseWriter, _ *http.Request) {
		w.mutex.Lock()
		defer w.mutex.Unlock()
		w.stopped = true
		_ = json.NewEncoder(answer).Encode(map[string]any{"run": w.run, "lines": w.lines})
	})
	http.HandleFunc("/eat", func(http.ResponseWriter, *http.Request) { go w.eat() })
	log.Fatal(http.ListenAndServe(":8080", nil))
}

func (w *writer) keepWriting(perSecond int) {
	begin, written := time.Now(), 0
	for range time.Tick(tick) {
		due := int(time.Since(begin).Seconds() * float64(perSecond))
		w.write(due - written)
		written = due
	}
}

// Does nothing after the stop, which therefore knows the number of all lines.
func (w *writer) write(count int) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if w.stopped {
		return
	}
	output := bufio.NewWriter(os.Stdout)
	for ; count > 0; count-- {
		fmt.Fprintf(output, "{\"level\":\"info\",\"msg\":\"%s %d\",\"padding\":\"%s\"}\n", w.run, w.lines, w.padding)
		w.lines++
	}
	_ = output.Flush()
}

func (w *writer) eat() {
	var eaten [][]byte
	for {
		w.write(1)
		mebibyte := make([]byte, 1<<20)
		for i := range mebibyte {
			mebibyte[i] = 1
		}
		eaten = append(eaten, mebibyte)
	}
}
