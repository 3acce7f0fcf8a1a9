// Uses the client that was generated for Go: publishes, lists in pages, subscribes, patches. Prints what it saw as one
// line of JSON.
package main

import (
	"context"
	"encoding/json"
	"log"
	"net/http"
	"os"

	"github.com/oapi-codegen/nullable"

	"example.com/interop/hub"
)

var order = map[string]any{
	"order_id": "o-1", "total": "1.00", "currency": "EUR", "customer": map[string]any{"email": "ada@example.com"}, "items": []any{},
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

// orNil gives the value, or nil for null and for a member that is absent.
func orNil[T any](value nullable.Nullable[T]) any {
	if given, err := value.Get(); err == nil {
		return given
	}
	return nil
}

func withKey(_ context.Context, request *http.Request) error {
	request.Header.Set("Authorization", "Bearer "+os.Getenv("HUB_KEY"))
	return nil
}

func publish(ctx context.Context, api *hub.ClientWithResponses) (one hub.AcceptedEvent, batch []hub.BatchItem, subject any) {
	event := hub.NewEvent{Type: "order.created", Data: order}
	one = *must(api.PublishEventWithResponse(ctx, &hub.PublishEventParams{}, event)).JSON202
	events := []hub.NewEvent{{Type: "order.paid", Data: order}, {Type: "no type", Data: 1}}
	batch = must(api.PublishEventsWithResponse(ctx, &hub.PublishEventsParams{}, events)).JSON202.Items
	once := "once"
	order["order_id"] = "o-2"
	paid := hub.NewEvent{Type: "order.paid", Data: order}
	ofOrder := must(api.PublishOrderEventWithResponse(ctx, "o-2", &hub.PublishOrderEventParams{IdempotencyKey: &once}, paid)).JSON202
	return one, batch, orNil(must(api.GetEventWithResponse(ctx, ofOrder.Id)).JSON200.Subject)
}

func list(ctx context.Context, api *hub.ClientWithResponses) (types []string) {
	limit := 2
	params := hub.ListEventsParams{Limit: &limit}
	for {
		page := must(api.ListEventsWithResponse(ctx, &params)).JSON200
		for _, event := range page.Items {
			types = append(types, event.Type)
		}
		next, err := page.NextCursor.Get()
		if err != nil {
			return types
		}
		params.Cursor = &next
	}
}

func subscribeAndPatch(ctx context.Context, api *hub.ClientWithResponses) hub.WebhookSubscription {
	var wanted hub.NewSubscription
	must(0, wanted.FromNewWebhookSubscription(hub.NewWebhookSubscription{
		Name: "a", EventTypes: []string{"stock.*"}, Channel: hub.NewWebhookSubscriptionChannelWebhook,
		Target: hub.WebhookTarget{Url: "https://example.com/hooks"},
	}))
	made := must(must(api.CreateSubscriptionWithResponse(ctx, wanted)).JSON201.AsWebhookSubscription())
	patch := hub.SubscriptionPatch{
		Name:        nullable.NewNullableWithValue("b"),
		MaxInFlight: nullable.NewNullableWithValue(3),
		Timeout:     nullable.NewNullNullable[float32](),
	}
	patched := must(api.UpdateSubscriptionWithResponse(ctx, made.Id, patch)).JSON200
	// Told apart by `channel`: each target has a type of its own.
	return must(patched.ValueByDiscriminator()).(hub.WebhookSubscription)
}

func main() {
	ctx := context.Background()
	api := must(hub.NewClientWithResponses(os.Getenv("HUB_URL"), hub.WithRequestEditorFn(withKey)))
	one, batch, subject := publish(ctx, api)
	statuses := []hub.BatchItemStatus{}
	for _, item := range batch {
		statuses = append(statuses, item.Status)
	}
	listed := list(ctx, api)
	patched := subscribeAndPatch(ctx, api)
	missing := must(api.GetEventWithResponse(ctx, "evt_none")).ApplicationproblemJSON404
	must(0, json.NewEncoder(os.Stdout).Encode(map[string]any{
		"published": one.Status,
		"batch":     statuses,
		"subject":   subject,
		"listed":    listed,
		"patched":   []any{patched.Name, patched.MaxInFlight, orNil(patched.Timeout), patched.Target.Url},
		"missing":   missing.Title,
	}))
}
