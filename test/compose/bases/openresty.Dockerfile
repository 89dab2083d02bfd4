FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends nginx-light libnginx-mod-http-lua lua-resty-core && rm -rf /var/lib/apt/lists/*
# Of OpenResty only what the gate's image looks for: the name of the program,
# and no Debian package's module files where Debian has them.
RUN ln -s /usr/sbin/nginx /usr/bin/openresty
