#!/bin/sh
# init.sh: what has to exist before the gate starts, made once in /gate: a
# local CA, a certificate for PUBLIC_HOST, and secrets. What is there stays,
# so that a second `docker compose up` signs nobody out.
set -eu
umask 077
cd /gate

secret() { # secret NAME: 256 random bits
	[ -s "$1" ] || { openssl rand -hex 32 >"$1.new" && mv "$1.new" "$1"; }
}
secret redis-password
secret client-secret
secret keycloak-admin-password
printf 'redis://:%s@redis:6379/0\n' "$(cat redis-password)" >redis-url

# Expires soon or is for another name: issue again.
if ! openssl x509 -in tls.crt -checkend 604800 -checkhost "$PUBLIC_HOST" 2>/dev/null | grep -q 'does match'; then
	[ -s ca.key ] || openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 825 \
		-keyout ca.key -out ca.crt -subj '/CN=gatehouse local CA' 2>/dev/null
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout tls.key -out tls.csr -subj "/CN=$PUBLIC_HOST" 2>/dev/null
	printf 'subjectAltName=DNS:%s,DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n' "$PUBLIC_HOST" >tls.ext
	openssl x509 -req -in tls.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 397 -extfile tls.ext -out tls.crt 2>/dev/null
	rm -f tls.csr tls.ext
	chmod 644 ca.crt tls.crt
fi
# Keycloak's image runs as 1000, ours as 65532: each may read what is its own.
chmod 755 .
chown 65532 tls.key client-secret redis-url
chown 999 redis-password
chown 1000 keycloak-admin-password
install -o 1000 -m 400 client-secret keycloak-client-secret
