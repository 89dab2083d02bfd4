// Package front is the nginx of the benchmarks: TLS and one auth_request for
// each authoriser, alike in everything else, so that only the authoriser
// differs. It promises the same directives to all. The gate's own nginx files
// are not these, and are tested elsewhere.
package front

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"text/template"
	"time"
)

// Values are the addresses behind nginx.
type Values struct {
	Dir, Addr               string
	Limit                   string // the upstream that answers ok
	Floor, Authsvc, Foreign string // the bare handler, authsvc, oauth2-proxy
	Sites                   []Site
}

// Site is a further server: everything goes to one program, streams unbuffered.
type Site struct {
	Addr, To string
	Ask      string // "", "floor", "gate" or "foreign"
}

const conf = `worker_processes 2;
pid {{.Dir}}/nginx.pid;
error_log {{.Dir}}/error.log warn;
daemon off;
events { worker_connections 4096; }
http {
  access_log off;
  client_body_temp_path {{.Dir}}/body; proxy_temp_path {{.Dir}}/proxy;
  fastcgi_temp_path {{.Dir}}/f; uwsgi_temp_path {{.Dir}}/u; scgi_temp_path {{.Dir}}/s;
  keepalive_requests 1000000;
  upstream limit   { server {{.Limit}};   keepalive 128; keepalive_requests 1000000; }
  upstream floor   { server {{.Floor}};   keepalive 128; keepalive_requests 1000000; }
  upstream authsvc { server {{.Authsvc}}; keepalive 128; keepalive_requests 1000000; }
  upstream foreign { server {{.Foreign}}; keepalive 128; keepalive_requests 1000000; }
  server {
    listen {{.Addr}} ssl;
    ssl_certificate {{.Dir}}/cert.pem; ssl_certificate_key {{.Dir}}/key.pem;
    ssl_protocols TLSv1.2 TLSv1.3;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $http_host;
    proxy_set_header X-Real-IP $remote_addr;
    proxy_set_header X-Forwarded-Proto https;
    location /open  { {{template "on"}}
    }
    location /floor { auth_request /_floor;   {{template "on"}}
    }
    location /gate  { auth_request /_gate;    {{template "on"}}
    }
    location /other { auth_request /_foreign; {{template "on"}}
    }
    location /login    { proxy_pass http://authsvc; }
    location /callback { proxy_pass http://authsvc; }
    location /oauth2/  { proxy_pass http://foreign; }
    {{template "asks"}}
  }
  {{range $i, $s := .Sites}}
  upstream to_{{$i}} { server {{.To}}; keepalive 128; keepalive_requests 1000000; }
  server {
    listen {{.Addr}} ssl;
    ssl_certificate {{$.Dir}}/cert.pem; ssl_certificate_key {{$.Dir}}/key.pem;
    ssl_protocols TLSv1.2 TLSv1.3;
    proxy_http_version 1.1;
    location / {
      {{if .Ask}}auth_request /_{{.Ask}};
      auth_request_set $assertion $upstream_http_x_user_assertion;
      proxy_set_header X-User-Assertion $assertion;{{end}}
      proxy_set_header Connection ""; proxy_set_header Host $http_host;
      proxy_set_header Authorization ""; proxy_set_header Cookie "";
      proxy_buffering off; proxy_read_timeout 1h;
      proxy_pass http://to_{{$i}};
    }
    {{template "asks"}}
  }
  {{end}}
}
{{define "asks"}}location = /_floor   { internal; {{template "ask"}} proxy_pass http://floor/auth; }
    location = /_gate    { internal; {{template "ask"}} proxy_pass http://authsvc/auth; }
    location = /_foreign { internal; {{template "ask"}} proxy_pass http://foreign/oauth2/auth; }{{end}}
{{define "on"}}proxy_set_header Connection ""; proxy_set_header Host $http_host; # credentials end here, as at the gate
      proxy_set_header Authorization ""; proxy_set_header Cookie ""; proxy_pass http://limit;{{end}}
{{define "ask"}}proxy_pass_request_body off; proxy_set_header Content-Length "";
      proxy_set_header Connection ""; proxy_set_header Host $http_host; proxy_set_header X-Real-IP $remote_addr;
      proxy_set_header X-Forwarded-Proto https; proxy_set_header X-Request-ID $request_id;
      proxy_set_header X-Original-Method $request_method; proxy_set_header X-Original-URI $uri;{{end}}`

// Write puts the configuration and a certificate for loopback into Dir, and
// returns the path of the configuration.
func Write(v Values) (string, error) {
	if err := certificate(v.Dir); err != nil {
		return "", err
	}
	path := filepath.Join(v.Dir, "nginx.conf")
	f, err := os.Create(path)
	if err != nil {
		return "", err
	}
	if err := template.Must(template.New("nginx").Parse(conf)).Execute(f, v); err != nil {
		return "", err
	}
	return path, f.Close()
}

func certificate(dir string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	now := time.Now()
	t := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return err
	}
	raw, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	for name, block := range map[string]*pem.Block{
		"cert.pem": {Type: "CERTIFICATE", Bytes: der}, "key.pem": {Type: "EC PRIVATE KEY", Bytes: raw},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			return err
		}
	}
	return nil
}
