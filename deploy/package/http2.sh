#!/bin/sh
# http2.sh SITE: writes listen_https*.conf in the folder SITE as this machine's
# nginx wants them: `http2` is a word of listen before 1.25.1, and a line of its
# own from then on, which says that the word is deprecated. An edited file keeps
# its edits; a second run changes nothing.
set -eu
site=${1:?http2.sh SITE: the folder with listen_https.conf}
version=$(${NGINX:-nginx} -v 2>&1 | sed -n 's|.*/\([0-9]*\)\.\([0-9]*\)\.\([0-9]*\).*|\1 \2 \3|p')
set -- $version
[ $# -eq 3 ] || { echo "http2.sh: nginx -v names no version" >&2; exit 1; }
new=$(($1 * 1000000 + $2 * 1000 + $3 >= 1025001))
for file in "$site"/listen_https*.conf; do
	if [ "$new" = 1 ] && grep -Eq '^[^#]*listen[^;]* http2' "$file"; then
		sed -i -E '/^[^#]*listen/s/ http2//' "$file"
		echo 'http2 on;' >>"$file"
	elif [ "$new" = 0 ] && grep -Eq '^http2 on;' "$file"; then
		sed -i -E -e '/^http2 on;/d' -e '/^[^#]*listen[^;]* ssl/s/ ssl/ ssl http2/' "$file"
	fi
done
