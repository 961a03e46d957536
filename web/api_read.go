package web

import "net/http"

// apiReads are what only reads.
func apiReads() []apiRoute {
	get := http.MethodGet
	return []apiRoute{
		{get, "/status", nil, (*Server).apiStatus},
		{get, "/pipelines", nil, (*Server).apiPipelines},
		{get, "/runs", []string{"pipeline", "limit", "after"}, (*Server).apiRuns},
		{get, "/runs/{id}", nil, (*Server).apiRun},
		{get, "/jobs", []string{"pipeline", "lane", "kind", "state", "cause", "limit", "after"}, (*Server).apiJobs},
		{get, "/jobs/{id}", nil, (*Server).apiJob},
		{get, "/dead", nil, (*Server).apiDead},
		{get, "/dead/questions", []string{"pipeline", "cause", "limit", "after"}, (*Server).apiDeadQuestions},
		{get, "/accounts", []string{"pipeline", "state", "name", "limit", "after"}, (*Server).apiAccounts},
		{get, "/accounts/{pipeline}/{account}", nil, (*Server).apiAccount},
		{get, "/batches", []string{"pipeline", "state", "limit", "after"}, (*Server).apiBatches},
		{get, "/batches/{id}", nil, (*Server).apiBatch},
		{get, "/places", []string{"name", "category", "area", "pipeline", "account", "from", "to", "ad", "limit", "after"}, (*Server).apiPlaces},
		{get, "/places/{id}", []string{"limit", "after"}, (*Server).apiPlace},
		{get, "/posts/{stream}/{key}", nil, (*Server).apiPost},
		{get, "/reviews", []string{"pipeline", "post", "all", "limit", "after"}, (*Server).apiReviews},
		{get, "/reviews/{mention}", nil, (*Server).apiReviewOf},
		{get, "/velog", []string{"pipeline", "limit", "after"}, (*Server).apiVelog},
		{get, "/velog/{pipeline}/{user}", []string{"from", "to", "sort"}, (*Server).apiVelogUser},
		{get, "/velog/{pipeline}/{user}/{post}", []string{"from", "to"}, (*Server).apiVelogPost},
	}
}
