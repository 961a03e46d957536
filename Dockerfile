# The image of `sumbi serve`. Needs sumbi.toml beside this file; secrets come from the environment when it runs.
#   docker build -t sumbi . && docker run --rm sumbi demo

FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
# The configuration is part of the image, with the lists of accounts (*.txt) that it may name.
RUN test -f sumbi.toml || { echo "there is no sumbi.toml: copy sumbi.example.toml to sumbi.toml, put your accounts in, build again" >&2; exit 1; }; \
    mkdir -p /out/config && cp sumbi.toml /out/config/ && find . -maxdepth 1 -name '*.txt' -exec cp {} /out/config/ \;
ARG VERSION=dev
RUN --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$VERSION" -o /out/sumbi .

# Debian slim instead of distroless: `fly ssh console` needs a shell and sqlite3, TLS needs ca-certificates, and setpriv is in it.
FROM debian:12-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates sqlite3 \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt /var/log/*.log /var/log/apt \
 && useradd --system --uid 10001 --user-group --home-dir /data --no-create-home --shell /usr/sbin/nologin sumbi \
 && install -d -o sumbi -g sumbi -m 0750 /data
COPY --from=build /out/config/ /app/
COPY --from=build /out/sumbi /usr/local/bin/sumbi
WORKDIR /app
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=6s --start-period=10s CMD ["sumbi", "healthcheck", "--url", "http://127.0.0.1:8080/healthz"]

# No USER line: the platform decides who owns a mounted volume (Fly gives only its top folder to the image's user, others leave
# it to root), and `fly ssh console` and `fly sftp` leave files of root in it. So the start is root's: it hands /data over, then
# becomes sumbi for good. exec keeps it process 1, which gets the signals. Started as somebody else it changes nothing.
ENTRYPOINT ["/bin/sh", "-euc", "[ \"$(id -u)\" -eq 0 ] || exec sumbi \"$@\"; chown -R sumbi:sumbi /data; exec setpriv --reuid=sumbi --regid=sumbi --clear-groups --no-new-privs sumbi \"$@\"", "sumbi"]
ENV SUMBI_CONFIG=/app/sumbi.toml SUMBI_STATE=/data/sumbi.db
CMD ["serve", "--listen", "0.0.0.0:8080"]
