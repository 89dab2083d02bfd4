FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends openjdk-17-jre-headless unzip && rm -rf /var/lib/apt/lists/*
COPY keycloak-quarkus-dist-26.7.3.zip /tmp/keycloak.zip
RUN cd /opt && unzip -q /tmp/keycloak.zip && mv keycloak-26.7.3 keycloak && rm /tmp/keycloak.zip && \
    mkdir -p /opt/keycloak/data/import && chown -R 1000:0 /opt/keycloak && chmod -R g+rwX /opt/keycloak
USER 1000
ENTRYPOINT ["/opt/keycloak/bin/kc.sh"]
