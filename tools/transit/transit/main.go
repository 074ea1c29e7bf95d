// A server with the transit engine of HashiCorp Vault, in memory. Vault's own server cannot be built from
// its Go module, which replaces parts of itself by unreleased ones.
//
// It takes the address to listen on as its argument, and the token that its clients must have from the
// variable TRANSIT_TOKEN. It prints a line when it listens.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"strings"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/builtin/logical/transit"
	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
)

const mount = "/v1/transit/"

func main() {
	if err := serve(context.Background(), os.Args[1], os.Getenv("TRANSIT_TOKEN")); err != nil {
		log.Fatal(err)
	}
}

func serve(ctx context.Context, address, token string) error {
	storage := &logical.InmemStorage{}
	config := &logical.BackendConfig{
		StorageView: storage,
		System:      &logical.StaticSystemView{},
		Logger:      hclog.NewNullLogger(),
	}
	engine, err := transit.Backend(ctx, config)
	if err != nil {
		return err
	}
	// This SDK demands what the engine's own, unreleased one did not.
	for _, path := range engine.Paths {
		if path.ExistenceCheck == nil {
			path.ExistenceCheck = doesNotExist
		}
	}
	if err := engine.Setup(ctx, config); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	fmt.Println("listening")
	return http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status, body := answer(r, engine, storage, token)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(body)
	}))
}

func answer(r *http.Request, engine logical.Backend, storage logical.Storage, token string) (int, any) {
	if r.Header.Get("X-Vault-Token") != token {
		return http.StatusForbidden, errors("permission denied")
	}
	data := map[string]any{}
	if err := json.NewDecoder(r.Body).Decode(&data); err != nil {
		return http.StatusBadRequest, errors(err.Error())
	}
	response, err := engine.HandleRequest(r.Context(), &logical.Request{
		Operation: logical.UpdateOperation,
		Path:      strings.TrimPrefix(r.URL.Path, mount),
		Data:      data,
		Storage:   storage,
	})
	switch {
	case response != nil && response.IsError():
		return http.StatusBadRequest, errors(response.Error().Error())
	case err != nil:
		return http.StatusInternalServerError, errors(err.Error())
	case response == nil:
		return http.StatusOK, map[string]any{}
	}
	return http.StatusOK, map[string]any{"data": response.Data}
}

func doesNotExist(context.Context, *logical.Request, *framework.FieldData) (bool, error) {
	return false, nil
}

func errors(message string) any {
	return map[string]any{"errors": []string{message}}
}
