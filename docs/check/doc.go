// Package check holds alerts.yml and grafana.json against the language of Prometheus, the alerts against series of trouble and of
// days without any, too, and openapi.yaml against the language of OpenAPI. It is a module of its own so that sumbi's has none of
// what that needs. Which metrics there are is in docs/metrics.md, which sumbi's own tests hold against a real scrape.
package check
