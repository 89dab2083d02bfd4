// Command check (installed as gatehouse-check) looks at an nginx configuration
// before nginx takes it: nginx's own -t, the values of site/ read by the Lua that
// will read them, and whether an edit opened a hole in the gate. Each fault is a
// line with its file and the line in it, and how to mend it.
//
//	gatehouse-check [-conf /etc/nginx/nginx.conf] [-nginx nginx] [-prefix DIR]
//
// Exit 0: all is well; 1: something is not; 2: it was called wrongly. It changes
// nothing, opens no port and starts no worker. It must never need the network,
// and knows nothing of the programs behind nginx.
package main
