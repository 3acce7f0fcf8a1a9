// Verifies one webhook, given as JSON on standard input, with the Standard Webhooks library for Go.
package main

import (
	"encoding/json"
	"log"
	"net/http"
	"os"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

type received struct {
	Secret  string            `json:"secret"`
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
}

func main() {
	var webhook received
	if err := json.NewDecoder(os.Stdin).Decode(&webhook); err != nil {
		log.Fatal(err)
	}
	verifier, err := standardwebhooks.NewWebhook(webhook.Secret)
	if err != nil {
		log.Fatal(err)
	}
	headers := http.Header{}
	for name, value := range webhook.Headers {
		headers.Set(name, value)
	}
	if err := verifier.Verify([]byte(webhook.Body), headers); err != nil {
		log.Fatal(err)
	}
}
