#!/bin/sh
# init.sh: what has to exist before the gate starts, made in /gate: a local CA,
# a certificate for PUBLIC_URL's host, secrets, and nginx's two values. Secrets
# that are there stay, so that a second `docker compose up` signs nobody out.
# Where others reach the gate, it refuses the sample users.
set -eu
umask 077
cd /gate

echo "$PUBLIC_URL" | grep -Eqx 'https://[A-Za-z0-9.-]+(:[0-9]{1,5})?' || {
	echo "init: PUBLIC_URL $PUBLIC_URL: want https://HOST or https://HOST:PORT, without a path" >&2
	exit 2
}
rest=${PUBLIC_URL#https://}
host=${rest%%:*}
port=${rest#"$host"}
case $host in # a client asks an address for another kind of name
*[!0-9.]*) kind=DNS check=-checkhost ;;
*) kind=IP check=-checkip ;;
esac

case ${BIND:-127.0.0.1} in
127.* | localhost | ::1 | '[::1]') bound=here ;;
*) bound=published ;;
esac

# alice and bob, whose passwords are in the repository, are for who sits at this
# machine: BIND shows whether others reach it, and PUBLIC_URL whether a proxy or a
# tunnel here leads them in. Keycloak imports users once, with the realm, so what it
# was told the first time holds until its volume goes, together with this one.
case $bound:$kind:$host in
here:DNS:localhost | here:DNS:*.localhost | here:IP:127.*) users=samples ;;
*) users=own ;;
esac
if [ "${KEYCLOAK-}" != existing ]; then
	if [ ! -s users ]; then
		# The secrets of an init that knew nothing of this: it always imported them.
		if [ -s store-key ]; then echo samples; else echo $users; fi >users.new
		chmod 644 users.new # Keycloak reads it
		mv users.new users
	fi
	if [ $users = own ] && [ "$(cat users)" = samples ]; then
		echo "init: BIND=${BIND:-127.0.0.1} and PUBLIC_URL=$PUBLIC_URL open the gate to others, and its realm has" \
			"alice and bob (an admin), whose passwords everybody can read. Start anew without them: docker compose" \
			"down --volumes. Or keep the realm and take them out: docs/compose.md, \"Publish it\"." >&2
		exit 2
	fi
fi

secret() { # secret NAME: 256 random bits
	[ -s "$1" ] || { openssl rand -hex 32 >"$1.new" && mv "$1.new" "$1"; }
}
secret redis-password
secret client-secret
secret store-key
secret internal-token
secret operator-token
secret keycloak-admin-password
secret grafana-admin-password
printf 'bridge %s ask\noperator %s\n' "$(cat internal-token)" "$(cat operator-token)" >internal-tokens
# The bridge, and what it starts, sees this folder alone.
install -o 65532 -m 400 internal-token /internal/authsvc-token
printf 'redis://:%s@redis:6379/0\n' "$(cat redis-password)" >redis-url

# Expires soon or is for another name: issue again.
if ! openssl x509 -in tls.crt -noout -checkend 604800 >/dev/null 2>&1 ||
	! openssl x509 -in tls.crt -noout "$check" "$host" | grep -q 'does match'; then
	[ -s ca.key ] || openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 825 \
		-keyout ca.key -out ca.crt -subj '/CN=gatehouse local CA' 2>/dev/null
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout tls.key -out tls.csr -subj "/CN=$host" 2>/dev/null
	printf 'subjectAltName=%s:%s,DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n' "$kind" "$host" >tls.ext
	openssl x509 -req -in tls.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 397 -extfile tls.ext -out tls.crt 2>/dev/null
	rm -f tls.csr tls.ext
fi

mkdir -p site
echo "server_name $host;" >site/names.conf
printf 'map "" $gatehouse_port   { default "%s"; }\nmap "" $gatehouse_prefix { default ""; }\n' "$port" >site/public.conf
# Keycloak's administration only where nobody but this machine gets in.
case $bound in
here) echo 'set $gatehouse_keycloak_all all;' ;;
*) echo '# other machines get in: no administration' ;;
esac >site/keycloak.conf

# Keycloak's image runs as 1000, Grafana's as 472, Redis as 999, ours as 65532: each may read
# what is its own, and all the certificates.
chmod 755 . site
chmod 644 ca.crt tls.crt site/*
chown 65532 tls.key client-secret store-key redis-url internal-tokens
chown 999 redis-password
chown 1000 keycloak-admin-password
chown 472 grafana-admin-password
install -o 1000 -m 400 client-secret keycloak-client-secret
