# nginx with the Lua module and the gate's own files. BASE may be an OpenResty
# image (openresty/openresty:bookworm): it brings nginx and Lua itself.
ARG BASE=debian:bookworm-slim
FROM ${BASE}
RUN if ! command -v openresty >/dev/null; then \
      apt-get update && \
      apt-get install -y --no-install-recommends nginx-light libnginx-mod-http-lua libnginx-mod-http-ndk openssl && \
      rm -rf /var/lib/apt/lists/* /etc/nginx/sites-enabled; \
    fi
COPY deploy/images/init.sh /usr/local/bin/gate-init
COPY nginx /etc/gatehouse/nginx
COPY lua /etc/gatehouse/lua
USER 65532:65532
CMD ["nginx", "-p", "/etc/gatehouse/nginx", "-c", "/etc/gatehouse/nginx/nginx.conf", "-g", "daemon off; pid /tmp/nginx.pid;"]
