package rest_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"sumbi/adapters/adaptertest"
	"sumbi/adapters/rest"
)

func ExampleClient() {
	server := httptest.NewServer(adaptertest.Status(http.StatusOK, `{"title":"을지면옥"}`))
	defer server.Close()
	ctx := context.Background()
	c := rest.New(rest.Options{
		Upstream: "naver",
		BaseURL:  server.URL,
		Limits: []*rest.Limit{rest.NewLimit(rest.LimitOptions{
			Name: "naver/1", PerSecond: 5, PerDay: 25000, Header: http.Header{"X-Naver-Client-Id": {"…"}},
		})},
	})
	defer c.Close(ctx)

	ctx, release, err := c.Permit(ctx) // before a job is taken
	if err != nil {
		fmt.Println(err)
		return
	}
	defer release() // in case that the job makes no request

	var place struct{ Title string }
	if _, err := c.GetJSON(ctx, "/v1/search/local.json", nil, &place); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(place.Title, c.Limits()[0].Used)
	// Output: 을지면옥 1
}
