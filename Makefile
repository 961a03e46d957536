# Shortcuts for people. What is checked, and how, stands in .ci/run.

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

.DEFAULT_GOAL := help
.PHONY: help build test lint check demo image

help: ## what there is to make
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 10

build: ## ./sumbi
	CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o sumbi .

test: ## all tests, as fast as they go
	go test ./...

lint: ## every linter of .golangci.yml
	bash .ci/run lint

check: ## all that CI checks
	bash .ci/run

demo: ## the whole main job without keys
	go run . demo

image: ## the container image; needs sumbi.toml
	docker build --build-arg VERSION=$(VERSION) -t sumbi .
