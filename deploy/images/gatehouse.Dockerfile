# The two programs as static binaries in images that hold nothing else, and
# the images that carry an MCP server beside the bridge: demo and slack.
# To add a server of your own, write a stage like slack: its runtime, its
# files, the bridge, and CMD ["--", COMMAND, ARG...].
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
COPY internal internal
COPY authsvc authsvc
COPY bridge bridge
COPY deploy/demo deploy/demo
ENV CGO_ENABLED=0 GOFLAGS=-buildvcs=false
RUN --mount=type=cache,target=/root/.cache/go-build --mount=type=cache,target=/go/pkg/mod \
    go build -trimpath -ldflags='-s -w' -o /out/ ./authsvc ./bridge ./deploy/demo

FROM scratch AS authsvc
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/authsvc /authsvc
USER 65532:65532
ENTRYPOINT ["/authsvc"]

FROM scratch AS bridge
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/bridge /bridge
USER 65532:65532
ENTRYPOINT ["/bridge"]

FROM bridge AS demo
COPY --from=build /out/demo /demo
CMD ["--", "/demo"]

FROM python:3.11-slim-bookworm AS slack
COPY deploy/slack/requirements.txt /opt/slack/requirements.txt
RUN python3 -m venv /opt/slack/venv && \
    /opt/slack/venv/bin/pip install --no-cache-dir --quiet --requirement /opt/slack/requirements.txt
COPY deploy/slack/server.py /opt/slack/server.py
COPY --from=build /out/bridge /bridge
USER 65532:65532
ENTRYPOINT ["/bridge"]
CMD ["--", "/opt/slack/venv/bin/python", "-u", "/opt/slack/server.py"]
