#!/bin/sh
# uninstall.sh: take away what install.sh laid, by its manifest, and nothing
# else. Configuration that someone edited stays, and is named.
set -eu
DESTDIR=${DESTDIR-}
PREFIX=${PREFIX-/usr/local}
manifest=$DESTDIR$PREFIX/share/gatehouse/manifest
[ -f "$manifest" ] || { echo "uninstall: $manifest is missing: nothing was installed under this DESTDIR and PREFIX" >&2; exit 2; }

while read -r path sum; do
	file=$DESTDIR$path
	[ -e "$file" ] || [ -L "$file" ] || continue
	if [ -n "$sum" ] && [ "$(sha256sum <"$file" | cut -d' ' -f1)" != "$sum" ]; then
		echo "uninstall: $path was edited and stays"
		continue
	fi
	rm -f "$file"
done <"$manifest"

# Empty folders of ours go too; one that still holds something stays.
{
	cut -d' ' -f1 "$manifest"
	echo "$PREFIX/share/gatehouse/manifest"
	echo /etc/gatehouse/credentials/x
	echo /etc/gatehouse/policy/x
} >"$manifest.folders"
sort -r "$manifest.folders" | while read -r path; do
	folder=$(dirname "$path")
	while case $folder in */gatehouse | */gatehouse/* | */nginx.service.d) true ;; *) false ;; esac; do
		[ "$folder" = "$PREFIX/share/gatehouse" ] && break
		rmdir "$DESTDIR$folder" 2>/dev/null || break
		folder=$(dirname "$folder")
	done
done
rm -f "$manifest" "$manifest.folders"
rmdir "$DESTDIR$PREFIX/share/gatehouse" 2>/dev/null || true
