// An HTTP server that tells what a pod can reach. Tests of the real node run it in pods.
//
//	/                       the pod's host name
//	/lookup?name=NAME       the addresses of a name, one a line
//	/connect?address=H:P    200 if a TCP connection succeeds, else 502 and the error
//	/fetch?url=URL          the status and body of a URL
//	/log?line=TEXT          writes a line to standard output
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"time"
)

const timeout = 3 * time.Second

func main() {
	http.HandleFunc("/{$}", func(w http.ResponseWriter, r *http.Request) {
		name, _ := os.Hostname()
		fmt.Fprintln(w, name)
	})
	http.HandleFunc("/lookup", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), timeout)
		defer cancel()
		addresses, err := net.DefaultResolver.LookupHost(ctx, r.FormValue("name"))
		if fails(w, err) {
			return
		}
		for _, address := range addresses {
			fmt.Fprintln(w, address)
		}
	})
	http.HandleFunc("/connect", func(w http.ResponseWriter, r *http.Request) {
		connection, err := net.DialTimeout("tcp", r.FormValue("address"), timeout)
		if !fails(w, err) {
			connection.Close()
		}
	})
	http.HandleFunc("/fetch", func(w http.ResponseWriter, r *http.Request) {
		client := http.Client{Timeout: timeout}
		answer, err := client.Get(r.FormValue("url"))
		if fails(w, err) {
			return
		}
		defer answer.Body.Close()
		w.WriteHeader(answer.StatusCode)
		_, _ = io.Copy(w, answer.Body)
	})
	http.HandleFunc("/log", func(w http.ResponseWriter, r *http.Request) {
		fmt.Println(r.FormValue("line"))
	})
	log.Fatal(http.ListenAndServe(":8080", nil))
}

func fails(w http.ResponseWriter, err error) bool {
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
	}
	return err != nil
}
