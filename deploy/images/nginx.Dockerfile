# nginx with the Lua module and the gate's own files. BASE may be an OpenResty
# image of Debian's kind (openresty/openresty:bookworm): it brings nginx and
# Lua itself.
ARG BASE=debian:bookworm-slim
FROM ${BASE}
RUN apt-get update && \
    apt-get install -y --no-install-recommends openssl \
      $(command -v openresty >/dev/null || echo nginx-light libnginx-mod-http-lua libnginx-mod-http-ndk) && \
    rm -rf /var/lib/apt/lists/* /etc/nginx/sites-enabled
COPY deploy/images/init.sh /usr/local/bin/gate-init
COPY deploy/images/run.sh /usr/local/bin/gate-run
COPY lua /etc/gatehouse/lua
COPY nginx /etc/gatehouse/nginx
# nginx/site, with the values that differ in a container over it.
COPY deploy/images/site /etc/gatehouse/nginx/site
COPY deploy/package/http2.sh /tmp/http2.sh
RUN sh /tmp/http2.sh /etc/gatehouse/nginx/site && rm /tmp/http2.sh
USER 65532:65532
CMD ["/bin/sh", "/usr/local/bin/gate-run"]
