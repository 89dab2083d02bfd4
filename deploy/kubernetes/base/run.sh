#!/bin/sh
# nginx, and a reload when the certificate has been renewed. The kubelet swaps
# the secret's files in place; nginx reads them at a reload only. A pair that
# nginx -t refuses is left alone until the next look, and nginx goes on with
# the old one.
set -eu
conf=/etc/gatehouse/nginx/nginx.conf
sum() { cat /gate/tls.crt /gate/tls.key | cksum; }

nginx -e stderr -c "$conf" -g 'daemon off;' &
nginx=$!
trap 'kill -QUIT $nginx' TERM INT

seen=$(sum)
while kill -0 $nginx 2>/dev/null; do
    sleep 10 &
    wait $! || true # a signal ends the wait at once
    now=$(sum)
    if [ "$now" != "$seen" ] && nginx -e stderr -t -q -c "$conf"; then
        seen=$now
        kill -HUP $nginx
        echo "run: the certificate has changed, nginx reads it" >&2
    fi
done
wait $nginx
