FROM debian:bookworm-slim
RUN groupadd -g 999 redis && useradd -u 999 -g 999 -M redis && mkdir /data && chown 999:999 /data
RUN apt-get update && apt-get install -y --no-install-recommends redis-server && rm -rf /var/lib/apt/lists/*
VOLUME /data
WORKDIR /data
CMD ["redis-server"]
